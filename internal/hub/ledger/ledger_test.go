package ledger

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/order"
	"github.com/myriad-fleet/myriad/internal/placement"
)

var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// source is one cell of 10 cores that keeps 40 % of them, with one order of 1 core and its Cluster, and empty
// Ledgers.
func source() Source {
	core := v1alpha1.ComponentSize{CPU: resource.MustParse("1"), Memory: resource.MustParse("1Mi")}
	o := v1alpha1.ControlPlane{ObjectMeta: metav1.ObjectMeta{Namespace: "cell-c", Name: "g000000001"}, Spec: v1alpha1.ControlPlaneSpec{
		ID: "g000000001", Region: "r", Availability: v1alpha1.Single, Zones: []string{"a"}, Size: v1alpha1.ControlPlaneSize{APIServer: core},
		Cluster: v1alpha1.ClusterReference{Namespace: "team", Name: "shop"}, Endpoint: v1alpha1.GuestEndpoint{PlainPort: 20000},
	}}
	bound := v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "shop", UID: "1"}}
	order.BookingFor(&o).Bind(&bound)
	s := Source{
		Now: now,
		Regions: []v1alpha1.Region{{ObjectMeta: metav1.ObjectMeta{Name: "r"}, Spec: v1alpha1.RegionSpec{
			Gateway: v1alpha1.RegionGateway{FirstPlainPort: 20000, LastPlainPort: 20002},
		}}},
		Cells: []v1alpha1.Cell{{ObjectMeta: metav1.ObjectMeta{Name: "c"}, Spec: v1alpha1.CellSpec{Region: "r", Zones: []string{"a"}}, Status: v1alpha1.CellStatus{
			Zones: []v1alpha1.ZoneCapacity{{Name: "a", CPU: resource.MustParse("10"), Memory: resource.MustParse("1Gi")}},
		}}},
		Orders: []v1alpha1.ControlPlane{o}, Clusters: []v1alpha1.Cluster{bound}, Ledgers: map[string]Volume{},
	}
	for _, name := range Names(s.Regions, s.Cells) {
		s.Ledgers[name] = Volume{Head: &v1alpha1.Ledger{ObjectMeta: metav1.ObjectMeta{Name: name}}, Base: &v1alpha1.Ledger{}}
	}
	return s
}

func cpu(milli int64) []placement.Demand {
	return []placement.Demand{{Vector: placement.Vector{MilliCPU: milli, Memory: 1 << 20}}}
}

// another guest's booking, made that long ago for a Cluster.
func another(cluster string, age time.Duration) v1alpha1.Booking {
	b := bookingOf(order.Booking{ID: "g000000002", Cell: "c", Zones: []string{"a"}, PlainPort: 20001}, "team", "", cpu(500))
	b.Cluster, b.BookedAt = "2", metav1.NewTime(now.Add(-age))
	if cluster != "" {
		b.Cluster = "waits"
	}
	return b
}

// room that the books of a source promise in the cell, in thousandths of a core: by its Ledger as it is to be.
func promised(b *Books) int64 {
	var sum int64
	for _, booking := range b.page(v1alpha1.CellLedger("c")).bookings() {
		sum += booking.Room.Demand[0].MilliCPU
	}
	return sum
}

