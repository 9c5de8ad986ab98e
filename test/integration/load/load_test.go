// Package load_test tests that the agent's sampler understands a real control plane, and that it reads
// metrics under a name that may read nothing else.
package load_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/agent/bootstrap"
	sampler "github.com/myriad-fleet/myriad/internal/agent/load"
	"github.com/myriad-fleet/myriad/internal/agent/orders"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/load"
	"github.com/myriad-fleet/myriad/internal/pki"
	"github.com/myriad-fleet/myriad/internal/runtime"
	"github.com/myriad-fleet/myriad/test/apiserver"
	"github.com/myriad-fleet/myriad/test/bench/byhand"
)

const (
	// number of the control plane: its addresses are 127.0.190.1 to .4, which no benchmark uses.
	number = 90
	// deadline of every wait: a loaded machine takes its time.
	deadline = 3 * time.Minute
)

type controlPlane = byhand.ControlPlane

// guest is a real control plane as the sampler sees a guest of its cell.
type guest struct{ *controlPlane }

func (g guest) IDs() []string                                      { return []string{g.Order().ID} }
func (g guest) Get(string) orders.Order                            { return orders.Order{Spec: g.Order()} }
func (g guest) Load(string) (pki.Identity, error)                  { return g.Identity(), nil }
func (g guest) ControlPlane(string) (*v1alpha1.ControlPlane, bool) { return nil, true }
func (g guest) hosts(string) map[string]string                     { return g.Hosts() }
func (g guest) address() string                                    { return net.JoinHostPort(g.Hosts()["kube-apiserver-a"], "6443") }

func (g guest) Observe(context.Context, string) (runtime.Observation, error) {
	seen := runtime.Observation{Exists: true}
	for name := range g.Hosts() {
		seen.Components = append(seen.Components, runtime.Component{Name: name, State: runtime.Running})
	}
	return seen, nil
}

// start a control plane, and bootstrap it as the agent does.
func start(t *testing.T) guest {
	t.Helper()
	set, err := apiserver.Distribution()
	if err != nil {
		t.Fatal(err)
	}
	kubernetesVersions, err := set.KubernetesVersions()
	if err != nil || len(kubernetesVersions) == 0 {
		t.Fatalf("versions of Kubernetes: %v, %v", kubernetesVersions, err)
	}
	etcdVersions, err := set.EtcdVersions()
	if err != nil || len(etcdVersions) == 0 {
		t.Fatalf("versions of etcd: %v, %v", etcdVersions, err)
	}
	made, err := byhand.Prepare(byhand.Options{
		Dir: filepath.Join(t.TempDir(), "guest"), Number: number, Programs: set, Poll: 50 * time.Millisecond,
		Kubernetes: kubernetesVersions[len(kubernetesVersions)-1], Etcd: etcdVersions[len(etcdVersions)-1],
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := made.Stop(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if err := made.Start(ctx); err != nil {
		t.Fatal(err)
	}
	g := guest{made}
	err = bootstrap.New(t.TempDir(), clock.RealClock{}).Run(ctx, bootstrap.Guest{ID: g.Order().ID, Address: g.address(), Identity: g.Identity()})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestReal: every metric can be read from a real control plane, so that its families are named as they
// are expected to be. Objects are not asked for: API servers count them at their start, when there are none,
// and then each 60 to 132 s.
func TestReal(t *testing.T) {
	g := start(t)
	changed := make(chan string, 100)
	s := sampler.New(sampler.Options{
		Hub: g, Orders: g, Identities: g, Runtime: g, Hosts: g.hosts, Bootstrapped: func(string) bool { return true },
		Changed: func(id string) { changed <- id }, Clock: clock.RealClock{}, Log: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	defer func() {
		cancel()
		<-done
	}()
	bind(t, g)
	select {
	case <-changed:
	case <-time.After(deadline):
		t.Fatal("no load was told")
	}
	told := s.Load(g.Order().ID)
	if len(told.Missing) > 0 {
		t.Errorf("missing on the pages of a real control plane: %v", told.Missing)
	}
	for _, name := range []v1alpha1.LoadMetricName{v1alpha1.LoadWatches, v1alpha1.LoadWritesPerSecond, v1alpha1.LoadDatabaseBytes, v1alpha1.LoadDatabaseInUseBytes} {
		if value, _ := load.Value(told, name); value <= 0 {
			t.Errorf("%s is %g: this control plane has some", name, value)
		}
	}
	onlyMetrics(t, g)
}

// bind a pod to a node: an API server counts bindings from the first.
func bind(t *testing.T, g guest) {
	t.Helper()
	client, err := kubernetes.NewForConfig(g.Config())
	if err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: corev1.PodSpec{SchedulerName: "none", Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
	if _, err := client.CoreV1().Pods("default").Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding := &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Target: corev1.ObjectReference{Kind: "Node", Name: "n"}}
	if err := client.CoreV1().Pods("default").Bind(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	page, status := get(t, g.Config(), "https://"+g.address()+"/metrics")
	if status != http.StatusOK {
		t.Fatalf("the administrator gets %d for /metrics", status)
	}
	read, err := load.ReadAPIServer(page)
	if err != nil || read.Counters.Bindings != 1 {
		t.Errorf("read %v bindings, want 1: %v", read, err)
	}
}

// onlyMetrics: the group that reads metrics may read them, and nothing that is in the guest.
func onlyMetrics(t *testing.T, g guest) {
	t.Helper()
	authority, err := g.Identity().Authority(string(controlplane.ClusterCA))
	if err != nil {
		t.Fatal(err)
	}
	config, err := apiserver.WithCertificate(g.Config(), authority, controlplane.MonitoringGroup, controlplane.MonitoringGroup)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{
		"/metrics": http.StatusOK, "/readyz": http.StatusOK, "/version": http.StatusOK,
		"/api/v1/pods": http.StatusForbidden, "/api/v1/secrets": http.StatusForbidden, "/api/v1/nodes": http.StatusForbidden,
		"/api/v1/namespaces/default/configmaps": http.StatusForbidden, "/logs/": http.StatusForbidden, "/debug/pprof/": http.StatusForbidden,
		"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings": http.StatusForbidden,
	} {
		if _, status := get(t, config, "https://"+g.address()+path); status != want {
			t.Errorf("GET %s as %s: %d, want %d", path, controlplane.MonitoringGroup, status, want)
		}
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, metav1.CreateOptions{}); err == nil {
		t.Error("who reads metrics can write")
	}
}

// get a page.
func get(t *testing.T, config *rest.Config, url string) (page *bytes.Reader, status int) {
	t.Helper()
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	err = wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, deadline, true, func(ctx context.Context) (bool, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return false, err
		}
		response, err := client.Do(request)
		if err != nil {
			return false, nil // it is asked again
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			return false, nil
		}
		page, status = bytes.NewReader(text), response.StatusCode
		return true, nil
	})
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	return page, status
}
