package scheduling

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/index"
	"github.com/myriad-fleet/myriad/internal/hub/ledger"
	"github.com/myriad-fleet/myriad/internal/hub/order"
	"github.com/myriad-fleet/myriad/internal/hub/write"
)

// indexer lets index.Add add its fields to a fake client.
type indexer struct{ builder *fake.ClientBuilder }

func (i indexer) IndexField(_ context.Context, object client.Object, field string, value client.IndexerFunc) error {
	i.builder.WithIndex(object, field, value)
	return nil
}

// region r with one cell and that many plain ports.
func region(t *testing.T, ports int32, funcs interceptor.Funcs, clusters ...client.Object) (*reconciler, client.Client) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	ten := v1alpha1.ZoneCapacity{Name: "a", CPU: resource.MustParse("10"), Memory: resource.MustParse("10Gi")}
	objects := slices.Concat(clusters, []client.Object{
		&v1alpha1.Region{ObjectMeta: metav1.ObjectMeta{Name: "r"}, Spec: v1alpha1.RegionSpec{Gateway: v1alpha1.RegionGateway{FirstPlainPort: 20000, LastPlainPort: 20000 + ports - 1}}},
		&v1alpha1.ClusterTemplate{ObjectMeta: metav1.ObjectMeta{Name: "standard"}, Spec: v1alpha1.ClusterTemplateSpec{Version: "v1.36.3", Availability: v1alpha1.Single}},
		&v1alpha1.Release{ObjectMeta: metav1.ObjectMeta{Name: "v1.36.3"}},
		&v1alpha1.Cell{ObjectMeta: metav1.ObjectMeta{Name: "c"}, Spec: v1alpha1.CellSpec{Region: "r", Zones: []string{"a"}}, Status: v1alpha1.CellStatus{
			Versions: []string{"v1.36.3"}, Zones: []v1alpha1.ZoneCapacity{ten},
			Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue}},
		}},
	})
	builder := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&v1alpha1.Cluster{}).WithInterceptorFuncs(funcs)
	if err := index.Add(t.Context(), indexer{builder}); err != nil {
		t.Fatal(err)
	}
	api := builder.Build()
	return &reconciler{client: api, live: api, clock: testingclock.NewFakePassiveClock(time.Now()), store: ledger.NewStore(api, api), written: &write.Versions{}}, api
}

func waitingCluster(name string, age time.Duration) *v1alpha1.Cluster {
	return &v1alpha1.Cluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name, UID: types.UID(name), CreationTimestamp: metav1.NewTime(time.Now().Add(-age).Truncate(time.Second))},
		Spec:       v1alpha1.ClusterSpec{Region: "r", Template: "standard"},
	}
}

func (r *reconciler) schedule(t *testing.T) {
	t.Helper()
	if _, err := r.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: "r"}}); err != nil {
		t.Fatal(err)
	}
}

func bookingOf(t *testing.T, api client.Client, name string) (order.Booking, bool) {
	t.Helper()
	var cluster v1alpha1.Cluster
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: "team", Name: name}, &cluster); err != nil {
		t.Fatal(err)
	}
	return order.BookingOf(&cluster)
}

// dying has every bind fail while so: the hub is killed between the Ledgers and the bind.
func dying(so *bool) interceptor.Funcs {
	return interceptor.Funcs{Patch: func(ctx context.Context, api client.WithWatch, object client.Object, patch client.Patch, options ...client.PatchOption) error {
		if *so {
			return context.Canceled
		}
		return api.Patch(ctx, object, patch, options...)
	}}
}

// edit a Cluster as its owner does.
func edit(t *testing.T, api client.Client, name string, change func(*v1alpha1.Cluster)) *v1alpha1.Cluster {
	t.Helper()
	cluster := &v1alpha1.Cluster{}
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: "team", Name: name}, cluster); err != nil {
		t.Fatal(err)
	}
	change(cluster)
	if err := api.Update(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	return cluster
}

func TestOldestGetsTheLastPort(t *testing.T) {
	r, api := region(t, 1, interceptor.Funcs{}, waitingCluster("a", time.Minute), waitingCluster("b", time.Hour), waitingCluster("c", time.Second))
	r.schedule(t)
	for name, want := range map[string]bool{"a": false, "b": true, "c": false} {
		if _, bound := bookingOf(t, api, name); bound != want {
			t.Errorf("Cluster %s bound: %t, want %t", name, bound, want)
		}
	}
}

