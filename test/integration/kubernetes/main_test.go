// Package kubernetes_test tests the Kubernetes runtime against a real kube-apiserver, etcd and
// kube-controller-manager. The tests are the nodes: they place pods and say how these are, and they
// make volumes.
package kubernetes_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/myriad-fleet/myriad/internal/distribution"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/objects"
	"github.com/myriad-fleet/myriad/test/apiserver"
)

// cluster is the cell's cluster of all tests in this package. Tests keep apart by cells of their own.
var cluster struct {
	config *rest.Config // of an agent
	nodes  *nodes
}

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	set, err := apiserver.Distribution()
	if err != nil {
		return 1, err
	}
	environment, err := apiserver.Start(set, nil, map[string]string{"service-cluster-ip-range": "10.96.0.0/16"})
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, environment.Stop()) }()
	stop, err := startControllers(set, environment)
	if err != nil {
		return 1, err
	}
	defer stop()
	operator := rest.CopyConfig(environment.Config)
	operator.QPS, operator.Burst = 500, 1000
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if cluster.nodes, err = startNodes(ctx, operator); err != nil {
		return 1, err
	}
	if cluster.config, err = confine(ctx, environment); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// confine gives the agent the rights that docs/security.md lists, and no more.
func confine(ctx context.Context, environment *envtest.Environment) (*rest.Config, error) {
	const user = "myriad-agent-under-test"
	for _, object := range objects.Access(user) {
		if err := cluster.nodes.api.Apply(ctx, object, client.FieldOwner("test"), client.ForceOwnership); err != nil {
			return nil, fmt.Errorf("give the agent its rights: %w", err)
		}
	}
	agent, err := environment.AddUser(envtest.User{Name: user}, nil)
	if err != nil {
		return nil, err
	}
	return agent.Config(), nil
}

// startControllers runs the controllers that a guest's objects need.
func startControllers(set *distribution.Set, environment *envtest.Environment) (stop func(), err error) {
	path, err := apiserver.Newest(set, "kube-controller-manager")
	if err != nil {
		return nil, err
	}
	directory, err := os.MkdirTemp("", "myriad-controllers-")
	if err != nil {
		return nil, err
	}
	kubeconfig := filepath.Join(directory, "kubeconfig")
	if err := os.WriteFile(kubeconfig, environment.KubeConfig, 0o600); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(directory, "log"))
	if err != nil {
		return nil, err
	}
	command := exec.Command(path, "--kubeconfig="+kubeconfig, "--leader-elect=false", "--secure-port=0",
		"--kube-api-qps=200", "--kube-api-burst=400", "--controllers=namespace-controller,replicaset-controller,"+
			"statefulset-controller,garbage-collector-controller,persistentvolume-binder-controller,"+
			"persistentvolumeclaim-protection-controller,persistentvolume-protection-controller,disruption-controller")
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start kube-controller-manager: %w", err)
	}
	return func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		_ = os.RemoveAll(directory)
	}, nil
}
