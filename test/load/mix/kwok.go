package mix

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/myriad-fleet/myriad/test/load/mix/plan"
)

// kwokGrace is how long kwok may take to end before it is killed.
const kwokGrace = 5 * time.Second

// kwok is the controller that keeps fake nodes and runs their pods. A nil one does nothing.
type kwok struct {
	command   *exec.Cmd
	directory string
	output    bytes.Buffer
	ended     chan struct{}
	err       error // of the process, once it has ended
}

// startKwok runs the program of distro/kwok on the nodes of a run, and no others.
func startKwok(path string, config *rest.Config, scope plan.Scope) (*kwok, error) {
	stages, err := exec.Command(path, "stages").Output()
	if err != nil {
		return nil, fmt.Errorf("ask %s for its stages: %w; it has to be the program that 'make lab-distro' compiles from distro/kwok", path, err)
	}
	directory, err := os.MkdirTemp("", "mix-kwok-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for kwok: %w", err)
	}
	k := &kwok{directory: directory, ended: make(chan struct{})}
	kubeconfig, file := filepath.Join(directory, "kubeconfig"), filepath.Join(directory, "stages.yaml")
	err = errors.Join(clientcmd.WriteToFile(kubeconfigOf(config), kubeconfig), os.WriteFile(file, stages, 0o600))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write what kwok reads: %w", err), os.RemoveAll(directory))
	}
	k.command = exec.Command(path, "--kubeconfig="+kubeconfig, "--config="+file, "--manage-all-nodes=false",
		"--manage-nodes-with-label-selector="+plan.Label+"="+scope.Name(), "--node-lease-duration-seconds=40", "--node-port=0")
	k.command.Stdout, k.command.Stderr = &k.output, &k.output
	k.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := k.command.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start kwok: %w", err), os.RemoveAll(directory))
	}
	go func() {
		k.err = k.command.Wait()
		close(k.ended)
	}()
	return k, nil
}

// stop ends kwok. That it ended before is an error, which says what it printed last.
func (k *kwok) stop() error {
	if k == nil {
		return nil
	}
	defer func() { _ = os.RemoveAll(k.directory) }() // of the temporary directory
	select {
	case <-k.ended:
		printed := k.output.Bytes()
		return fmt.Errorf("kwok ended before the run did: %w; it printed last: %s", k.err, printed[max(0, len(printed)-1000):])
	default:
	}
	_ = k.command.Process.Signal(syscall.SIGTERM) // if it is gone, so much the better
	select {
	case <-k.ended:
	case <-time.After(kwokGrace):
		_ = k.command.Process.Kill()
		<-k.ended
	}
	return nil
}

// kubeconfigOf a connection, with its certificates or its token.
func kubeconfigOf(config *rest.Config) api.Config {
	const name = "guest"
	return api.Config{
		Clusters: map[string]*api.Cluster{name: {
			Server: config.Host, TLSServerName: config.ServerName, InsecureSkipTLSVerify: config.Insecure,
			CertificateAuthority: config.CAFile, CertificateAuthorityData: config.CAData,
		}},
		AuthInfos: map[string]*api.AuthInfo{name: {
			ClientCertificate: config.CertFile, ClientCertificateData: config.CertData,
			ClientKey: config.KeyFile, ClientKeyData: config.KeyData,
			Token: config.BearerToken, TokenFile: config.BearerTokenFile,
		}},
		Contexts:       map[string]*api.Context{name: {Cluster: name, AuthInfo: name}},
		CurrentContext: name,
	}
}