// TestStaleCacheRepeatsItself: while the cache does not show a bind, every pass must repeat it to
// the letter, and must give nothing of it to others.
func TestStaleCacheRepeatsItself(t *testing.T) {
	stale := true
	var tried []order.Booking
	r, api := region(t, 10, interceptor.Funcs{Patch: func(ctx context.Context, api client.WithWatch, object client.Object, patch client.Patch, options ...client.PatchOption) error {
		if cluster, ok := object.(*v1alpha1.Cluster); ok && cluster.Name == "a" && stale {
			booking, _ := order.BookingOf(cluster)
			tried = append(tried, booking)
			return apierrors.NewConflict(schema.GroupResource{Resource: "clusters"}, cluster.Name, nil)
		}
		return api.Patch(ctx, object, patch, options...)
	}}, waitingCluster("a", time.Hour))
	r.schedule(t)
	if err := api.Create(t.Context(), waitingCluster("b", time.Minute)); err != nil {
		t.Fatal(err)
	}
	r.schedule(t)
	stale = false
	r.schedule(t)

	first, _ := bookingOf(t, api, "a")
	second, _ := bookingOf(t, api, "b")
	for _, booking := range tried {
		if fmt.Sprint(booking) != fmt.Sprint(first) {
			t.Errorf("a pass on a stale cache decided %v, the last one %v", booking, first)
		}
	}
	if len(tried) != 2 || first.PlainPort == second.PlainPort || second.ID == "" {
		t.Errorf("%d stale passes; a has %v, b has %v", len(tried), first, second)
	}
}

// TestPassedOverIsLookedAtAgain: a Cluster whose last status the cache does not show is passed over, and the event that
// brings it wakes nobody.
func TestPassedOverIsLookedAtAgain(t *testing.T) {
	r, api := region(t, 10, interceptor.Funcs{}, waitingCluster("a", time.Hour))
	written := waitingCluster("a", time.Hour)
	written.ResourceVersion = "1000000" // the cache shows what comes before
	r.written.Wrote(written)
	result, err := r.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: "r"}})
	if _, bound := bookingOf(t, api, "a"); err != nil || bound || result.RequeueAfter != unseenRetry {
		t.Errorf("bound %t, looked at again in %s, error %v", bound, result.RequeueAfter, err)
	}
}

// TestEditedWhileBooked: what is booked for a Cluster is not given to it when it may not lie there any more; and its evidence
// comes with the bind whichever pass made the booking.
func TestEditedWhileBooked(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		edit   func(*v1alpha1.Cluster)
		size   string // of the template, as CPU of the API server; empty: it stays
		want   string // reason of Scheduled; empty: bound
	}{
		"Same":      {reason: "nothing has changed", edit: func(*v1alpha1.Cluster) {}},
		"Residency": {reason: "its region is not in eu", edit: func(c *v1alpha1.Cluster) { c.Spec.Residency = &v1alpha1.Residency{Areas: []string{"eu"}} }, want: v1alpha1.ReasonResidencyUnmet},
		"Size":      {reason: "what is booked is less than it takes now, which is more than there is", edit: func(*v1alpha1.Cluster) {}, size: "7", want: v1alpha1.ReasonNoRoom},
		"Version":   {reason: "the cell does not have the version", edit: func(c *v1alpha1.Cluster) { c.Spec.Version = "v1.37.0" }, want: v1alpha1.ReasonNoRoom},
	} {
		t.Run(name, func(t *testing.T) {
			killed := true
			r, api := region(t, 1, dying(&killed), waitingCluster("a", time.Hour), &v1alpha1.Release{ObjectMeta: metav1.ObjectMeta{Name: "v1.37.0"}})
			if _, err := r.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: "r"}}); err == nil {
				t.Fatal("the hub was not killed")
			}
			killed = false
			edited := edit(t, api, "a", tc.edit)
			if tc.size != "" {
				template := &v1alpha1.ClusterTemplate{}
				if err := api.Get(t.Context(), client.ObjectKey{Name: "standard"}, template); err != nil {
					t.Fatal(err)
				}
				template.Spec.Size.APIServer.CPU = resource.MustParse(tc.size)
				if err := api.Update(t.Context(), template); err != nil {
					t.Fatal(err)
				}
			}
			r.schedule(t)
			if err := api.Get(t.Context(), client.ObjectKey{Namespace: "team", Name: "a"}, edited); err != nil {
				t.Fatal(err)
			}
			evidence, ok := order.Explanation(edited)
			_, bound := order.BookingOf(edited)
			if bound != (tc.want == "") || bound && (!ok || evidence.Placement.Cell != "c" || evidence.Placement.Region != "r") {
				t.Errorf("%s: bound %t, evidence %+v", tc.reason, bound, evidence.Placement)
			}
			if condition := meta.FindStatusCondition(edited.Status.Conditions, v1alpha1.ConditionScheduled); tc.want != "" && (condition == nil || condition.Reason != tc.want) {
				t.Errorf("%s: %+v", tc.reason, condition)
			}
			var room v1alpha1.Ledger
			if err := api.Get(t.Context(), client.ObjectKey{Name: "cell.c"}, &room); err != nil || (len(room.Bookings) == 0) != (tc.want != "") {
				t.Errorf("%s: booked %+v, error %v", tc.reason, room.Bookings, err)
			}
		})
	}
}

