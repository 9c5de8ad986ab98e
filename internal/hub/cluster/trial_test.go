package cluster

import (
	"context"
	"errors"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/order"
)

// vanishIf so: the end of a DELETE that read the Cluster before its bind, which no finalizer stops.
func vanishIf(ctx context.Context, api client.Client, so bool) error {
	gone := bound()
	if err := api.Get(ctx, client.ObjectKeyFromObject(gone), gone); err != nil || !so {
		return client.IgnoreNotFound(err)
	}
	gone.Finalizers = nil
	if err := api.Update(ctx, gone); err != nil {
		return err
	}
	return api.Delete(ctx, gone)
}

// TestClusterVanishesWhileItsOrderIsWritten: at whatever point of the work it vanishes, the events
// that follow bring the order's end.
func TestClusterVanishesWhileItsOrderIsWritten(t *testing.T) {
	at := func(before, after, report bool) interceptor.Funcs {
		return interceptor.Funcs{
			Create: func(ctx context.Context, api client.WithWatch, object client.Object, options ...client.CreateOption) error {
				object.SetCreationTimestamp(metav1.NewTime(now))
				return errors.Join(vanishIf(ctx, api, before), api.Create(ctx, object, options...), vanishIf(ctx, api, after))
			},
			SubResourcePatch: func(ctx context.Context, api client.Client, part string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
				if err := vanishIf(ctx, api, report); err != nil {
					return err
				}
				return api.SubResource(part).Patch(ctx, object, patch, options...)
			},
		}
	}
	cases := map[string]struct {
		reason string
		funcs  interceptor.Funcs
	}{
		"BeforeOrder": {"the cache showed a Cluster that was gone", at(true, false, false)},
		"AfterOrder":  {"it went before the order was seen", at(false, true, false)},
		"AtReport":    {"it was still there after the order was written, and gone when its status was", at(false, false, true)},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			server := apiWith(t, tc.funcs, append(offer(), bound())...)
			reconcileOnce(t, server, server)
			if _, err := readOrder(t, server); err != nil {
				t.Fatal(err)
			}
			reconcileOnce(t, server, server) // for the removal of the Cluster, or the order's event
			if found, err := readOrder(t, server); err != nil || found.Spec.Tombstone == nil {
				t.Errorf("%s: tombstone %v, %v", tc.reason, found.Spec.Tombstone, err)
			}
		})
	}
}

func existing(change ...func(*v1alpha1.ControlPlane)) *v1alpha1.ControlPlane {
	o := &v1alpha1.ControlPlane{
		ObjectMeta: metav1.ObjectMeta{Namespace: "cell-c", Name: id, Finalizers: []string{v1alpha1.Finalizer}, CreationTimestamp: metav1.NewTime(now.Add(-time.Minute))},
		Spec:       v1alpha1.ControlPlaneSpec{ID: id, Cluster: v1alpha1.ClusterReference{Namespace: "team", Name: "prod"}},
	}
	for _, apply := range change {
		apply(o)
	}
	return o
}

// onTrial for a Cluster of that UID; what is "new" or "orphan".
func onTrial(value string) func(*v1alpha1.ControlPlane) {
	return func(o *v1alpha1.ControlPlane) {
		o.Annotations = map[string]string{"fleet.myriad.dev/on-trial": value}
	}
}

func entombed(o *v1alpha1.ControlPlane) { o.Spec.Tombstone = &v1alpha1.Tombstone{ID: id} }

func removed(o *v1alpha1.ControlPlane) {
	o.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionDeleted, Status: metav1.ConditionTrue}}
}

func TestOrdersOfAClusterThatIsGone(t *testing.T) {
	const kept, tombstoned, gone = "kept", "tombstoned", "gone"
	again := bound()
	again.UID, again.Labels = "2", nil
	restored := bound()
	restored.UID = "2"
	cases := map[string]struct {
		reason string
		order  *v1alpha1.ControlPlane
		live   []client.Object
		want   string
	}{
		"Removed":      {reason: "its removal was ordered and is done", order: existing(entombed, removed), want: gone},
		"NotYet":       {reason: "the agent has not removed it yet", order: existing(entombed), want: tombstoned},
		"OnTrial":      {reason: "its Cluster vanished under it", order: existing(onTrial("new/1")), want: tombstoned},
		"StaleCache":   {reason: "the Cluster exists, the cache does not show it", order: existing(onTrial("new/1")), live: []client.Object{bound()}, want: kept},
		"AnotherOne":   {reason: "the Cluster that exists now is not the order's", order: existing(onTrial("new/1")), live: []client.Object{again}, want: tombstoned},
		"Restored":     {reason: "a restored Cluster has another UID, and says which guest is its own", order: existing(onTrial("new/1")), live: []client.Object{restored}, want: kept},
		"Orphan":       {reason: "a guest that was to be adopted runs on, as the orphan that it was", order: existing(onTrial("orphan/1")), want: gone},
		"NoTrial":      {reason: "nothing is deleted because something else is missing", order: existing(), want: kept},
		"NothingAsked": {reason: "an agent's word alone removes nothing", order: existing(removed), want: kept},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cached := api(t, tc.order)
			reconcileOnce(t, cached, both{Reader: api(t, tc.live...), orders: cached})
			found, err := readOrder(t, cached)
			got := kept
			switch {
			case apierrors.IsNotFound(err):
				got = gone
			case found.Spec.Tombstone != nil:
				got = tombstoned
			}
			if got != tc.want {
				t.Errorf("%s: %s, want %s", tc.reason, got, tc.want)
			}
		})
	}
}

