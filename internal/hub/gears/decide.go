package gears

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/gear"
	"github.com/myriad-fleet/myriad/internal/hub/order"
	"github.com/myriad-fleet/myriad/internal/placement"
)

// busyRetry is how long a guest whose tenant has another one restarting waits for the next look: that may
// lie in another cell, whose events do not come here. A restart takes some ten seconds.
const busyRetry = 15 * time.Second

// passing is how long a guest that moves, or is about to, is not said to settle, or to wait for another one of its tenant:
// mostly that is over by then.
const passing = 3 * time.Minute

// firstLoad of a guest that is ready is reported within this time as a rule: until then it is no news that none is.
const firstLoad = 2 * time.Minute

// guest is one that may be shifted.
type guest struct {
	order   *v1alpha1.ControlPlane
	cluster *v1alpha1.Cluster
	geared  bool // its template has it sized by load
	healthy bool
	stale   bool // the cache shows its Cluster as it was before this hub's last write
	bounds  v1alpha1.GearBounds
	problem string // with the bounds that the Cluster asks for; empty: none

	change  *change // nil: there is nothing to write
	blocked string  // why it has no room for what it should have; empty: it has
}

// name of the guest for people.
func (g *guest) name() string { return g.cluster.Namespace + "/" + g.cluster.Name }

// isHealthy tells whether every component is ready and as the order says. An agent that cannot carry the order
// out says why in the reason of Progressing.
func isHealthy(order *v1alpha1.ControlPlane) bool {
	ready := meta.FindStatusCondition(order.Status.Conditions, v1alpha1.ConditionReady)
	progressing := meta.FindStatusCondition(order.Status.Conditions, v1alpha1.ConditionProgressing)
	return order.Status.ObservedGeneration == order.Generation &&
		ready != nil && ready.Status == metav1.ConditionTrue && ready.Reason == v1alpha1.ReasonReady &&
		(progressing == nil || progressing.Status != metav1.ConditionTrue && progressing.Reason == ready.Reason)
}

// longestWaitFirst sorts guests by how long they have waited for another gear; those that do not wait
// come last. Where that is the same their names decide. Who comes later still gets room that is too small for
// one who came first.
func longestWaitFirst(a, b *guest) int {
	since := func(g *guest) (time.Time, bool) {
		if g.cluster.Status.Gear == nil || g.cluster.Status.Gear.TowardSince == nil {
			return time.Time{}, false
		}
		return g.cluster.Status.Gear.TowardSince.Time, true
	}
	x, xWaits := since(a)
	y, yWaits := since(b)
	if xWaits != yWaits {
		if xWaits {
			return -1
		}
		return 1
	}
	return cmp.Or(x.Compare(y), cmp.Compare(a.name(), b.name()))
}

// decide what to write for a guest. busy says why its tenant's guests must not restart now.
func (p *pass) decide(g *guest, busy func() string) {
	if !g.geared {
		if g.cluster.Status.Gear != nil {
			g.change = &change{report: true}
		}
		return
	}
	if g.cluster.Status.Gear == nil && g.order.Status.Load == nil && !g.healthy {
		return // it starts: what others write of it now would only conflict, and there is nothing to decide yet
	}
	if g.stale {
		p.lookAgain(staleRetry)
		return
	}
	if move := unmade(g); move != nil {
		p.finish(g, *move, busy)
		return
	}
	in := p.input(g)
	decision := gear.Decide(in)
	if decision.Tuning != in.Tuning {
		if in.Busy = busy(); in.Busy != "" {
			decision = gear.Decide(in)
			p.lookAgain(busyRetry)
		}
	}
	p.lookAgain(decision.Again)
	p.settle(g, in, decision)
}

// input of Decide.
func (p *pass) input(g *guest) gear.Input {
	in := gear.Input{
		Box: *p.box.Spec(), Bounds: g.bounds, Availability: g.order.Spec.Availability, Now: p.now,
		Size: g.order.Spec.Size.Gear, Tunable: g.order.Spec.RenderRevision >= controlplane.TuningRevision,
		Load: g.order.Status.Load, Healthy: g.healthy, Frozen: p.frozen(), WindowOpen: p.windowOpen(g),
		Room: func(name string) string { return p.roomFor(g, name) },
	}
	if g.order.Spec.Tuning != nil {
		in.Tuning = g.order.Spec.Tuning.Gear
	}
	if g.cluster.Status.Gear != nil {
		in.Last = *g.cluster.Status.Gear.DeepCopy()
	}
	return in
}

// frozen says who froze shifts; empty: nobody.
func (p *pass) frozen() string {
	switch {
	case p.box.Frozen():
		return fmt.Sprintf("Gearbox %s (spec.frozen)", v1alpha1.DefaultGearbox)
	case p.cell.Spec.GearsFrozen:
		return fmt.Sprintf("cell %s (spec.gearsFrozen)", p.cell.Name)
	}
	return ""
}