func TestClusterWithAnOrderGoesBackToIt(t *testing.T) {
	existing := func(change ...func(*v1alpha1.ControlPlane)) *v1alpha1.ControlPlane {
		o := &v1alpha1.ControlPlane{ObjectMeta: metav1.ObjectMeta{Namespace: "cell-c", Name: "abcdefghij"}, Spec: v1alpha1.ControlPlaneSpec{
			ID: "abcdefghij", Region: "r", Cluster: v1alpha1.ClusterReference{Namespace: "team", Name: "a"}, Zones: []string{"a"},
			Endpoint: v1alpha1.GuestEndpoint{PlainPort: 20007},
		}}
		for _, apply := range change {
			apply(o)
		}
		return o
	}
	cases := map[string]struct {
		reason string
		order  *v1alpha1.ControlPlane
		want   order.Booking
	}{
		"Live":      {reason: "its labels were lost", order: existing(), want: order.Booking{ID: "abcdefghij", Region: "r", Cell: "c", Zones: []string{"a"}, PlainPort: 20007}},
		"Tombstone": {reason: "an earlier guest of the name is still going", order: existing(func(o *v1alpha1.ControlPlane) { o.Spec.Tombstone = &v1alpha1.Tombstone{ID: o.Name} })},
		"Stray": {reason: "an earlier Cluster of the name vanished, its order is being taken back", order: existing(func(o *v1alpha1.ControlPlane) {
			o.Annotations = map[string]string{"fleet.myriad.dev/on-trial": "new/earlier"}
		})},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r, api := region(t, 10, interceptor.Funcs{}, waitingCluster("a", time.Hour), tc.order)
			r.schedule(t)
			got, bound := bookingOf(t, api, "a")
			if diff := cmp.Diff(tc.want, got); bound && diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if bound {
				return
			}
			var cluster v1alpha1.Cluster
			if err := api.Get(t.Context(), client.ObjectKey{Namespace: "team", Name: "a"}, &cluster); err != nil {
				t.Fatal(err)
			}
			if condition := meta.FindStatusCondition(cluster.Status.Conditions, v1alpha1.ConditionScheduled); condition == nil || condition.Reason != v1alpha1.ReasonNameTaken {
				t.Errorf("%s: %+v", tc.reason, condition)
			}
		})
	}
}

// TestTwoHubsRace: two hubs that both believe to lead promise no port and no room twice.
func TestTwoHubsRace(t *testing.T) {
	var clusters []client.Object
	for i := range 40 {
		clusters = append(clusters, waitingCluster(fmt.Sprintf("c%02d", i), time.Duration(i)*time.Second))
	}
	first, api := region(t, 60, interceptor.Funcs{}, clusters...)
	template := &v1alpha1.ClusterTemplate{}
	if err := api.Get(t.Context(), client.ObjectKey{Name: "standard"}, template); err != nil {
		t.Fatal(err)
	}
	template.Spec.Size.APIServer = v1alpha1.ComponentSize{CPU: resource.MustParse("200m"), Memory: resource.MustParse("1Mi")}
	if err := api.Update(t.Context(), template); err != nil { // 6 of the cell's 10 cores may be given away: to 30
		t.Fatal(err)
	}
	second := &reconciler{client: api, live: api, clock: first.clock, store: ledger.NewStore(api, api), written: &write.Versions{}}
	var group errgroup.Group
	for _, hub := range []*reconciler{first, second} {
		group.Go(func() error {
			for range 20 {
				if _, err := hub.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: "r"}}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	ports, bound := map[int32]string{}, 0
	for _, cluster := range clusters {
		booking, ok := bookingOf(t, api, cluster.GetName())
		if !ok {
			continue
		}
		bound++
		if other := ports[booking.PlainPort]; other != "" {
			t.Errorf("%s and %s have port %d", cluster.GetName(), other, booking.PlainPort)
		}
		ports[booking.PlainPort] = cluster.GetName()
	}
	if bound != 30 {
		t.Errorf("%d Clusters are bound where there is room for 30", bound)
	}
}

// TestKilledAfterTheLedger: a hub that dies between the Ledgers and the bind loses nothing: the next one gives
// the same bookings to the same Clusters.
func TestKilledAfterTheLedger(t *testing.T) {
	killed := true
	r, api := region(t, 10, dying(&killed), waitingCluster("a", time.Hour), waitingCluster("b", time.Minute))
	if _, err := r.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: "r"}}); err == nil {
		t.Fatal("the hub was not killed")
	}
	var before v1alpha1.Ledger
	if err := api.Get(t.Context(), client.ObjectKey{Name: "cell.c"}, &before); err != nil || len(before.Bookings) != 2 {
		t.Fatalf("booked: %+v: %v", before.Bookings, err)
	}
	killed = false
	next := &reconciler{client: api, live: api, clock: r.clock, store: ledger.NewStore(api, api), written: &write.Versions{}}
	next.schedule(t)
	for _, booking := range before.Bookings {
		got, bound := bookingOf(t, api, string(booking.Cluster))
		if !bound || got.ID != booking.ID || got.PlainPort != booking.PlainPort {
			t.Errorf("Cluster %s was booked %s with port %d, and has %+v", booking.Cluster, booking.ID, booking.PlainPort, got)
		}
	}
}
