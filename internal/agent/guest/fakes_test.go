package guest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/agent/bootstrap"
	"github.com/myriad-fleet/myriad/internal/agent/certificates"
	"github.com/myriad-fleet/myriad/internal/agent/etcd"
	"github.com/myriad-fleet/myriad/internal/agent/identity"
	"github.com/myriad-fleet/myriad/internal/agent/orders"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

const testID = "abcdefghij"

// world is all that outlives a crash of the agent: its directory, the runtime, the hub, and what the
// bootstrap left inside the guest.
type world struct {
	t       *testing.T
	dir     string
	clock   *clocktesting.FakeClock
	runtime *fakeRuntime
	hub     *fakeHub
	inside  *fakeBootstrap
	load    fakeLoad
	etcd    *fakeEtcd
	crash   *crash // shared by all fakes; nil for none
	leaves  time.Duration

	orderChanges int // on disk

	beforeWork func() // called when an agent has booted; nil for nothing
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return &world{
		t: t, dir: t.TempDir(), leaves: 30 * 24 * time.Hour, clock: clocktesting.NewFakeClock(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)),
		runtime: &fakeRuntime{state: map[string]runtime.Observation{}, manifests: map[string]controlplane.Manifest{}},
		hub:     &fakeHub{synced: true, orders: map[string]*v1alpha1.ControlPlane{}},
		inside:  &fakeBootstrap{notes: map[string]bool{}},
		etcd:    &fakeEtcd{starts: controlplane.EtcdSealed, kept: map[string]etcd.Guest{}},
	}
}

// boot starts an agent over the world, as after a crash.
func (w *world) boot() *Reconciler {
	w.t.Helper()
	store, err := orders.Open(w.dir, slog.New(slog.DiscardHandler))
	if err != nil {
		w.t.Fatalf("open the orders: %v", err)
	}
	store.OnChange(func() { w.orderChanges++ })
	w.runtime.crash, w.hub.crash, w.inside.crash, w.etcd.crash = w.crash, w.crash, w.crash, w.crash
	if w.beforeWork != nil {
		w.beforeWork()
	}
	return New(Options{
		Runtime: w.runtime, Hub: w.hub, Bootstrap: w.inside, Etcd: w.etcd, Load: w.load,
		Orders:     &crashingOrders{Orders: store, crash: w.crash},
		Identities: &crashingIdentities{identity.NewStore(filepath.Join(w.dir, "identities"), w.clock), w.crash},
		Certificates: &crashingCertificates{
			certificates.NewStore(filepath.Join(w.dir, "certificates"), w.leaves, w.clock), w.crash,
		},
		Clock: w.clock, Log: slog.New(slog.DiscardHandler),
	})
}

// settle looks at the guest until nothing changes any more.
func (w *world) settle(r *Reconciler) error {
	w.t.Helper()
	var err error
	for range 3 { // apply, bootstrap, report
		_, err = r.Reconcile(w.t.Context(), testID)
		r.running.Wait()
	}
	return err
}