// windowOpen for a restart of the guest: one of a Zonal guest makes nothing unavailable.
func (p *pass) windowOpen(g *guest) bool {
	if g.order.Spec.Availability != v1alpha1.Single {
		return true
	}
	open, until := gear.WindowOpen(g.cluster.Spec.MaintenanceWindow, p.now)
	if !open {
		p.lookAgain(until)
	}
	return open
}

func (p *pass) roomFor(g *guest, name string) string {
	p.depends = true
	wanted, ok := gear.Find(*p.box.Spec(), name)
	if !ok {
		return fmt.Sprintf("there is no gear %s", name)
	}
	return p.room.problem(order.BookingFor(g.order), placement.DemandOf(g.order.Spec.Availability, gear.Size(wanted)))
}

// settle a decision: book what the guest takes, and note what to write.
func (p *pass) settle(g *guest, in gear.Input, decision gear.Decision) {
	if decision.Blocked {
		g.blocked = decision.Gear.Message
	}
	c := &change{gear: &decision.Gear}
	var possible bool
	if c.size, possible = p.resize(g, in, decision); !possible {
		return
	}
	c.tuning, c.retune = retune(in, decision)
	if g.problem != "" && !strings.HasPrefix(c.gear.Message, g.problem) {
		c.gear.Reason, c.gear.Message = v1alpha1.ReasonGearNotFound, g.problem+"; until then: "+c.gear.Message
	}
	c.report = !sameReport(g.cluster.Status.Gear, c.gear) && !p.awaitsLoad(g, c.gear) && !p.passes(g, c.gear)
	if c.report || c.size != nil || c.retune {
		g.change = c
	}
}

// awaitsLoad tells whether all there is to say of a guest is that its first load is on its way.
func (p *pass) awaitsLoad(g *guest, next *v1alpha1.ClusterGear) bool {
	ready := meta.FindStatusCondition(g.order.Status.Conditions, v1alpha1.ConditionReady)
	if g.cluster.Status.Gear != nil || next.Reason != gear.ReasonNoLoad || ready == nil {
		return false
	}
	left := firstLoad - p.now.Sub(ready.LastTransitionTime.Time)
	p.lookAgain(left)
	return left > 0
}

// passes tells whether all there is to say of a guest is a reason that passes by itself. A write for each took half of
// those for gears (docs/scale.md).
func (p *pass) passes(g *guest, next *v1alpha1.ClusterGear) bool {
	last := g.cluster.Status.Gear
	if last == nil || next.Reason != gear.ReasonSettling && next.Reason != gear.ReasonTenantBusy {
		return false
	}
	said := *next
	said.Reason = last.Reason
	if !sameReport(last, &said) {
		return false
	}
	var since time.Time
	if next.TowardSince != nil {
		since = next.TowardSince.Time
	}
	if len(next.Moves) > 0 && next.Moves[0].Time.After(since) {
		since = next.Moves[0].Time.Time
	}
	left := passing - p.now.Sub(since)
	p.lookAgain(left)
	return left > 0
}

// resize says which size to write: that of the gear that was moved to, or of the same gear when the Gearbox
// has given it another size meanwhile. A move that was decided is not possible when there is no room for
// it after all.
func (p *pass) resize(g *guest, in gear.Input, decision gear.Decision) (size *v1alpha1.ControlPlaneSize, possible bool) {
	target, known := gear.Find(in.Box, decision.Size)
	wanted := gear.Size(target)
	moved := decision.Size != in.Size
	if !known || equality.Semantic.DeepEqual(g.order.Spec.Size, wanted) || !moved && !p.mayRefit(g) {
		return nil, true
	}
	if problem := p.grow(g, wanted); problem != "" {
		g.blocked = problem
		return nil, !moved
	}
	return &wanted, true
}

// retune says which tuning to write: that of the gear that was moved to. Where the Gearbox has given the same
// gear another tuning, a guest gets it with its next move: an edit of the Gearbox must not restart the fleet.
func retune(in gear.Input, decision gear.Decision) (tuning *v1alpha1.ControlPlaneTuning, changes bool) {
	if decision.Tuning == in.Tuning {
		return nil, false
	}
	if target, known := gear.Find(in.Box, decision.Tuning); known {
		tuning = gear.Tuning(target)
	}
	return tuning, true
}

// mayRefit tells whether a guest may get the size that its gear has become: that is no move, but no less of a change.
func (p *pass) mayRefit(g *guest) bool { return g.healthy && p.frozen() == "" }

// grow books a size.
func (p *pass) grow(g *guest, size v1alpha1.ControlPlaneSize) (problem string) {
	demand := placement.DemandOf(g.order.Spec.Availability, size)
	if !placement.More(placement.DemandOf(g.order.Spec.Availability, g.order.Spec.Size), demand) {
		return "" // what it gives back is free once the cache shows it
	}
	return p.room.grow(order.BookingFor(g.order), demand)
}

// sameReport tells whether there is nothing new to report. A message alone is nothing new: it quotes
// the load, which changes all the time, and writes would double with it.
func sameReport(last, next *v1alpha1.ClusterGear) bool {
	if last == nil {
		return false
	}
	a, b := *last, *next
	a.Message, b.Message = "", ""
	return equality.Semantic.DeepEqual(a, b)
}
