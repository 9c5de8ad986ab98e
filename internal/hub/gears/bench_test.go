package gears

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/gear"
	"github.com/myriad-fleet/myriad/internal/hub/index"
	"github.com/myriad-fleet/myriad/internal/hub/ledger"
	"github.com/myriad-fleet/myriad/internal/hub/order"
	"github.com/myriad-fleet/myriad/internal/hub/write"
)

// Writes per second of a Single guest that fit the gears of gear.Default: 20m at rest and 9m for each.
const (
	fitsNano  = 0
	fitsSmall = 24
)

var errKilled = errors.New("the hub was killed")

// bench is a hub's API with cells and guests, under a clock that only the test moves.
type bench struct {
	t      *testing.T
	clock  *testingclock.FakePassiveClock
	api    client.WithWatch // as everybody but the hub uses it
	hub    *reconciler
	writes atomic.Int64
	// dieAt is the write, counted from 1, at which the hub is killed: before it if dieBefore, else after.
	dieAt     int64
	dieBefore bool
	guests    int                  // that were made
	registry  *prometheus.Registry // of the hub
}

type indexer struct{ builder *fake.ClientBuilder }

func (i indexer) IndexField(_ context.Context, object client.Object, field string, value client.IndexerFunc) error {
	i.builder.WithIndex(object, field, value)
	return nil
}

func newBench(t *testing.T, objects ...client.Object) *bench {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, corev1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	b := &bench{t: t, clock: testingclock.NewFakePassiveClock(time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC))}
	builder := fake.NewClientBuilder().WithScheme(scheme).
		WithStatusSubresource(&v1alpha1.Cell{}, &v1alpha1.Cluster{}, &v1alpha1.ControlPlane{}, &v1alpha1.Gearbox{}).
		WithObjects(
			&v1alpha1.Region{ObjectMeta: metav1.ObjectMeta{Name: "r"}},
			&v1alpha1.Release{ObjectMeta: metav1.ObjectMeta{Name: "v1.36.3"}},
			&v1alpha1.ClusterTemplate{ObjectMeta: metav1.ObjectMeta{Name: "standard"}, Spec: v1alpha1.ClusterTemplateSpec{
				Version: "v1.36.3", Gears: &v1alpha1.GearBounds{Min: "nano"},
			}},
			&v1alpha1.Gearbox{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.DefaultGearbox}, Spec: gear.Default()},
		)
	if err := index.Add(t.Context(), indexer{builder}); err != nil {
		t.Fatal(err)
	}
	b.api = builder.Build()
	for _, object := range objects {
		b.create(object)
	}
	b.hub = b.newHub()
	return b
}

// newHub that has just begun to lead.
func (b *bench) newHub() *reconciler {
	mayDie := func(send func() error) error {
		n := b.writes.Add(1)
		if b.dieAt > 0 && (n > b.dieAt || n == b.dieAt && b.dieBefore) {
			return errKilled
		}
		if err := send(); err != nil {
			return err
		}
		if n == b.dieAt {
			return errKilled
		}
		return nil
	}
	api := interceptor.NewClient(b.api, interceptor.Funcs{
		Create: func(ctx context.Context, api client.WithWatch, object client.Object, options ...client.CreateOption) error {
			return mayDie(func() error { return api.Create(ctx, object, options...) })
		},
		Update: func(ctx context.Context, api client.WithWatch, object client.Object, options ...client.UpdateOption) error {
			return mayDie(func() error { return api.Update(ctx, object, options...) })
		},
		Patch: func(ctx context.Context, api client.WithWatch, object client.Object, patch client.Patch, options ...client.PatchOption) error {
			return mayDie(func() error { return api.Patch(ctx, object, patch, options...) })
		},
		SubResourcePatch: func(ctx context.Context, api client.Client, sub string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
			return mayDie(func() error { return api.SubResource(sub).Patch(ctx, object, patch, options...) })
		},
	})
	b.registry = prometheus.NewRegistry()
	gauge, err := register(b.registry)
	if err != nil {
		b.t.Fatal(err)
	}
	return &reconciler{
		client: api, live: api, clock: b.clock, store: ledger.NewStore(api, api), written: &write.Versions{}, restarts: newRestarts(), quiet: newQuiet(), blocked: gauge, idle: &atomic.Bool{},
	}
}

