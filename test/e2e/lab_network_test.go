package e2e

import (
	"context"
	"errors"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
)

// strangerPod runs nothing and may do nothing, but for the network.
func strangerPod(namespace, zone string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "stranger", Namespace: namespace},
		Spec: corev1.PodSpec{
			NodeSelector:                  map[string]string{corev1.LabelTopologyZone: zone},
			TerminationGracePeriodSeconds: new(int64(1)),
			AutomountServiceAccountToken:  new(false),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: new(true), RunAsUser: new(int64(65532)),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "pause", Image: "registry.k8s.io/pause:3.10", ImagePullPolicy: corev1.PullNever,
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
					Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
}

// TestLabNetworkPolicy: what a guest's pods may not reach they cannot reach, be it from a pod of a guest,
// from one that somebody put beside them, or from one elsewhere in the cell.
func TestLabNetworkPolicy(t *testing.T) {
	g := steadyInLab(t)
	neighbour := g.create(t, "neighbour", "--region", "eu-frankfurt")
	elsewhere := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "elsewhere-" + g.labCell()}}
	if _, err := g.lab.admin.CoreV1().Namespaces().Create(t.Context(), elsewhere, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.lab.admin.CoreV1().Namespaces().Delete(context.Background(), elsewhere.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	own, others := g.etcdAddress(t), neighbour.etcdAddress(t)
	from := map[string]int{
		"its API server": g.running(t)[g.anyOf(t, "kube-apiserver")].pid,
		"its etcd":       g.running(t)[g.anyOf(t, "etcd")].pid,
		"a stranger":     g.lab.start(t, strangerPod(g.namespaceInLab(), "b")),
		"elsewhere":      g.lab.start(t, strangerPod(elsewhere.Name, "b")),
	}
	const etcd, peers = controlplane.EtcdClientPort, controlplane.EtcdPeerPort
	for _, tc := range []struct {
		reason, from, host string
		port               int
		reaches            bool
	}{
		{"the path that exists", "its API server", own, etcd, true},
		{"a pod that nobody limits reaches what nobody guards", "elsewhere", "10.250.0.10", 53, true},
		{"only members talk to members", "its API server", own, peers, false},
		{"another guest's data", "its API server", others, etcd, false},
		{"another guest's group", "its API server", others, peers, false},
		{"members of different guests", "its etcd", others, peers, false},
		{"a pod in a guest's namespace is not part of it", "a stranger", own, etcd, false},
		{"a pod in a guest's namespace is shut in", "a stranger", others, etcd, false},
		{"a pod of somebody else", "elsewhere", own, etcd, false},
		{"a pod of somebody else, as a member", "elsewhere", own, peers, false},
		{"a pod of somebody else, to the API server's own", "elsewhere", others, etcd, false},
	} {
		if got := dials(t, from[tc.from], tc.host, tc.port); got != tc.reaches {
			t.Errorf("%s: %s reaches %s, port %d: %t, want %t", tc.reason, tc.from, tc.host, tc.port, got, tc.reaches)
		}
	}
}

// etcdAddress of the Service of one of the guest's members.
func (g *guest) etcdAddress(t *testing.T) string {
	t.Helper()
	service, err := g.lab.admin.CoreV1().Services(g.namespaceInLab()).Get(t.Context(), g.anyOf(t, "etcd"), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return service.Spec.ClusterIP
}

// start a pod, which is deleted after the test, and return the process id of its container.
func (l *laboratory) start(t *testing.T, pod *corev1.Pod) int {
	t.Helper()
	pods, pid := l.admin.CoreV1().Pods(pod.Namespace), 0
	eventually(t, healBudget, "a pod in namespace "+pod.Namespace, func(ctx context.Context) (string, bool) {
		// The namespace's ServiceAccount may not be there yet.
		if _, err := pods.Create(ctx, pod, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return err.Error(), false
		}
		containers, err := l.Containers(pod.Namespace)
		for _, container := range containers {
			if container.Pod == pod.Name {
				pid = container.PID
			}
		}
		return "its container does not run", err == nil && pid != 0
	})
	t.Cleanup(func() {
		if err := pods.Delete(context.Background(), pod.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	return pid
}

// dials tells whether a TCP connection comes about from the network of a process.
func dials(t *testing.T, pid int, host string, port int) bool {
	t.Helper()
	const seconds, late, refused = "2", 124, 1 // exit codes of timeout(1) and of bash
	command := exec.CommandContext(t.Context(), "nsenter", "--target", strconv.Itoa(pid), "--net", "--",
		"timeout", seconds, "bash", "-c", "</dev/tcp/"+host+"/"+strconv.Itoa(port))
	output, err := command.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || exit.ExitCode() != late && exit.ExitCode() != refused) {
		t.Fatalf("dial %s from process %d: %v: %s", net.JoinHostPort(host, strconv.Itoa(port)), pid, err, output)
	}
	return err == nil
}

// TestLabAgentSeesItsCellOnly: with what the agent of the lab has, nobody reads another cell's orders.
func TestLabAgentSeesItsCellOnly(t *testing.T) {
	s := labFleet(t)
	agent := s.agentClient(t, s.labCell())
	var planes v1alpha1.ControlPlaneList
	if err := agent.List(t.Context(), &planes, client.InNamespace(v1alpha1.CellNamespace(s.labCell()))); err != nil {
		t.Errorf("an agent reads its own cell's orders: %v", err)
	}
	for _, cell := range []string{"fra-1", "hz-1"} {
		if err := agent.List(t.Context(), &planes, client.InNamespace(v1alpha1.CellNamespace(cell))); !apierrors.IsForbidden(err) {
			t.Errorf("the agent of the lab reads the orders of cell %s: %v", cell, err)
		}
		var configs corev1.ConfigMapList
		if err := agent.List(t.Context(), &configs, client.InNamespace(v1alpha1.CellNamespace(cell))); !apierrors.IsForbidden(err) {
			t.Errorf("the agent of the lab reads the ConfigMaps of cell %s: %v", cell, err)
		}
	}
}

// agentClient has the access to the hub that a cell's agent has.
func (s *suite) agentClient(t *testing.T, cell string) client.Client {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(s.Home, "cells", cell, "agent", "hub", "kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	agent, err := client.New(config, client.Options{Scheme: s.hub.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	return agent
}