// both reads orders where they are written, and Clusters as the API server has them.
type both struct {
	client.Reader
	orders client.Reader
}

func (b both) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	return b.orders.Get(ctx, key, object, options...)
}

func TestOrderStaysWhenNobodyCanSayWhetherItsClusterExists(t *testing.T) {
	silent := apiWith(t, interceptor.Funcs{List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
		return apierrors.NewGenericServerResponse(404, "list", v1alpha1.GroupVersion.WithResource("clusters").GroupResource(), "", "", 0, true)
	}})
	cached := api(t, existing(onTrial("new/1")))
	if _, err := tryReconcile(t, cached, silent); err == nil {
		t.Error("an API server that does not serve Clusters was believed: no error, so nobody tries again")
	}
	if found, err := readOrder(t, cached); err != nil || found.Spec.Tombstone != nil {
		t.Errorf("tombstone %v, %v", found.Spec.Tombstone, err)
	}
}

func TestTrialEnds(t *testing.T) {
	cases := map[string]struct {
		reason  string
		age     time.Duration
		took    time.Duration // that statuses take to be written
		began   time.Duration // for how long this hub has been at work; 0: longer than the order is old
		onTrial bool
		again   time.Duration
	}{
		"Young":     {reason: "a DELETE may still be under way", age: time.Minute, onTrial: true, again: 4 * time.Minute},
		"Old":       {reason: "every DELETE that comes now sees the finalizer", age: trialTime},
		"Rush":      {reason: "others wait for the API server", age: trialTime, took: time.Second, onTrial: true, again: busyRetry},
		"Oldest":    {reason: "a rush that lasts for long is none", age: longestTrial, took: time.Second},
		"Restarted": {reason: "ten thousand that are overdue are not ended at once", age: 10 * time.Minute, began: time.Second, onTrial: true, again: 225_691 * time.Millisecond},
		"Later":     {reason: "all that were overdue have had their turn", age: 10 * time.Minute, began: overdueIn},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			server := api(t, append(offer(), bound(), existing(onTrial("new/1"), func(o *v1alpha1.ControlPlane) {
				o.UID, o.CreationTimestamp = "an-order", metav1.NewTime(now.Add(-tc.age))
			}))...)
			steps := newSteps(t, server)
			steps.memory.took, steps.memory.began = tc.took, now.Add(-tc.began)
			if tc.began == 0 {
				steps.memory.began = now.Add(-24 * time.Hour)
			}
			if again := steps.after(0); again != tc.again {
				t.Errorf("%s: looked at again after %s, want %s", tc.reason, again, tc.again)
			}
			found, err := readOrder(t, server)
			if err != nil {
				t.Fatal(err)
			}
			if _, got := order.TrialOf(found); got != tc.onTrial {
				t.Errorf("%s: on trial %t, want %t", tc.reason, got, tc.onTrial)
			}
		})
	}
}

// TestStrayBesideItsSuccessor: the order of a Cluster that vanished is removed, and the one of the
// Cluster that was made under the same name is not touched.
func TestStrayBesideItsSuccessor(t *testing.T) {
	successor := bound()
	successor.UID = types.UID("2")
	stray := existing(onTrial("new/1"), func(o *v1alpha1.ControlPlane) { o.Name, o.Spec.ID = "zzzzzzzzzz", "zzzzzzzzzz" })
	server := api(t, append(offer(), successor, stray)...)
	reconcileOnce(t, server, server)
	if found, err := readOrder(t, server); err != nil || found.Spec.Tombstone != nil {
		t.Errorf("the successor's own order: tombstone %v, %v", found.Spec.Tombstone, err)
	}
	if err := server.Get(t.Context(), client.ObjectKeyFromObject(stray), stray); err != nil || stray.Spec.Tombstone == nil {
		t.Errorf("the stray: tombstone %v, %v", stray.Spec.Tombstone, err)
	}
}

// TestOrphanThatMayNotBeHad: what a restored hub finds for a bound Cluster is an orphan that is being removed, or claims what is
// others'. Its order is not written again.
func TestOrphanThatMayNotBeHad(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		change func(*v1alpha1.ControlPlaneSpec)
		want   bool // an order
	}{
		"Fine":      {reason: "it is the guest's own", change: func(*v1alpha1.ControlPlaneSpec) {}, want: true},
		"Tombstone": {reason: "its agent still removes it", change: func(o *v1alpha1.ControlPlaneSpec) { o.Tombstone = &v1alpha1.Tombstone{ID: id} }},
		"Name":      {reason: "gateways would send others' clients there", change: func(o *v1alpha1.ControlPlaneSpec) { o.Endpoint.ServerName = "other.example" }},
	} {
		t.Run(name, func(t *testing.T) {
			orphan := v1alpha1.ControlPlaneSpec{
				ID: id, Region: "r", Zones: []string{"a"}, Cluster: v1alpha1.ClusterReference{Namespace: "team", Name: "prod"},
				Endpoint: v1alpha1.GuestEndpoint{ServerName: id + ".r.example", PlainPort: 20000},
			}
			tc.change(&orphan)
			objects := offer()
			for _, o := range objects {
				if cell, ok := o.(*v1alpha1.Cell); ok {
					cell.Status.Orphans = []v1alpha1.Orphan{{ID: id, Order: orphan}}
				}
			}
			c := api(t, append(objects, bound())...)
			reconcileOnce(t, c, c)
			if _, err := readOrder(t, c); (err == nil) != tc.want || err != nil && !apierrors.IsNotFound(err) {
				t.Errorf("%s: reading the order: %v", tc.reason, err)
			}
		})
	}
}