func (b *bench) create(object client.Object) {
	b.t.Helper()
	status := object.DeepCopyObject().(client.Object)
	if err := b.api.Create(b.t.Context(), object); err != nil {
		b.t.Fatal(err)
	}
	status.SetResourceVersion(object.GetResourceVersion())
	if err := b.api.Status().Update(b.t.Context(), status); err != nil && !strings.Contains(err.Error(), "not found") {
		b.t.Fatal(err)
	}
}

// cell with one zone of that many thousandths of a core, and no lack of memory.
func cell(name string, milliCPU int64, change ...func(*v1alpha1.Cell)) *v1alpha1.Cell {
	c := &v1alpha1.Cell{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.CellSpec{Region: "r", Zones: []string{"a"}}, Status: v1alpha1.CellStatus{
		Zones:      []v1alpha1.ZoneCapacity{{Name: "a", CPU: *resource.NewMilliQuantity(milliCPU, resource.DecimalSI), Memory: resource.MustParse("10Ti")}},
		Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonLeaseFresh}},
	}}
	for _, apply := range change {
		apply(c)
	}
	return c
}

// guest of a cell, Single and healthy, in gear nano, with that many writes per second.
func (b *bench) guest(cell, tenant, name string, writes int64, change ...func(*v1alpha1.Cluster, *v1alpha1.ControlPlane)) {
	b.t.Helper()
	b.guests++
	id := fmt.Sprintf("g%09d", b.guests)
	nano, _ := gear.Find(gear.Default(), "nano")
	cluster := &v1alpha1.Cluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: name, UID: types.UID(id)},
		Spec:       v1alpha1.ClusterSpec{Region: "r", Template: "standard"},
	}
	order.Booking{ID: id, Region: "r", Cell: cell, Zones: []string{"a"}, PlainPort: 20000}.Bind(cluster)
	o := &v1alpha1.ControlPlane{
		ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.CellNamespace(cell), Name: id, UID: types.UID(id), Generation: 1},
		Spec: v1alpha1.ControlPlaneSpec{
			ID: id, Region: "r", Cluster: v1alpha1.ClusterReference{Namespace: tenant, Name: name, Spec: cluster.Spec}, Availability: v1alpha1.Single,
			Zones: []string{"a"}, Size: gear.Size(nano), Tuning: gear.Tuning(nano), RenderRevision: controlplane.TuningRevision,
		},
		Status: v1alpha1.ControlPlaneStatus{
			ObservedGeneration: 1, Load: b.load(writes),
			Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady}},
		},
	}
	for _, apply := range change {
		apply(cluster, o)
	}
	b.create(cluster)
	b.create(o)
}

// load of that many writes per second, and nothing else.
func (b *bench) load(writes int64) *v1alpha1.Load {
	load := &v1alpha1.Load{SampledAt: metav1.NewTime(b.clock.Now())}
	for _, factor := range gear.Default().Factors {
		value := int64(0)
		if factor.Metric == v1alpha1.LoadWritesPerSecond {
			value = writes
		}
		load.Metrics = append(load.Metrics, v1alpha1.LoadMetric{Name: factor.Metric, Value: *resource.NewQuantity(value, resource.DecimalSI)})
	}
	return load
}

// look at a cell until there is nothing more to do now.
func (b *bench) look(cell string) {
	b.t.Helper()
	if err := b.tryLook(cell); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) tryLook(cell string) error {
	for range 20 {
		before := b.writes.Load()
		if _, err := b.hub.Reconcile(b.t.Context(), request(cell)); err != nil {
			return err
		}
		if b.writes.Load() == before {
			return nil
		}
	}
	return errors.New("the hub writes and writes")
}

func request(cell string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Name: cell}}
}

// pass that much time, at the end of which every agent reports anew, and look.
func (b *bench) pass(span time.Duration, cells ...string) {
	b.t.Helper()
	b.clock.SetTime(b.clock.Now().Add(span))
	b.reportAll(func(o *v1alpha1.ControlPlane) {
		if o.Status.Load != nil {
			o.Status.Load.SampledAt = metav1.NewTime(b.clock.Now())
		}
	})
	for _, cell := range cells {
		b.look(cell)
	}
}

