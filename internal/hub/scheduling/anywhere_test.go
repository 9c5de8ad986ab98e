package scheduling

import (
	"context"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/index"
	"github.com/myriad-fleet/myriad/internal/hub/order"
)

// inArea leaves the region to placement.
func inArea(cluster *v1alpha1.Cluster) *v1alpha1.Cluster {
	cluster.Spec.Region, cluster.Spec.Residency = "", &v1alpha1.Residency{Areas: []string{"eu"}}
	return cluster
}

// europe is two regions of one cell each, of which the first has one plain port and the second many.
func europe(t *testing.T, funcs interceptor.Funcs, clusters ...client.Object) (*reconciler, client.Client) {
	t.Helper()
	r, api := region(t, 1, funcs, clusters...)
	var first v1alpha1.Region
	if err := api.Get(t.Context(), client.ObjectKey{Name: "r"}, &first); err != nil {
		t.Fatal(err)
	}
	first.Spec.Area = "eu"
	if err := api.Update(t.Context(), &first); err != nil {
		t.Fatal(err)
	}
	var cell v1alpha1.Cell
	if err := api.Get(t.Context(), client.ObjectKey{Name: "c"}, &cell); err != nil {
		t.Fatal(err)
	}
	second, there := first.DeepCopy(), cell.DeepCopy()
	second.Name, second.ResourceVersion, second.Spec.Gateway.LastPlainPort = "s", "", 20099
	there.Name, there.ResourceVersion, there.Spec.Region = "d", "", "s"
	for _, object := range []client.Object{second, there} {
		if err := api.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	return r, api
}

func (r *reconciler) scheduleAnywhere(t *testing.T) time.Duration {
	t.Helper()
	result, err := r.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: index.AnyRegion}})
	if err != nil {
		t.Fatal(err)
	}
	return result.RequeueAfter
}

// TestAnywhere: Clusters that leave the region to placement land where there is room, and nothing of it is given away
// twice.
func TestAnywhere(t *testing.T) {
	var clusters []client.Object
	for i := range 6 {
		clusters = append(clusters, inArea(waitingCluster(fmt.Sprintf("c%d", i), time.Duration(i)*time.Second)))
	}
	r, api := europe(t, interceptor.Funcs{}, clusters...)
	r.scheduleAnywhere(t)
	taken := map[string]string{}
	for _, cluster := range clusters {
		booking, bound := bookingOf(t, api, cluster.GetName())
		if !bound {
			t.Errorf("%s is not bound", cluster.GetName())
			continue
		}
		port := fmt.Sprint(booking.Region, ":", booking.PlainPort)
		if other := taken[port]; other != "" {
			t.Errorf("%s and %s have port %s", cluster.GetName(), other, port)
		}
		taken[port] = cluster.GetName()
		for _, name := range []string{v1alpha1.RegionLedger(booking.Region), v1alpha1.CellLedger(booking.Cell)} {
			if !isBooked(t, api, name, booking.ID) {
				t.Errorf("%s is bound, and Ledger %s does not have it", cluster.GetName(), name)
			}
		}
	}
}

func isBooked(t *testing.T, api client.Client, name, id string) bool {
	t.Helper()
	var ledger v1alpha1.Ledger
	if err := api.Get(t.Context(), client.ObjectKey{Name: name}, &ledger); err != nil {
		t.Fatal(err)
	}
	for _, booking := range ledger.Bookings {
		if booking.ID == id {
			return true
		}
	}
	return false
}

// TestChosenAnew: what is taken between the choice and the booking is not given away again: the Cluster is not bound,
// is not told that it cannot be, and is looked at again at once.
func TestChosenAnew(t *testing.T) {
	reads := 0
	taken := &v1alpha1.ControlPlane{ObjectMeta: metav1.ObjectMeta{Namespace: "cell-c", Name: "abcdefghij"}, Spec: v1alpha1.ControlPlaneSpec{
		ID: "abcdefghij", Region: "r", Zones: []string{"a"}, Endpoint: v1alpha1.GuestEndpoint{PlainPort: 20000},
	}}
	r, api := europe(t, interceptor.Funcs{List: func(ctx context.Context, api client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
		if _, orders := list.(*v1alpha1.ControlPlaneList); orders {
			if reads++; reads == 3 { // the regions r and s to choose, then r to book: its only port is gone
				if err := api.Create(ctx, taken); err != nil {
					return err
				}
			}
		}
		return api.List(ctx, list, options...)
	}}, inArea(waitingCluster("late", time.Minute)))
	if again := r.scheduleAnywhere(t); again != staleRetry {
		t.Errorf("looked at again in %s, want %s", again, staleRetry)
	}
	var cluster v1alpha1.Cluster
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: "team", Name: "late"}, &cluster); err != nil {
		t.Fatal(err)
	}
	if booking, bound := order.BookingOf(&cluster); bound || len(cluster.Status.Conditions) > 0 {
		t.Errorf("bound to %+v, told %+v", booking, cluster.Status.Conditions)
	}
	r.scheduleAnywhere(t)
	if booking, _ := bookingOf(t, api, "late"); booking.Region != "s" {
		t.Errorf("then in region %q, want s", booking.Region)
	}
}

// TestEditedWhileBookedAnywhere: what was booked for a Cluster that leaves the region to placement goes when it may not lie there
// any more, by whichever pass comes first.
func TestEditedWhileBookedAnywhere(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		edit   func(*v1alpha1.Cluster)
		pass   string
	}{
		"Version":   {reason: "no cell has it: the pass that refuses it writes that region", edit: func(c *v1alpha1.Cluster) { c.Spec.Version = "v1.37.0" }, pass: index.AnyRegion},
		"Residency": {reason: "the pass that places it does not look there: the region's own does", edit: func(c *v1alpha1.Cluster) { c.Spec.Residency.Areas = []string{"us"} }, pass: "r"},
	} {
		t.Run(name, func(t *testing.T) {
			killed := true
			r, api := europe(t, dying(&killed), inArea(waitingCluster("a", time.Hour)), &v1alpha1.Release{ObjectMeta: metav1.ObjectMeta{Name: "v1.37.0"}})
			if _, err := r.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: index.AnyRegion}}); err == nil {
				t.Fatal("the hub was not killed")
			}
			if n := bookings(t, api); n != 2 {
				t.Fatalf("%d bookings of room and port", n)
			}
			killed = false
			edit(t, api, "a", tc.edit)
			passes := []string{tc.pass}
			if tc.pass != index.AnyRegion {
				passes = []string{"r", "s"} // wherever it was booked
			}
			for _, name := range passes {
				if _, err := r.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: name}}); err != nil {
					t.Fatal(err)
				}
			}
			if n := bookings(t, api); n != 0 {
				t.Errorf("%s: %d bookings are left", tc.reason, n)
			}
		})
	}
}

// bookings in all Ledgers.
func bookings(t *testing.T, api client.Client) (n int) {
	t.Helper()
	var all v1alpha1.LedgerList
	if err := api.List(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	for i := range all.Items {
		n += len(all.Items[i].Bookings)
	}
	return n
}