func TestCount(t *testing.T) {
	booked := func(s *Source, b v1alpha1.Booking) {
		room, ports := s.Ledgers["cell.c"].Head, s.Ledgers["region.r"].Base // wherever it stands
		room.Bookings, ports.Bookings = append(room.Bookings, b), append(ports.Bookings, portOf(b))
	}
	own := func(s *Source, milli int64, age time.Duration) {
		b := bookingOf(order.BookingFor(&s.Orders[0]), "team", "1", cpu(milli))
		b.BookedAt = metav1.NewTime(now.Add(-age))
		booked(s, b)
	}
	cases := map[string]struct {
		reason string
		change func(*Source)
		want   int64 // thousandths of a core that are promised
		port   int32 // that is free next
	}{
		"Repaired": {reason: "an order that no Ledger knows is booked: it may come from a backup", want: 1000, port: 20001},
		"Once":     {reason: "an order, its Cluster and its booking are one guest", change: func(s *Source) { own(s, 1000, time.Hour) }, want: 1000, port: 20001},
		"Pending": {reason: "the bind of a Cluster that waits failed", change: func(s *Source) {
			booked(s, another("waits", time.Hour))
			s.Clusters = append(s.Clusters, v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "w", UID: "waits"}})
		}, want: 1500, port: 20002},
		"Fresh":   {reason: "another hub's cache may show a Cluster that ours does not", change: func(s *Source) { booked(s, another("", expiry-time.Second)) }, want: 1500, port: 20002},
		"Expired": {reason: "nothing stands for it any more", change: func(s *Source) { booked(s, another("", expiry)) }, want: 1000, port: 20001},
		"Stood": {reason: "its Cluster was seen, and is gone", change: func(s *Source) {
			booked(s, another("", time.Second))
			s.Stood = func(id string) bool { return id == "g000000002" }
		}, want: 1000, port: 20001},
		"Bound":   {reason: "who does not know of those who wait drops nothing", change: func(s *Source) { booked(s, another("", expiry)); s.Bound = true }, want: 1500, port: 20002},
		"Growth":  {reason: "the order may not show it yet", change: func(s *Source) { own(s, 3000, growthTrial-time.Second) }, want: 3000, port: 20001},
		"Shrinks": {reason: "the order is smaller, and nobody writes it any more", change: func(s *Source) { own(s, 3000, growthTrial) }, want: 1000, port: 20001},
		"Unsized": {reason: "its template is gone: nobody can say what the order will take that is written when it is back", change: func(s *Source) {
			own(s, 3000, time.Hour)
			s.Orders = nil
		}, want: 3000, port: 20001},
		"Larger": {reason: "an operator has given the order more", change: func(s *Source) { own(s, 10, time.Second) }, want: 1000, port: 20001},
		"Orphan": {reason: "it may be adopted, and is booked then", change: func(s *Source) {
			lost := s.Orders[0].Spec
			lost.ID, lost.Endpoint.PlainPort = "g000000003", 20001
			s.Cells[0].Status.Orphans = []v1alpha1.Orphan{{ID: lost.ID, Order: lost}}
		}, want: 1000, port: 20002},
		"Removed": {reason: "an order of a region that an operator removed holds its room", change: func(s *Source) { s.Regions = nil }, want: 1000},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := source()
			if tc.change != nil {
				tc.change(&s)
			}
			books := Count(s)
			if got := promised(books); got != tc.want {
				t.Errorf("%s: %dm are promised, want %dm", tc.reason, got, tc.want)
			}
			if got := books.Offer("r", "team", v1alpha1.ClusterNetwork{}).PlainPort; got != tc.port {
				t.Errorf("%s: port %d is free, want %d", tc.reason, got, tc.port)
			}
		})
	}
}

// TestNext: when something that is booked is free without any event somebody must look again: a Cluster may wait for it.
func TestNext(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		own    int64         // thousandths of a core that are booked for the guest, whose order has 1000,
		age    time.Duration // since then
		other  time.Duration // the age of another booking that nothing stands for; 0: there is none
		want   time.Duration
	}{
		"Nothing":     {reason: "all is as ordered", own: 1000, age: time.Second},
		"GivenBack":   {reason: "the order is smaller; a write that gives the guest more may be under way", own: 3000, age: 20 * time.Second, want: growthTrial - 20*time.Second},
		"Free":        {reason: "the order is smaller, and has been for long", own: 3000, age: growthTrial},
		"Unwanted":    {reason: "nothing stands for a booking", own: 1000, age: time.Hour, other: 10 * time.Second, want: expiry - 10*time.Second},
		"SoonerCount": {reason: "both", own: 3000, age: growthTrial - time.Second, other: 10 * time.Second, want: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			s := source()
			b := bookingOf(order.BookingFor(&s.Orders[0]), "team", "1", cpu(tc.own))
			b.BookedAt = metav1.NewTime(now.Add(-tc.age))
			room := s.Ledgers["cell.c"].Head
			room.Bookings = append(room.Bookings, b)
			if tc.other > 0 {
				room.Bookings = append(room.Bookings, another("", tc.other))
			}
			if got := Count(s).Next(); got != tc.want {
				t.Errorf("%s: look again in %s, want %s", tc.reason, got, tc.want)
			}
		})
	}
}