func (b *bench) orders() []v1alpha1.ControlPlane {
	b.t.Helper()
	var list v1alpha1.ControlPlaneList
	if err := b.api.List(b.t.Context(), &list); err != nil {
		b.t.Fatal(err)
	}
	return list.Items
}

func (b *bench) orderOf(name string) *v1alpha1.ControlPlane {
	b.t.Helper()
	orders := b.orders()
	i := slices.IndexFunc(orders, func(o v1alpha1.ControlPlane) bool { return o.Spec.Cluster.Name == name })
	if i < 0 {
		b.t.Fatalf("there is no order for %s", name)
	}
	return &orders[i]
}

func (b *bench) clusterOf(name string) *v1alpha1.Cluster {
	b.t.Helper()
	reference := b.orderOf(name).Spec.Cluster
	var cluster v1alpha1.Cluster
	if err := b.api.Get(b.t.Context(), client.ObjectKey{Namespace: reference.Namespace, Name: reference.Name}, &cluster); err != nil {
		b.t.Fatal(err)
	}
	return &cluster
}

// report changes the status of a guest's order as its agent does.
func (b *bench) report(name string, change func(*v1alpha1.ControlPlane)) {
	b.t.Helper()
	o := b.orderOf(name)
	change(o)
	if err := b.api.Status().Update(b.t.Context(), o); err != nil {
		b.t.Fatal(err)
	}
}

// reportAll changes the status of every order as the agents do.
func (b *bench) reportAll(change func(*v1alpha1.ControlPlane)) {
	b.t.Helper()
	for _, o := range b.orders() {
		change(&o)
		if err := b.api.Status().Update(b.t.Context(), &o); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *bench) cell(name string) *v1alpha1.Cell {
	b.t.Helper()
	var cell v1alpha1.Cell
	if err := b.api.Get(b.t.Context(), client.ObjectKey{Name: name}, &cell); err != nil {
		b.t.Fatal(err)
	}
	return &cell
}

// gearbox changes the Gearbox as an operator does.
func (b *bench) gearbox(change func(*v1alpha1.GearboxSpec)) {
	b.t.Helper()
	var box v1alpha1.Gearbox
	if err := b.api.Get(b.t.Context(), client.ObjectKey{Name: v1alpha1.DefaultGearbox}, &box); err != nil {
		b.t.Fatal(err)
	}
	change(&box.Spec)
	if err := b.api.Update(b.t.Context(), &box); err != nil {
		b.t.Fatal(err)
	}
}

// wantGears of a guest: those of its order, as "size/tuning", and the moves that led there, as "kind from>to".
func (b *bench) wantGears(why, name, gears string, moves ...string) {
	b.t.Helper()
	o := b.orderOf(name)
	if got := o.Spec.Size.Gear + "/" + tuningGear(o); got != gears {
		b.t.Errorf("%s: %s has the gears %s, want %s", why, name, got, gears)
	}
	var got []string
	if last := b.clusterOf(name).Status.Gear; last != nil {
		for _, move := range slices.Backward(last.Moves) {
			got = append(got, fmt.Sprintf("%s %s>%s", move.Kind, move.From, move.To))
		}
		if last.Size+"/"+last.Tuning != gears {
			b.t.Errorf("%s: %s is reported in %s/%s, want %s", why, name, last.Size, last.Tuning, gears)
		}
	}
	if !slices.Equal(got, moves) {
		b.t.Errorf("%s: %s moved %v, want %v", why, name, got, moves)
	}
}

func (b *bench) reason(name string) string {
	b.t.Helper()
	if last := b.clusterOf(name).Status.Gear; last != nil {
		return last.Reason
	}
	return ""
}

func (b *bench) gearsFit(cell string) metav1.Condition {
	b.t.Helper()
	condition := meta.FindStatusCondition(b.cell(cell).Status.Conditions, v1alpha1.ConditionGearsFit)
	if condition == nil {
		return metav1.Condition{}
	}
	return *condition
}