// leftovers are the files of the guest in the agent's directory.
func (w *world) leftovers() []string {
	w.t.Helper()
	var found []string
	err := filepath.WalkDir(w.dir, func(path string, _ fs.DirEntry, err error) error {
		if strings.Contains(filepath.Base(path), testID) {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return found
}

func (w *world) condition(kind string) metav1.Condition {
	w.t.Helper()
	status, ok := w.hub.reports[testID]
	if !ok {
		return metav1.Condition{}
	}
	if found := meta.FindStatusCondition(status.Conditions, kind); found != nil {
		return *found
	}
	return metav1.Condition{}
}

func (w *world) want(kind string, status metav1.ConditionStatus, reason, message string) {
	w.t.Helper()
	got := w.condition(kind)
	if got.Status != status || got.Reason != reason || !strings.Contains(got.Message, message) {
		w.t.Errorf("condition %s: got %s, %s, %q; want %s, %s, %q", kind, got.Status, got.Reason, got.Message, status, reason, message)
	}
}

// testOrder is a valid order for a Single guest.
func testOrder() *v1alpha1.ControlPlane {
	return &v1alpha1.ControlPlane{
		ObjectMeta: metav1.ObjectMeta{Name: testID, Namespace: "cell-hz-1", Generation: 1},
		Spec: v1alpha1.ControlPlaneSpec{
			ID: testID, Region: "cn-hangzhou", Version: "v1.36.3", EtcdVersion: "v3.6.16",
			Cluster:      v1alpha1.ClusterReference{Namespace: "team-a", Name: "hello"},
			Availability: v1alpha1.Single, Zones: []string{"a", "b", "c"},
			Network:        v1alpha1.ClusterNetwork{PodCIDR: "10.244.0.0/16", ServiceCIDR: "10.96.0.0/16"},
			Endpoint:       v1alpha1.GuestEndpoint{ServerName: testID + ".guests.test", Address: "127.9.0.1", Port: 6443, PlainPort: 20001},
			RenderRevision: 1, Epoch: 1,
		},
	}
}

// fakeRuntime starts everything at once, unless fail says otherwise.
type fakeRuntime struct {
	crash     *crash
	fail      map[string]error // by method
	manifests map[string]controlplane.Manifest
	state     map[string]runtime.Observation
	applied   []controlplane.Manifest
	deleted   []string
}

func (f *fakeRuntime) Reserve(_ context.Context, _ string, names []string) (map[string]string, error) {
	defer f.crash.step()
	f.crash.step()
	hosts := map[string]string{}
	for i, name := range names {
		hosts[name] = fmt.Sprintf("127.9.1.%d", i+1)
	}
	return hosts, f.fail["Reserve"]
}

func (f *fakeRuntime) Apply(_ context.Context, m controlplane.Manifest) error {
	defer f.crash.step()
	f.crash.step()
	if err := f.fail["Apply"]; err != nil {
		return err
	}
	f.manifests[m.ID], f.applied = m, append(f.applied, m)
	observation := runtime.Observation{Exists: true}
	for _, c := range m.Components {
		state := runtime.Running
		if c.Stopped {
			state = runtime.Held
		}
		observation.Components = append(observation.Components, runtime.Component{Name: c.Name, State: state, Ready: !c.Stopped})
	}
	f.state[m.ID] = observation
	return nil
}

func (f *fakeRuntime) Observe(_ context.Context, id string) (runtime.Observation, error) {
	defer f.crash.step()
	f.crash.step()
	return f.state[id], f.fail["Observe"]
}

func (f *fakeRuntime) Delete(_ context.Context, id string) error {
	defer f.crash.step()
	f.crash.step()
	if err := f.fail["Delete"]; err != nil {
		return err
	}
	delete(f.state, id)
	delete(f.manifests, id)
	f.deleted = append(f.deleted, id)
	return nil
}

func (f *fakeRuntime) Watch(ctx context.Context) (<-chan string, error) {
	events := make(chan string)
	context.AfterFunc(ctx, func() { close(events) })
	return events, nil
}

// set changes how one component is.
func (f *fakeRuntime) set(name string, change func(*runtime.Component)) {
	observation := f.state[testID]
	observation.Components = append([]runtime.Component{}, observation.Components...)
	for i := range observation.Components {
		if observation.Components[i].Name == name {
			change(&observation.Components[i])
		}
	}
	f.state[testID] = observation
}

type fakeHub struct {
	crash   *crash
	synced  bool
	orders  map[string]*v1alpha1.ControlPlane
	reports map[string]v1alpha1.ControlPlaneStatus
	written int
}

func (f *fakeHub) ControlPlane(id string) (*v1alpha1.ControlPlane, bool) {
	f.crash.step()
	return f.orders[id].DeepCopy(), f.synced
}

func (f *fakeHub) Report(id string, status v1alpha1.ControlPlaneStatus) {
	defer f.crash.step()
	f.crash.step()
	if f.reports == nil {
		f.reports = map[string]v1alpha1.ControlPlaneStatus{}
	}
	f.written++
	f.reports[id] = status
	if order := f.orders[id]; order != nil {
		order.Status = *status.DeepCopy()
	}
}

func (f *fakeHub) Forget(string) { f.crash.step() }

type fakeBootstrap struct {
	crash *crash
	mu    sync.Mutex
	notes map[string]bool
	older map[string]bool // bootstrapped by an agent that did less
	runs  int
}

func (f *fakeBootstrap) Done(id string) bool {
	f.crash.step()
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.notes[id]
}

// Run crashes without a panic: it has a goroutine of its own.
func (f *fakeBootstrap) Current(id string) bool { return f.Done(id) && !f.older[id] }

func (f *fakeBootstrap) Run(ctx context.Context, guest bootstrap.Guest) error {
	if f.crash.due() || ctx.Err() != nil {
		return errors.Join(errCrash, ctx.Err())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.notes[guest.ID] = true
	delete(f.older, guest.ID)
	f.runs++
	return nil
}

func (f *fakeBootstrap) Remove(id string) error {
	defer f.crash.step()
	f.crash.step()
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.notes, func(known string, _ bool) bool { return known == id })
	return nil
}

// fakeLoad is what was sampled, by guest.
type fakeLoad map[string]*v1alpha1.Load

func (f fakeLoad) Load(id string) *v1alpha1.Load { return f[id] }
