// Package fleet drives a whole fleet through the myriad command, as a person would, in a home of its
// own, and looks at what it runs and leaves behind.
package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// Fleet is one home and the command that works on it.
type Fleet struct {
	// Home is MYRIAD_HOME.
	Home string
	// Binary is the myriad command, Distro the directory of the programs of Kubernetes and etcd.
	Binary, Distro string
}

// New makes an empty home in the temporary directory. The command and the distribution come from
// MYRIAD_BIN and MYRIAD_DISTRO, which 'make' sets.
func New() (*Fleet, error) {
	f := &Fleet{Binary: os.Getenv("MYRIAD_BIN"), Distro: os.Getenv("MYRIAD_DISTRO")}
	for variable, path := range map[string]string{"MYRIAD_BIN": f.Binary, "MYRIAD_DISTRO": f.Distro} {
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("%s: %w; run 'make distro build' and set it to what they made, as 'make e2e' and 'make bench' do", variable, err)
		}
	}
	// Short, because the path of a Unix socket has room for 107 bytes.
	home, err := os.MkdirTemp("", "myriad-")
	if err != nil {
		return nil, fmt.Errorf("make a home: %w", err)
	}
	f.Home = home
	return f, nil
}

// ExitError says how a command failed.
type ExitError struct {
	Arguments []string
	// Code is the exit code; -1 when a signal ended the command or it did not start.
	Code int
	// Output is what it wrote to standard error and standard output.
	Output string
}

func (e *ExitError) Error() string {
	return fmt.Sprintf("myriad %s: exit code %d:\n%s", strings.Join(e.Arguments, " "), e.Code, e.Output)
}

// Run runs a myriad command on the home and returns its standard output, or an *ExitError.
func (f *Fleet) Run(ctx context.Context, arguments ...string) (string, error) {
	return f.RunInput(ctx, "", arguments...)
}

// RunInput is Run with something on standard input.
func (f *Fleet) RunInput(ctx context.Context, input string, arguments ...string) (string, error) {
	command := f.Command(ctx, arguments...)
	var stdout, stderr bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(input), &stdout, &stderr
	if err := command.Run(); err != nil {
		failure := &ExitError{Arguments: arguments, Code: -1, Output: stderr.String() + stdout.String()}
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			failure.Code = exit.ExitCode()
		} else {
			failure.Output += err.Error()
		}
		return stdout.String(), failure
	}
	return stdout.String(), nil
}

// Command is a myriad command on the home that has not been started.
func (f *Fleet) Command(ctx context.Context, arguments ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, f.Binary, arguments...)
	command.Env = append(os.Environ(), "MYRIAD_HOME="+f.Home, "MYRIAD_DISTRO="+f.Distro)
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 10 * time.Second // what it has started keeps its output open
	return command
}

// Up brings the fleet up.
func (f *Fleet) Up(ctx context.Context, flags ...string) (string, error) {
	return f.Run(ctx, append([]string{"up"}, flags...)...)
}

// Down takes the fleet down; its data stays.
func (f *Fleet) Down(ctx context.Context) error {
	_, err := f.Run(ctx, "down")
	return err
}

// Remove takes the fleet down, removes its home, and fails when something of it is left: then it kills
// that, so that the next one finds a clean machine.
func (f *Fleet) Remove(ctx context.Context) error {
	network, networkErr := f.network()
	err := f.Down(ctx)
	left, listErr := f.Strays()
	err = errors.Join(err, networkErr, listErr)
	for _, process := range left {
		err = errors.Join(err, fmt.Errorf("left after 'myriad down': process %d: %s", process.PID, process.CommandLine))
		_ = process.Kill() // it may have ended since
	}
	listeners, listErr := listeners(network)
	err = errors.Join(err, listErr)
	for _, address := range listeners {
		err = errors.Join(err, fmt.Errorf("left after 'myriad down': something listens on %s", address))
	}
	return errors.Join(err, os.RemoveAll(f.Home))
}

// HubConfig is the operator's access to the hub.
func (f *Fleet) HubConfig() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", f.Home+"/kubeconfig")
	if err != nil {
		return nil, fmt.Errorf("read the hub's kubeconfig: %w", err)
	}
	config.QPS, config.Burst = -1, -1
	return config, nil
}

// Hub returns a client of the hub for the fleet's kinds and those of Kubernetes.
func (f *Fleet) Hub() (client.WithWatch, error) {
	config, err := f.HubConfig()
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("register kinds: %w", err)
	}
	return client.NewWithWatch(config, client.Options{Scheme: scheme})
}

// Guest returns the access to a cluster that 'myriad cluster kubeconfig' gives, with further flags.
func (f *Fleet) Guest(ctx context.Context, cluster string, flags ...string) (*rest.Config, error) {
	text, err := f.Run(ctx, append([]string{"cluster", "kubeconfig", cluster}, flags...)...)
	if err != nil {
		return nil, err
	}
	config, err := clientcmd.RESTConfigFromKubeConfig([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig of cluster %s: %w", cluster, err)
	}
	config.QPS, config.Burst = -1, -1
	return config, nil
}