// TestCountIsStable: what was brought up to date needs no other write.
func TestCountIsStable(t *testing.T) {
	s := source()
	first := Count(s)
	written := first.changed()
	if len(written[0]) != 1 || len(written[1]) != 1 || written[0][0].Head.Name != "region.r" || written[1][0].Head.Name != "cell.c" {
		t.Fatalf("%+v are written; want that of the region, then that of the cell", written)
	}
	for _, next := range slices.Concat(written...) {
		s.Ledgers[next.Head.Name] = next.Volume
	}
	s.Now = s.Now.Add(time.Hour)
	if again := slices.Concat(Count(s).changed()...); len(again) != 0 {
		t.Errorf("an hour later %d Ledgers are written again, first %+v", len(again), again[0].Head)
	}
}

func TestGrowKeepsWhatIsGivenBack(t *testing.T) {
	s := source()
	books := Count(s)
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
		problem := books.Grow(booking, cpu(step.to))
		if used := promised(books); (problem == "") != step.fits || used != step.used {
			t.Errorf("%s: %dm are promised after %dm were asked for: %q", step.reason, used, step.to, problem)
		}
	}
}

// TestBookThenPending: what was booked for a Cluster is found again to the letter, by whoever reads the Ledgers.
func TestBookThenPending(t *testing.T) {
	s := source()
	waits := v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "w", UID: "waits"}}
	s.Clusters = append(s.Clusters, waits)
	books := Count(s)
	want := order.Booking{ID: "g000000009", Cell: "c", Zones: []string{"a"}, PlainPort: 20001}
	books.Book("team", "waits", want, cpu(700))
	if !books.Taken(want.ID) || promised(books) != 1700 {
		t.Errorf("after Book %dm are promised", promised(books))
	}
	for _, next := range slices.Concat(books.changed()...) {
		s.Ledgers[next.Head.Name] = next.Volume
	}
	next := Count(s)
	got, ok := next.Pending("waits")
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("pending %t (-want +got):\n%s", ok, diff)
	}
	if port := next.Offer("r", "team", v1alpha1.ClusterNetwork{}).PlainPort; port != 20002 {
		t.Errorf("port %d is offered besides, want 20002", port)
	}
	got.Region = "r"
	next.Unbook(got)
	if next.Taken(want.ID) || promised(next) != 1000 {
		t.Errorf("after Unbook %dm are promised", promised(next))
	}
	if port := next.Offer("r", "team", v1alpha1.ClusterNetwork{}).PlainPort; port != want.PlainPort {
		t.Errorf("port %d is offered then, want %d", port, want.PlainPort)
	}
	for _, written := range slices.Concat(next.changed()...) {
		if slices.ContainsFunc(written.Bookings(), func(b v1alpha1.Booking) bool { return b.ID == want.ID }) {
			t.Errorf("Ledger %s still has it", written.Head.Name)
		}
	}
}

// TestUnbookLeavesTheOrphan: a Cluster that was to adopt an orphan may not any more. The orphan runs on, and keeps its room and port.
func TestUnbookLeavesTheOrphan(t *testing.T) {
	s := source()
	lost := s.Orders[0].Spec
	lost.ID, lost.Endpoint.PlainPort = "g000000003", 20001
	s.Cells[0].Status.Orphans = []v1alpha1.Orphan{{ID: lost.ID, Order: lost}}
	s.Clusters = append(s.Clusters, v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "w", UID: "waits"}})
	books := Count(s)
	books.Book("team", "waits", order.BookingOfOrphan("c", &s.Cells[0].Status.Orphans[0]), cpu(1000))
	for _, next := range slices.Concat(books.changed()...) {
		s.Ledgers[next.Head.Name] = next.Volume
	}
	books = Count(s)
	pending, ok := books.Pending("waits")
	if !ok || !books.Covers(pending, cpu(1000)) || books.Covers(pending, cpu(1001)) {
		t.Fatalf("pending %+v, %t", pending, ok)
	}
	books.Unbook(pending)
	if _, still := books.Pending("waits"); still || !books.Taken(lost.ID) || promised(books) != 2000 {
		t.Errorf("then pending %t, the id is taken %t, %dm are promised", still, books.Taken(lost.ID), promised(books))
	}
	if port := books.Offer("r", "team", v1alpha1.ClusterNetwork{}).PlainPort; port != 20002 {
		t.Errorf("port %d is offered, want 20002", port)
	}
}
