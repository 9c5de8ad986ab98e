package e2e

import (
	"bufio"
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// workload is what a person might put into a first cluster.
const workload = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: registry.k8s.io/pause:3.10}]}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: orders.shop.example.com}
spec:
  group: shop.example.com
  scope: Namespaced
  names: {plural: orders, singular: order, kind: Order}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {amount: {type: integer}}}}}}
`

const order = `
apiVersion: shop.example.com/v1
kind: Order
metadata: {name: first, namespace: shop}
spec: {amount: 3}
`

// identities are lines that change when an object is lost and made anew.
func identities(t *testing.T, s *suite) string {
	t.Helper()
	columns := []string{"--namespace", "shop", "--output", "custom-columns=KIND:.kind,NAME:.metadata.name,UID:.metadata.uid"}
	return s.kubectl(t, "hello", append([]string{"get", "namespace/shop", "deployment/web", "crd/orders.shop.example.com", "order/first"}, columns...)...) +
		s.kubectl(t, "hello", append([]string{"get", "replicasets,pods"}, columns...)...)
}

func TestHelloServesKubernetes(t *testing.T) {
	s := sharedFleet(t)
	if version := s.kubectl(t, "hello", "version"); strings.Count(version, "v1.36.3") != 2 {
		t.Errorf("want client and server of v1.36.3, got %q", version)
	}
	printed := filepath.Join(t.TempDir(), "kubeconfig")
	s.run(t, "cluster", "kubeconfig", "hello", "--output-file", printed)
	kubectl := exec.CommandContext(t.Context(), filepath.Join(s.Home, "distro", "kubernetes", "v1.36.3", "kubectl"), "--kubeconfig", printed, "get", "namespaces")
	if output, err := kubectl.CombinedOutput(); err != nil || !strings.Contains(string(output), "kube-system") {
		t.Errorf("kubectl with the printed kubeconfig: %v\n%s", err, output)
	}
	s.apply(t, "hello", workload)
	s.kubectl(t, "hello", "wait", "--for=condition=Established", "--timeout=30s", "crd/orders.shop.example.com")
	watched := s.watchNames(t, "hello", "orders.shop.example.com", "shop")
	s.apply(t, "hello", order)
	if name := watched(t); !strings.HasSuffix(name, "/first") {
		t.Errorf("a watch shows the new order, got %q", name)
	}
	eventually(t, healBudget, "two pods of the Deployment", func(context.Context) (string, bool) {
		pods := s.kubectl(t, "hello", "get", "pods", "--namespace", "shop", "--output", "name")
		return pods, strings.Count(pods, "pod/web-") == 2
	})

	before := identities(t, s)
	s.run(t, "down")
	strays, err := s.Strays()
	if err != nil || len(strays) > 0 {
		t.Errorf("after 'myriad down' these run: %v, %v", strays, err)
	}
	s.mustUp(t)
	if diff := cmp.Diff(before, identities(t, s)); diff != "" {
		t.Errorf("objects differ after 'myriad down' and 'myriad up' (-before +after):\n%s", diff)
	}
}

func TestUpAgainChangesNothing(t *testing.T) {
	s := sharedFleet(t)
	before := s.pids(t, "")
	begun := time.Now()
	output := s.run(t, "up")
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("'myriad up' of a fleet that is up took %s, want less than 20s", took)
	}
	if diff := cmp.Diff(before, s.pids(t, "")); diff != "" {
		t.Errorf("'myriad up' of a fleet that is up changed processes (-before +after):\n%s", diff)
	}
	for _, word := range []string{"v1.36.3", "kube-system", "myriad cluster create"} {
		if !strings.Contains(output, word) {
			t.Errorf("'myriad up' shows the cluster's version and namespaces and what to try next; %q is missing in:\n%s", word, output)
		}
	}
}

// apply applies manifests to a cluster with kubectl.
func (s *suite) apply(t *testing.T, cluster, manifests string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandLimit)
	defer cancel()
	if _, err := s.RunInput(ctx, manifests, "kubectl", cluster, "--", "apply", "--filename", "-"); err != nil {
		t.Fatal(err)
	}
}

// watchNames starts 'kubectl get --watch' and returns a function that waits for its next line.
func (s *suite) watchNames(t *testing.T, cluster, resource, namespace string) func(*testing.T) string {
	t.Helper()
	command := s.Command(t.Context(), "kubectl", cluster, "--", "get", resource, "--namespace", namespace, "--watch", "--output", "name")
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(output); scanner.Scan(); {
			lines <- scanner.Text()
		}
		_ = command.Wait() // it is interrupted when the test is over
	}()
	t.Cleanup(func() {
		for range lines { // until it has ended
		}
	})
	return func(t *testing.T) string {
		t.Helper()
		select {
		case line := <-lines:
			return line
		case <-time.After(commandLimit):
			t.Fatal("the watch shows nothing")
			return ""
		}
	}
}
