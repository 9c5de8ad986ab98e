package ledger

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/order"
	"github.com/myriad-fleet/myriad/internal/placement"
)

// source is one cell of 10 cores that keeps 40 % of them, with one order of 1 core and its Cluster.
func source(promises *Promises) Source {
	core := v1alpha1.ComponentSize{CPU: resource.MustParse("1"), Memory: resource.MustParse("1Mi")}
	o := v1alpha1.ControlPlane{ObjectMeta: metav1.ObjectMeta{Namespace: "cell-c", Name: "g000000001", UID: "o", ResourceVersion: "1"}, Spec: v1alpha1.ControlPlaneSpec{
		ID: "g000000001", Availability: v1alpha1.Single, Zones: []string{"a"}, Size: v1alpha1.ControlPlaneSize{APIServer: core},
		Cluster: v1alpha1.ClusterReference{Namespace: "team", Name: "shop"}, Endpoint: v1alpha1.GuestEndpoint{PlainPort: 20000},
	}}
	bound := v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "shop"}}
	order.BookingFor(&o).Bind(&bound)
	return Source{
		Cells: []v1alpha1.Cell{{ObjectMeta: metav1.ObjectMeta{Name: "c"}, Spec: v1alpha1.CellSpec{Zones: []string{"a"}}, Status: v1alpha1.CellStatus{
			Zones: []v1alpha1.ZoneCapacity{{Name: "a", CPU: resource.MustParse("10"), Memory: resource.MustParse("1Gi")}},
		}}},
		Orders: []v1alpha1.ControlPlane{o}, Clusters: []v1alpha1.Cluster{bound}, Promises: promises,
	}
}

func cpu(milli int64) []placement.Demand {
	return []placement.Demand{{Vector: placement.Vector{MilliCPU: milli, Memory: 1 << 20}}}
}

func TestCount(t *testing.T) {
	other := Bind{Tenant: "team", Booking: order.Booking{ID: "g000000002", Cell: "c", Zones: []string{"a"}, PlainPort: 20001}, Demand: cpu(500)}
	cases := map[string]struct {
		reason string
		change func(*Source)
		want   int64 // thousandths of a core that are promised
	}{
		"Once":    {reason: "an order and its Cluster are one guest", want: 1000},
		"Bind":    {reason: "a bind that the cache does not show", change: func(s *Source) { s.Promises.Bind("r", "c2", other) }, want: 1500},
		"Growth":  {reason: "growth that the cache does not show", change: func(s *Source) { s.Promises.Size(&s.Orders[0], cpu(3000)) }, want: 3000},
		"Shrinks": {reason: "nobody knows yet whether the room is free", change: func(s *Source) { s.Promises.Size(&s.Orders[0], cpu(10)) }, want: 1000},
		"Shown": {reason: "the cache shows what became of it", change: func(s *Source) {
			s.Promises.Size(&s.Orders[0], cpu(3000))
			s.Orders[0].ResourceVersion = "2"
		}, want: 1000},
		"Orphan": {reason: "it may be adopted", change: func(s *Source) {
			lost := s.Orders[0].Spec
			lost.ID = "g000000003"
			s.Cells[0].Status.Orphans = []v1alpha1.Orphan{{ID: lost.ID, Order: lost}}
		}, want: 2000},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := source(NewPromises())
			if tc.change != nil {
				tc.change(&s)
			}
			if got := Count("r", s).Cells["c"].Zones["a"].Used.MilliCPU; got != tc.want {
				t.Errorf("%s: %dm are promised, want %dm", tc.reason, got, tc.want)
			}
		})
	}
}

func TestGrowKeepsWhatIsGivenBack(t *testing.T) {
	s := source(NewPromises())
	l := Count("r", s)
	booking := order.BookingFor(&s.Orders[0])
	for _, step := range []struct {
		reason string
		to     int64
		fits   bool
		used   int64
	}{
		{reason: "6 of 10 cores may be given away", to: 6000, fits: true, used: 6000},
		{reason: "no more", to: 6001, used: 6000},
		{reason: "less always fits, and is not free yet", to: 100, fits: true, used: 6000},
	} {
		problem := l.Grow(booking, cpu(step.to))
		if used := l.Cells["c"].Zones["a"].Used.MilliCPU; (problem == "") != step.fits || used != step.used {
			t.Errorf("%s: %dm are promised after %dm were asked for: %q", step.reason, used, step.to, problem)
		}
	}
}

func TestPendingForgetsWhoDoesNotWait(t *testing.T) {
	p := NewPromises()
	for _, uid := range []types.UID{"waits", "bound"} {
		p.Bind("r", uid, Bind{Tenant: "team"})
	}
	left := p.Pending("r", func(uid types.UID) bool { return uid == "waits" })
	if _, ok := left["waits"]; !ok || len(left) != 1 || len(p.binds("r")) != 1 {
		t.Errorf("%v are pending", left)
	}
}
