package cli

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

const (
	// kubectlExpiration of the certificates that 'myriad kubectl' gets for itself.
	kubectlExpiration = time.Hour
	// kubectlMargin is how long a kept certificate must still be good to be used again.
	kubectlMargin = 10 * time.Minute
	// signalGrace is how long an interrupted program may take to end.
	signalGrace = 5 * time.Second
	// signalExit plus its number is, in shells, the exit code of a program that a signal ended.
	signalExit = 128
)

func newKubectl(s *session) *cobra.Command {
	role := "admin"
	command := &cobra.Command{
		Use:                   "kubectl [flags] CLUSTER -- ARGUMENT...",
		DisableFlagsInUseLine: true, // they come before CLUSTER

		Short: "Run kubectl against a cluster",
		Long: `Run the kubectl of a cluster's own version against it, with a certificate that lives for an hour.

Its exit code is passed through. Flags before CLUSTER are myriad's, what comes after it is kubectl's.`,
		Example:           "  myriad kubectl hello -- get namespaces\n  myriad kubectl --role viewer hello -- get pods -A",
		Args:              arguments(1, -1),
		ValidArgsFunction: s.completeWords(false, s.clusterNames),
		RunE: func(command *cobra.Command, given []string) error {
			words := given[1:]
			if len(words) > 0 && words[0] == "--" {
				words = words[1:]
			}
			return s.runKubectl(command.Context(), given[0], role, words)
		},
	}
	command.Flags().SetInterspersed(false)
	command.Flags().StringVar(&role, "role", role, "what kubectl may do: admin or viewer")
	return command
}

func (s *session) runKubectl(ctx context.Context, name, role string, words []string) error {
	hub, err := s.hub()
	if err != nil {
		return err
	}
	cluster, err := s.findCluster(ctx, hub, name)
	if err != nil {
		return err
	}
	if cluster.Status.Endpoint == nil {
		return fail(exitNotReady, "cluster %s has no endpoint yet; run 'myriad cluster wait %s'", name, s.inNamespace(name))
	}
	program, err := s.kubectl(s.home, cluster.Status.Version)
	if err != nil {
		return fmt.Errorf("find kubectl %s: %w; run 'myriad up' to bring the programs back, or install kubectl", cluster.Status.Version, err)
	}
	file, err := s.keptKubeconfig(ctx, hub, cluster, role)
	if err != nil {
		return err
	}
	code, err := s.execute(ctx, program, words, append(os.Environ(), "KUBECONFIG="+file))
	if err != nil {
		return fmt.Errorf("run %s: %w", program, err)
	}
	if code != exitOK {
		return &codedError{code: code, err: errTold}
	}
	return nil
}

// keptKubeconfig returns a private file with a kubeconfig that is good for a while: the kept one
// where it still fits the cluster, or else a new one.
func (s *session) keptKubeconfig(ctx context.Context, hub client.Client, cluster *v1alpha1.Cluster, role string) (string, error) {
	directory := filepath.Join(s.home, "credentials")
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return "", fmt.Errorf("keep kubeconfig: %w; set MYRIAD_HOME to a directory that you may write to", err)
	}
	file := filepath.Join(directory, fmt.Sprintf("%s-%s.kubeconfig", cluster.Status.ID, strings.ToLower(role)))
	if s.stillGood(file, cluster) {
		return file, nil
	}
	text, err := s.issueKubeconfig(ctx, hub, cluster, credentialOrder{role: role, user: defaultUser(), expiration: kubectlExpiration})
	if err != nil {
		return "", err
	}
	if err := renameio.WriteFile(file, text, 0o600); err != nil {
		return "", fmt.Errorf("keep kubeconfig: %w", err)
	}
	return file, nil
}

// stillGood says whether a kept kubeconfig dials where the cluster is, trusts its CA, and holds a
// certificate that does not expire soon.
func (s *session) stillGood(file string, cluster *v1alpha1.Cluster) bool {
	config, err := clientcmd.LoadFromFile(file)
	if err != nil {
		return false
	}
	server, user := config.Clusters[cluster.Name], config.AuthInfos[cluster.Name]
	if server == nil || user == nil ||
		server.Server != serverURL(cluster.Status.Endpoint, false) ||
		server.TLSServerName != cluster.Status.Endpoint.ServerName ||
		!bytes.Equal(server.CertificateAuthorityData, []byte(cluster.Status.CABundle)) {
		return false
	}
	block, _ := pem.Decode(user.ClientCertificateData)
	if block == nil {
		return false
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	return err == nil && s.clock.Now().Add(kubectlMargin).Before(certificate.NotAfter)
}

// runProgram runs a program on the session's streams. Canceling ctx interrupts it as Ctrl-C does.
func (s *session) runProgram(ctx context.Context, program string, words, environment []string) (int, error) {
	command := exec.CommandContext(ctx, program, words...)
	command.Stdin, command.Stdout, command.Stderr = s.in, s.out, s.err
	command.Env = environment
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = signalGrace
	err := command.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return exitOK, err
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return signalExit + int(status.Signal()), nil
	}
	return exit.ExitCode(), nil
}
