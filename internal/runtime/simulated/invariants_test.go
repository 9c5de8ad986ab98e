package simulated

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
	clocktesting "k8s.io/utils/clock/testing"
	"pgregory.net/rapid"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// pair of runtimes that get the same calls at the same times. One is looked at whenever something is due, the
// other only at each call.
type pair struct {
	t           *rapid.T
	clock       *clocktesting.FakeClock
	close, late *Runtime
	starts      map[string]uint32 // of components of close, as last seen
	restarting  map[string]uint32 // those that were seen to end by order, and which start that was
	deaths      bool
}

var pairIDs = []string{"g1", "g2", "g3"}

func newPair(t *rapid.T) *pair {
	p := &pair{t: t, clock: clocktesting.NewFakeClock(begun), starts: map[string]uint32{}, restarting: map[string]uint32{}}
	options := Options{
		Cell: "hz-1", Seed: rapid.Uint64().Draw(t, "seed"), Slots: rapid.IntRange(0, 2).Draw(t, "slots"), Clock: p.clock,
		Capacity: capacity(rapid.SampledFrom([]string{"4", "7", "100"}).Draw(t, "cores"), "1Ti"),
	}
	if p.deaths = rapid.Bool().Draw(t, "deaths"); p.deaths {
		options.DeathsPerYear = float64(year / time.Minute)
	}
	for _, r := range []**Runtime{&p.close, &p.late} {
		made, err := New(options)
		if err != nil {
			t.Fatal(err)
		}
		*r = made
	}
	return p
}

// both runtimes get a call, which must do the same to both.
func (p *pair) both(call func(*Runtime) error) {
	first, second := call(p.close), call(p.late)
	if (first == nil) != (second == nil) {
		p.t.Fatalf("one says %v, the other %v", first, second)
	}
	p.check()
	for _, id := range pairIDs {
		if diff := cmp.Diff(observe(p.t, p.close, id), observe(p.t, p.late, id)); diff != "" {
			p.t.Fatalf("%s is otherwise when it is looked at seldom:\n%s", id, diff)
		}
	}
}

