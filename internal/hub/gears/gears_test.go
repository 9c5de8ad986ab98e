package gears

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/gear"
	"github.com/myriad-fleet/myriad/internal/placement"
)

func TestClimbsAndComesDown(t *testing.T) {
	b := newBench(t, cell("c", 100_000))
	b.guest("c", "team", "shop", fitsSmall)
	b.look("c")
	b.wantGears("not at once", "shop", "nano/nano")
	b.pass(31*time.Second, "c")
	b.wantGears("after the delay", "shop", "small/nano", "Size nano>small")
	b.pass(31*time.Second, "c")
	b.wantGears("the tuning follows", "shop", "small/small", "Size nano>small", "Tuning nano>small")
	b.report("shop", func(o *v1alpha1.ControlPlane) { o.Status.Load = b.load(fitsNano) })
	b.pass(time.Minute, "c")
	b.pass(21*time.Minute, "c")
	b.wantGears("down one rung", "shop", "mini/small", "Size nano>small", "Tuning nano>small", "Size small>mini")
}

func TestNothingIsWrittenWhenNothingChanges(t *testing.T) {
	b := newBench(t, cell("c", 100_000))
	for i := range 5 {
		b.guest("c", "team", fmt.Sprintf("shop-%d", i), fitsNano)
	}
	b.pass(time.Minute, "c")
	before := b.writes.Load()
	for range 10 {
		b.report("shop-1", func(o *v1alpha1.ControlPlane) { o.Status.Load = b.load(1) })
		b.pass(10*time.Minute, "c")
	}
	if got := b.writes.Load() - before; got > 0 {
		t.Errorf("%d writes over 100 minutes in which loads were reported and no gear changed", got)
	}
}

