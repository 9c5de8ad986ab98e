package kubernetes_test

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/objects"
)

// newStoppable is a fixture whose agent can be stopped, to be followed by another one.
func newStoppable(t *testing.T, change ...func(*kubernetes.Options)) (f *fixture, stop func()) {
	t.Helper()
	f = &fixture{T: t, api: cluster.nodes.api, log: &syncBuffer{}}
	f.cell = objects.Cell{Name: fmt.Sprintf("cell-%d", sequence.Add(1)), VolumeSize: volumeSize}
	f.Runtime, stop = f.start(change...)
	f.awaitLease()
	return f, stop
}

// TestRestart: an agent that restarts says of a guest what it is from the first moment on.
func TestRestart(t *testing.T) {
	t.Parallel()
	f, stop := newStoppable(t)
	order, m := f.create(v1alpha1.Zonal)
	cluster.nodes.set(objects.NamespaceName(order.ID), "kube-scheduler-b", crashing)
	f.awaitComponent(order.ID, "kube-scheduler-b", "dies", func(c runtime.Component) bool { return c.State == runtime.BackOff })
	before, err := f.Observe(t.Context(), order.ID)
	if err != nil {
		t.Fatal(err)
	}
	stop()
	f.Runtime, _ = f.start()
	f.awaitLease()
	f.apply(m)
	after, err := f.Observe(t.Context(), order.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, after, cmpopts.IgnoreFields(runtime.Component{}, "Since")); diff != "" {
		t.Errorf("after a restart (-before +after):\n%s", diff)
	}
}

// takesNoSecrets is a cell's API server that never answers who writes a Secret.
type takesNoSecrets struct{ http.RoundTripper }

func (s takesNoSecrets) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.Contains(r.URL.Path, "/secrets/") {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return s.RoundTripper.RoundTrip(r)
}

// TestRestartTells: an agent that restarts tells how a guest is before it has written anything.
func TestRestartTells(t *testing.T) {
	t.Parallel()
	f, stop := newStoppable(t)
	order, m := f.create(v1alpha1.Single)
	stop()
	f.Runtime, _ = f.start(func(o *kubernetes.Options) {
		o.Config = rest.CopyConfig(o.Config)
		o.Config.Wrap(func(next http.RoundTripper) http.RoundTripper { return takesNoSecrets{next} })
	})
	f.awaitLease()
	events, err := f.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if id := <-events; id != order.ID {
		t.Fatalf("the watch begins with guest %q", id)
	}
	f.apply(m)
	select {
	case <-events:
	case <-time.After(deadline):
		t.Fatal("nothing is told of the guest")
	}
	f.awaitReady(order.ID)
}

// TestDrillKept: a zone that is held stays so when the agent restarts, whether it finds its hub or not.
func TestDrillKept(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "drills.json")
	keep := func(o *kubernetes.Options) { o.DrillsFile = file }
	f, stop := newStoppable(t, keep)
	order, m := f.create(v1alpha1.Zonal)
	if err := f.Hold(t.Context(), []v1alpha1.Drill{{Zone: "b", Mode: v1alpha1.DrillKill}}); err != nil {
		t.Fatal(err)
	}
	held := func(o runtime.Observation) bool {
		c, _ := o.Component("etcd-b")
		return c.State == runtime.Held && len(f.pods(order.ID, "etcd-b")) == 0
	}
	f.await(order.ID, "zone b is held", held)
	stop()
	f.Runtime, _ = f.start(keep)
	f.eventually("apply", func() error { return f.Apply(t.Context(), m) })
	f.await(order.ID, "zone b is still held", held)
	for i := range m.Components { // by a change that has to be made elsewhere the guest was looked at
		if c := &m.Components[i]; c.Zone == "a" && c.Kind == controlplane.Scheduler {
			c.Args = append(slices.Clone(c.Args), "--v=1")
		}
	}
	f.apply(m)
	f.eventually("the change is made", func() error {
		set := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: objects.NamespaceName(order.ID), Name: "kube-scheduler-a"}}
		if f.get(set); !slices.Contains(set.Spec.Template.Spec.Containers[0].Args, "--v=1") {
			return errors.New("not yet")
		}
		return nil
	})
	f.await(order.ID, "zone b is still held after that", held)
}

// TestServiceGone: a Service that was deleted while no agent was there gets its address back, for a member of etcd is
// known by it.
func TestServiceGone(t *testing.T) {
	t.Parallel()
	f, stop := newStoppable(t)
	order, m := f.create(v1alpha1.Single)
	stop()
	var names []string
	want := map[string]string{}
	for i := range m.Components {
		c := &m.Components[i]
		names, want[c.Name] = append(names, c.Name), c.Host
		service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: objects.NamespaceName(order.ID), Name: c.Name}}
		if err := f.api.Delete(t.Context(), service); err != nil {
			t.Fatal(err)
		}
	}
	f.Runtime, _ = f.start()
	f.awaitLease()
	for range 2 { // made anew, and there
		got, err := f.Reserve(t.Context(), order.ID, names)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("addresses (-before +after):\n%s", diff)
		}
	}
}