func observe(t *rapid.T, r *Runtime, id string) runtime.Observation {
	o, err := r.Observe(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// wait and look at the first runtime whenever something is due.
func (p *pair) wait(d time.Duration) {
	end := instant(p.clock.Since(begun)).after(d)
	for {
		next := end
		if agenda := p.close.agenda; len(agenda) > 0 {
			next = min(next, agenda[0].due)
		}
		p.clock.SetTime(begun.Add(time.Duration(next)))
		p.close.IDs() // catches up
		p.check()
		if next == end {
			return
		}
	}
}

// check what holds at any time.
func (p *pair) check() {
	r := p.close
	used := make([]room, len(r.world.zones))
	holders := 0
	for _, g := range r.guests {
		ordered, restarting := 0, 0
		for i := range g.parts {
			part, o := &g.parts[i], &g.shape.parts[i]
			used[o.zone] = used[o.zone].plus(part.booked)
			if part.ordered {
				ordered++
			}
			if given := part.given.room(o.kind); part.booked != (room{}) && given.most(part.booked) != part.booked {
				p.t.Fatalf("%s of %s has %v and only %v is set aside", o.name, g.id, given, part.booked)
			}
			if part.alive() && part.booked == (room{}) {
				p.t.Fatalf("%s of %s runs without room", o.name, g.id)
			}
			p.checkStart(g, i)
			if p.restarts(g, i) {
				restarting++
			}
		}
		if ordered > 1 || restarting > 1 {
			p.t.Fatalf("%d components of %s restart by order at once, %d are counted", restarting, g.id, ordered)
		}
		if g.slot == holding {
			holders++
		}
		if g.index >= 0 && g.due <= r.last {
			p.t.Fatalf("%s is still to be looked at", g.id)
		}
	}
	for i, zone := range r.world.zones {
		if used[i] != zone.used || zone.used.most(zone.capacity) != zone.capacity {
			p.t.Fatalf("zone %s: %v is set aside in all, %v is counted, %v is there", zone.name, used[i], zone.used, zone.capacity)
		}
	}
	if holders != r.world.holders || r.world.slots > 0 && holders > r.world.slots {
		p.t.Fatalf("%d guests hold slots, %d are counted, there are %d", holders, r.world.holders, r.world.slots)
	}
}

// restarts says that a component ends by order, or is in the very start after that. One that died, is held or waits for
// others meanwhile is not restarting any more.
func (p *pair) restarts(g *guest, i int) bool {
	part, name := &g.parts[i], fmt.Sprintf("%d/%s", g.number, g.shape.parts[i].name)
	if part.phase == ending {
		p.restarting[name] = part.starts
		return true
	}
	if part.phase == absent && !part.ordered {
		delete(p.restarting, name) // a drill has taken it out, or it has waited for too long
	}
	ended, seen := p.restarting[name]
	return seen && part.phase == starting && part.starts == ended+1
}

// checkStart: whatever has been started since the last look, all that it starts after is ready.
func (p *pair) checkStart(g *guest, i int) {
	part, name := &g.parts[i], fmt.Sprintf("%d/%s", g.number, g.shape.parts[i].name)
	if part.starts == p.starts[name] {
		return
	}
	p.starts[name] = part.starts
	if part.starts == 0 {
		return // it was dropped and has come back
	}
	for _, j := range g.shape.parts[i].after {
		if g.parts[j].phase != up {
			p.t.Fatalf("%s has started without %s", name, g.shape.parts[j].name)
		}
	}
}

// draw a manifest of one of the guests.
func draw(t *rapid.T) controlplane.Manifest {
	m := components()
	m.ID = rapid.SampledFrom(pairIDs).Draw(t, "id")
	if rapid.Bool().Draw(t, "without one") {
		m.Components = slices.DeleteFunc(m.Components, func(c controlplane.Component) bool { return c.Name == "api-c" })
	}
	for i := range m.Components {
		c := &m.Components[i]
		c.Args = append(c.Args, rapid.SampledFrom([]string{"", "", "--x"}).Draw(t, "args"))
		c.Size.CPU = resource.MustParse(rapid.SampledFrom([]string{"1", "1", "2"}).Draw(t, "cpu"))
		c.Stopped = c.Kind != controlplane.Etcd && rapid.IntRange(0, 9).Draw(t, "stopped") == 0
	}
	return m
}

// act does something by chance to both.
func (p *pair) act() {
	t, ctx := p.t, context.Background()
	id := rapid.SampledFrom(pairIDs).Draw(t, "guest")
	switch rapid.IntRange(0, 9).Draw(t, "act") {
	case 0, 1, 2, 3:
		m := draw(t)
		p.both(func(r *Runtime) error { return r.Apply(ctx, m) })
	case 4, 5:
		p.wait(time.Duration(rapid.Int64Range(0, int64(5*time.Second)).Draw(t, "wait")))
	case 6:
		p.wait(time.Duration(rapid.Int64Range(0, int64(5*time.Minute)).Draw(t, "wait long")))
	case 7:
		var drills []v1alpha1.Drill
		if rapid.Bool().Draw(t, "drill") {
			drills = append(drills, v1alpha1.Drill{
				Zone: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "zone"),
				Mode: rapid.SampledFrom([]v1alpha1.DrillMode{v1alpha1.DrillKill, v1alpha1.DrillHang}).Draw(t, "mode"),
			})
		}
		p.both(func(r *Runtime) error { return r.Hold(ctx, drills) })
	case 8:
		name := rapid.SampledFrom([]string{"etcd-a", "etcd-b", "api-a"}).Draw(t, "component")
		if g := p.close.guests[id]; g != nil {
			delete(p.restarting, fmt.Sprintf("%d/%s", g.number, name)) // it starts anew at once, for another reason
		}
		p.both(func(r *Runtime) error { return r.Discard(ctx, id, name) })
	default:
		p.both(func(r *Runtime) error { return r.Delete(ctx, id) })
	}
}

// TestInvariants: whatever happens to guests, and in whatever order.
func TestInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPair(t)
		for range rapid.IntRange(1, 25).Draw(t, "acts") {
			p.act()
		}
		p.wait(0)
		p.both(func(r *Runtime) error { return r.Hold(context.Background(), nil) })
		if p.deaths {
			return
		}
		// Nothing gets stuck: what has room runs as it should in the end.
		p.wait(time.Hour)
		for _, g := range p.close.guests {
			// A guest that has no room for a member keeps the others as they are.
			whole := !slices.ContainsFunc(g.parts[:3], func(p part) bool { return p.phase != up })
			for i := range g.parts {
				part, needed := &g.parts[i], g.shape.parts[i].after
				short := part.lacks != 0 || slices.ContainsFunc(needed, func(j int) bool { return g.parts[j].phase != up })
				if state := stateOf[part.state]; !short && !part.stopped && (state != runtime.Running || part.outdated && whole) {
					p.t.Fatalf("%s is %s (outdated=%t) in the end: %+v", g.shape.parts[i].name, state, part.outdated, observe(p.t, p.close, g.id))
				}
			}
		}
	})
}