func TestWhoIsLeftAlone(t *testing.T) {
	type change = func(*v1alpha1.Cluster, *v1alpha1.ControlPlane)
	cases := map[string]struct {
		reason string
		want   string // reason that is reported; empty: nothing is
		cell   func(*v1alpha1.Cell)
		guest  change
		after  func(*bench)
	}{
		"Tombstone": {reason: "it is being removed", guest: func(_ *v1alpha1.Cluster, o *v1alpha1.ControlPlane) {
			o.Spec.Tombstone = &v1alpha1.Tombstone{ID: o.Name}
		}},
		"Superseded":  {reason: "a frozen copy", guest: func(_ *v1alpha1.Cluster, o *v1alpha1.ControlPlane) { o.Spec.SupersededBy = 2 }},
		"Deleted":     {reason: "its Cluster is being deleted", after: func(b *bench) { b.delete("shop") }},
		"OtherGuest":  {reason: "the Cluster is bound to another id", guest: func(c *v1alpha1.Cluster, _ *v1alpha1.ControlPlane) { c.Labels[v1alpha1.LabelID] = "zzzzzzzzzz" }},
		"Gearless":    {reason: "its template has no gears", guest: func(c *v1alpha1.Cluster, _ *v1alpha1.ControlPlane) { c.Spec.Template = "plain" }},
		"NoTemplate":  {reason: "nobody knows what its template allows", guest: func(c *v1alpha1.Cluster, _ *v1alpha1.ControlPlane) { c.Spec.Template = "gone" }},
		"Unreachable": {reason: "nobody knows how the guest is", cell: func(c *v1alpha1.Cell) { c.Status.Conditions[0].Status = metav1.ConditionFalse }},
		"FrozenCell":  {reason: "by the operator of the cell", want: gear.ReasonFrozen, cell: func(c *v1alpha1.Cell) { c.Spec.GearsFrozen = true }},
		"FrozenFleet": {reason: "by the operator of the fleet", want: gear.ReasonFrozen, after: func(b *bench) { b.gearbox(func(s *v1alpha1.GearboxSpec) { s.Frozen = true }) }},
		"Down": {reason: "its load says nothing while it is down", want: gear.ReasonNotHealthy, guest: func(_ *v1alpha1.Cluster, o *v1alpha1.ControlPlane) {
			o.Status.Conditions[0].Status, o.Status.Conditions[0].Reason = metav1.ConditionFalse, v1alpha1.ReasonUnavailable
		}},
		"Degraded": {reason: "a zone is missing", want: gear.ReasonNotHealthy, guest: func(_ *v1alpha1.Cluster, o *v1alpha1.ControlPlane) {
			o.Status.Conditions[0].Reason = v1alpha1.ReasonDegraded
		}},
		"Behind":    {reason: "the agent does not have the order yet", want: gear.ReasonNotHealthy, guest: func(_ *v1alpha1.Cluster, o *v1alpha1.ControlPlane) { o.Generation = 2 }},
		"NoLoad":    {reason: "nothing was sampled yet", want: gear.ReasonNoLoad, guest: func(_ *v1alpha1.Cluster, o *v1alpha1.ControlPlane) { o.Status.Load = nil }},
		"NoGearbox": {reason: "there is no Gearbox at all", after: func(b *bench) { b.deleteGearbox() }},
		"BadGearbox": {reason: "and none was accepted before", after: func(b *bench) {
			b.gearbox(func(s *v1alpha1.GearboxSpec) { s.Ladder = nil })
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := cell("c", 100_000)
			if tc.cell != nil {
				tc.cell(c)
			}
			b := newBench(t, c, &v1alpha1.ClusterTemplate{ObjectMeta: metav1.ObjectMeta{Name: "plain"}})
			changes := []change{}
			if tc.guest != nil {
				changes = append(changes, tc.guest)
			}
			b.guest("c", "team", "shop", fitsSmall, changes...)
			if tc.after != nil {
				tc.after(b)
			}
			for range 3 {
				b.pass(time.Minute, "c")
			}
			o := b.orderOf("shop")
			if o.Spec.Size.Gear != "nano" || tuningGear(o) != "nano" {
				t.Errorf("%s: it has the gears %s/%s", tc.reason, o.Spec.Size.Gear, tuningGear(o))
			}
			if got := b.reason("shop"); got != tc.want {
				t.Errorf("%s: reported %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}

func (b *bench) delete(name string) {
	b.t.Helper()
	if err := b.api.Delete(b.t.Context(), b.clusterOf(name)); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) deleteGearbox() {
	b.t.Helper()
	if err := b.api.Delete(b.t.Context(), &v1alpha1.Gearbox{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.DefaultGearbox}}); err != nil {
		b.t.Fatal(err)
	}
}

// blocked is what the gauge of a cell shows.
func (b *bench) blocked(cell string) float64 {
	b.t.Helper()
	families, err := b.registry.Gather()
	if err != nil {
		b.t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if family.GetName() == "myriad_gears_blocked" && metric.GetLabel()[0].GetValue() == cell {
				return metric.GetGauge().GetValue()
			}
		}
	}
	return -1
}

// TestStampede: 200 guests want to grow at once in a cell with room for 50 of them to do so. Those that have
// waited longest grow, the reserve holds, the others are told why and somebody is paged; with more room
// the rest follows.
func TestStampede(t *testing.T) {
	const guests, fit = 200, 50
	nano, small := milliCPU("nano"), milliCPU("small")
	b := newBench(t, cell("c", (guests*nano+fit*(small-nano))*100/60+1))
	for i := range guests {
		b.guest("c", "team", fmt.Sprintf("shop-%03d", (i*37)%guests), fitsNano)
	}
	b.look("c")
	for wave := range strings.SplitSeq("3102456789", "") { // the last digit of those that are over their gear first, and so on
		b.clock.SetTime(b.clock.Now().Add(2 * time.Second))
		b.reportAll(func(o *v1alpha1.ControlPlane) {
			if strings.HasSuffix(o.Spec.Cluster.Name, wave) {
				o.Status.Load = b.load(fitsSmall)
			}
		})
		b.look("c")
	}
	b.pass(40*time.Second, "c")
	grown := map[string]int{}
	for _, o := range b.orders() {
		if o.Spec.Size.Gear == "small" {
			grown[o.Spec.Cluster.Name[len("shop-00"):]]++
		}
	}
	if diff := cmp.Diff(map[string]int{"3": 20, "1": 20, "0": 10}, grown); diff != "" {
		t.Errorf("who grew, by the last digit of the name (-want +got):\n%s", diff)
	}
	b.wantReserve("c")
	condition := b.gearsFit("c")
	if condition.Status != metav1.ConditionFalse || condition.Reason != v1alpha1.ReasonNoRoom || !strings.Contains(condition.Message, "150 of the cell's guests") || !strings.Contains(condition.Message, "/shop-100:") {
		t.Errorf("the cell says %+v", condition)
	}
	if got := b.blocked("c"); got != guests-fit {
		t.Errorf("the gauge shows %v", got)
	}
	if got := b.reason("shop-100"); got != gear.ReasonNoRoom {
		t.Errorf("a guest that waits is reported as %s", got)
	}
	c := b.cell("c")
	c.Status.Zones[0].CPU.Add(c.Status.Zones[0].CPU)
	c.Status.Zones[0].CPU.Add(c.Status.Zones[0].CPU)
	if err := b.api.Status().Update(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	b.pass(10*time.Second, "c")
	if condition := b.gearsFit("c"); condition.Status != metav1.ConditionTrue || b.blocked("c") != 0 {
		t.Errorf("with more room the cell says %+v, and the gauge shows %v", condition, b.blocked("c"))
	}
	b.wantReserve("c")
}

func milliCPU(name string) int64 {
	found, _ := gear.Find(gear.Default(), name)
	return gear.Capacity(found).MilliCPU
}

// wantReserve: what the orders of a cell take stays within 60 % of its zone.
func (b *bench) wantReserve(name string) {
	b.t.Helper()
	var used int64
	for _, o := range b.orders() {
		used += placement.DemandOf(o.Spec.Availability, o.Spec.Size)[0].MilliCPU
	}
	if capacity := b.cell(name).Status.Zones[0].CPU; used*100 > capacity.MilliValue()*60 {
		b.t.Errorf("cell %s gave away %dm of %s", name, used, capacity.String())
	}
}

// TestAbsurdLoad of one guest neither moves it nor drags the cell over its reserve, and others still get
// what they need.
func TestAbsurdLoad(t *testing.T) {
	b := newBench(t, cell("c", 5_000))
	b.guest("c", "team-a", "mad", 1e15)
	b.guest("c", "team-b", "shop", fitsSmall)
	b.look("c")
	b.pass(31*time.Second, "c")
	b.wantGears("no room", "mad", "nano/nano")
	b.wantGears("room is left", "shop", "small/nano", "Size nano>small")
	b.wantReserve("c")
}

// TestGrowthCountsWhatTheCacheDoesNotShow: a pass that cannot see its own last writes gives the room away no
// second time.
func TestGrowthCountsWhatTheCacheDoesNotShow(t *testing.T) {
	nano, small := milliCPU("nano"), milliCPU("small")
	b := newBench(t, cell("c", (nano+small)*100/60+1))
	b.guest("c", "team-a", "first", fitsSmall)
	b.guest("c", "team-b", "second", fitsSmall)
	b.look("c")
	b.pass(31 * time.Second)
	stale := func() *pass {
		p := &pass{now: b.clock.Now()}
		if err := b.hub.read(t.Context(), "c", p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	one := stale()
	if err := b.hub.decide(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	two := stale() // nothing of the first pass is written yet
	two.guests = two.guests[1:]
	if two.guests[0].cluster.Name != "second" {
		t.Fatalf("the second guest is %s", two.guests[0].cluster.Name)
	}
	if err := b.hub.decide(t.Context(), two); err != nil {
		t.Fatal(err)
	}
	if two.guests[0].blocked == "" {
		t.Error("the room that was promised to the first guest was promised to the second as well")
	}
}

func TestTenantRestartsOneGuestAtATime(t *testing.T) {
	b := newBench(t, cell("c", 100_000), cell("d", 100_000))
	b.guest("c", "team", "shop", fitsSmall)
	b.guest("d", "team", "till", fitsSmall)
	b.guest("d", "other", "bank", fitsSmall)
	both := []string{"c", "d"}
	b.pass(0, both...)
	b.pass(31*time.Second, both...)
	b.pass(31*time.Second, both...)
	b.wantGears("the first", "shop", "small/small", "Size nano>small", "Tuning nano>small")
	b.wantGears("waits for it, in another cell", "till", "small/nano", "Size nano>small")
	b.wantGears("has nothing to do with it", "bank", "small/small", "Size nano>small", "Tuning nano>small")
	if got := b.reason("till"); got != gear.ReasonTenantBusy {
		t.Errorf("the guest that waits is reported as %s", got)
	}
	b.report("shop", func(o *v1alpha1.ControlPlane) { o.Status.Conditions[0].Status = metav1.ConditionFalse })
	b.hub = b.newHub()
	b.pass(2*time.Minute, both...)
	b.wantGears("the first is not ready again, and a new hub knows", "till", "small/nano", "Size nano>small")
	b.report("shop", func(o *v1alpha1.ControlPlane) { o.Status.Conditions[0].Status = metav1.ConditionTrue })
	b.pass(time.Second, both...)
	b.wantGears("the first is ready again", "till", "small/small", "Size nano>small", "Tuning nano>small")
}

// TestDeadCellHoldsNobodyForever: a guest whose agent is away does not keep the others of its tenant from their tuning for
// longer than it has to become healthy and to go back.
func TestDeadCellHoldsNobodyForever(t *testing.T) {
	b := newBench(t, cell("c", 100_000), cell("d", 100_000))
	b.guest("c", "team", "shop", fitsSmall)
	b.guest("d", "team", "till", fitsSmall)
	both := []string{"c", "d"}
	b.pass(0, both...)
	b.pass(31*time.Second, both...)
	b.pass(31*time.Second, both...)
	b.wantGears("the first", "shop", "small/small", "Size nano>small", "Tuning nano>small")
	b.report("shop", func(o *v1alpha1.ControlPlane) { o.Status.ObservedGeneration = o.Generation - 1 })
	b.pass(2*time.Minute, "d")
	b.wantGears("the first may be restarting", "till", "small/nano", "Size nano>small")
	b.pass(2*defaultHealthSeconds*time.Second, "d")
	b.wantGears("the first is not waited for any more", "till", "small/small", "Size nano>small", "Tuning nano>small")
}

func TestSingleGuestWaitsForItsWindow(t *testing.T) {
	b := newBench(t, cell("c", 100_000))
	b.guest("c", "team", "shop", fitsSmall, func(c *v1alpha1.Cluster, _ *v1alpha1.ControlPlane) {
		c.Spec.MaintenanceWindow = &v1alpha1.MaintenanceWindow{Start: "22:00", DurationMinutes: 60}
	})
	b.look("c")
	b.pass(31*time.Second, "c")
	b.pass(time.Minute, "c")
	b.wantGears("the size needs no window", "shop", "small/nano", "Size nano>small")
	if got := b.reason("shop"); got != gear.ReasonWaitingForWindow {
		t.Errorf("reported as %s", got)
	}
	result, err := b.hub.Reconcile(t.Context(), request("c"))
	if err != nil || result.RequeueAfter == 0 || result.RequeueAfter > 10*time.Hour {
		t.Errorf("the hub comes back in %s, %v", result.RequeueAfter, err)
	}
	b.clock.SetTime(time.Date(2026, 1, 5, 22, 10, 0, 0, time.UTC))
	b.pass(0, "c")
	b.wantGears("in the window", "shop", "small/small", "Size nano>small", "Tuning nano>small")
}

func TestBoundsOfARunningGuest(t *testing.T) {
	b := newBench(t, cell("c", 100_000))
	b.guest("c", "team", "shop", fitsNano)
	b.look("c")
	pin := func(name string) {
		t.Helper()
		c := b.clusterOf("shop")
		c.Spec.Gears = &v1alpha1.GearBounds{Pinned: name}
		if err := b.api.Update(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		b.pass(time.Second, "c")
	}
	pin("mini")
	b.wantGears("a pinned gear holds at once", "shop", "mini/nano", "Size nano>mini")
	pin("minni")
	b.pass(time.Hour, "c")
	b.pass(time.Hour, "c")
	if o := b.orderOf("shop"); o.Spec.Size.Gear != "mini" {
		t.Errorf("a name that is no gear took the guest to %s", o.Spec.Size.Gear)
	}
	if last := b.clusterOf("shop").Status.Gear; last.Reason != v1alpha1.ReasonGearNotFound || !strings.Contains(last.Message, "minni") {
		t.Errorf("reported as %s: %s", last.Reason, last.Message)
	}
}

// TestGearThatBecameAnother: the Gearbox gives the same gear another size, which its guests get at once, and
// another tuning, which would restart them all.
func TestGearThatBecameAnother(t *testing.T) {
	b := newBench(t, cell("c", 100_000))
	b.guest("c", "team", "shop", fitsNano)
	b.look("c")
	b.gearbox(func(s *v1alpha1.GearboxSpec) {
		s.Ladder[0].Size.Scheduler.CPU.Add(resource.MustParse("1m"))
		s.Ladder[0].Tuning.MaxRequestsInFlight--
	})
	b.pass(time.Second, "c")
	o := b.orderOf("shop")
	if got := o.Spec.Size.Scheduler.CPU.MilliValue(); got != 9 || o.Spec.Tuning.MaxRequestsInFlight != 400 {
		t.Errorf("the scheduler has %dm, the tuning %+v", got, o.Spec.Tuning)
	}
	b.wantGears("that is no move", "shop", "nano/nano")
}

// TestTemplateThatLosesItsGears: guests keep what they have, and nothing is reported that nobody computes.
func TestTemplateThatLosesItsGears(t *testing.T) {
	b := newBench(t, cell("c", 100_000))
	b.guest("c", "team", "shop", fitsSmall)
	b.look("c")
	b.pass(31*time.Second, "c")
	var template v1alpha1.ClusterTemplate
	if err := b.api.Get(t.Context(), client.ObjectKey{Name: "standard"}, &template); err != nil {
		t.Fatal(err)
	}
	template.Spec.Gears = nil
	if err := b.api.Update(t.Context(), &template); err != nil {
		t.Fatal(err)
	}
	b.pass(time.Hour, "c")
	if o := b.orderOf("shop"); o.Spec.Size.Gear != "small" {
		t.Errorf("the guest has gear %s", o.Spec.Size.Gear)
	}
	if last := b.clusterOf("shop").Status.Gear; last != nil {
		t.Errorf("reported is %+v", last)
	}
}
