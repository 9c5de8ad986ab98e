package process

import (
	"slices"
	"time"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// action is what is to be done to one component's process.
type action string

const (
	leave     action = ""
	start     action = "start"
	terminate action = "terminate" // SIGTERM; killed when its time is over
	kill      action = "kill"      // SIGKILL
	freeze    action = "freeze"    // SIGSTOP
	thaw      action = "thaw"      // SIGCONT
	empty     action = "empty"     // throw the data directory away
)

// componentView is one component as a decision sees it.
type componentView struct {
	name  string
	after []string
	// member of a quorum: those of a guest end one at a time, so that each can hand its leadership over
	// instead of waiting for a successor that ends too.
	member bool
	// wanted is false for what is stopped in the manifest or dropped from it.
	wanted bool
	// drill that holds the component's zone; empty for none.
	drill v1alpha1.DrillMode
	// alive: there is a process. The next fields speak of it.
	alive bool
	// current: it was started with what is wanted now.
	current bool
	// lost: its data directory is gone from under it.
	lost bool
	// frozen by SIGSTOP.
	frozen bool
	// stopping since a SIGTERM that ends at killAt.
	stopping bool
	killAt   time.Time
	// killed: SIGKILL was sent.
	killed bool
	// ready when the last probe succeeded; wasReady when any did.
	ready, wasReady bool
	// retryAt is when the component, dead, may be started again.
	retryAt time.Time
	// ordered: the last process ended because it was told to, and none has been ready since.
	ordered bool
	// discarding: its data is to be thrown away before it starts again.
	discarding bool
}

// guestView is a guest as a decision sees it. Components are in the manifest's order, then those
// dropped from it.
type guestView struct {
	now        time.Time
	components []componentView
	// deleting: everything is killed, nothing is ended gently.
	deleting bool
	// unpaced: cold starts need no slot.
	unpaced bool
	// slot is held, at most until slotUntil.
	slot      bool
	slotUntil time.Time
	// rollUntil bounds how long restarts wait for what was restarted before them.
	rollUntil time.Time
}

// plan is a decision: one step per component of the view, and what to do about the start slot.
type plan struct {
	steps    []step
	needSlot bool
	dropSlot bool
	// wake is when to decide again although nothing happened; zero for never.
	wake time.Time
}

type step struct {
	action action
	state  runtime.State
}

// decide says what to do about a guest now. It is pure.
func decide(g *guestView) plan {
	p := plan{steps: make([]step, len(g.components))}
	cold := !g.unpaced && !g.slot && !slices.ContainsFunc(g.components, func(c componentView) bool { return c.alive })
	roll := nextRoll(g, &p)
	for i := range g.components {
		c := &g.components[i]
		switch {
		case c.discarding && !g.deleting:
			p.steps[i] = discarding(g, c, &p)
		case !c.wanted:
			p.steps[i] = unwanted(g, c, &p)
		case c.drill != "":
			p.steps[i] = held(g, c, &p)
		case c.alive:
			p.steps[i] = alive(g, c, roll.end[i], &p)
		default:
			p.steps[i] = absent(g, c, cold, roll.hold[i], &p)
		}
	}
	p.dropSlot = g.slot && slotDone(g, &p)
	if g.slot && !p.dropSlot {
		p.wakeAt(g.slotUntil)
	}
	return p
}

// wakeAt makes sure that the next decision is no later than at.
func (p *plan) wakeAt(at time.Time) {
	if p.wake.IsZero() || at.Before(p.wake) {
		p.wake = at
	}
}

// ending waits for a process that was told to end, and kills it when its time is over.
func ending(g *guestView, c *componentView, state runtime.State, p *plan) step {
	if c.killed {
		return step{leave, state}
	}
	if g.now.Before(c.killAt) {
		p.wakeAt(c.killAt)
		return step{leave, state}
	}
	return step{kill, state}
}

// unwanted ends a process. Those that start after it go first, because they would fail without it, and
// so do later members of its quorum.
func unwanted(g *guestView, c *componentView, p *plan) step {
	switch {
	case !c.alive || c.killed:
		return step{leave, runtime.Held}
	case g.deleting || c.frozen:
		return step{kill, runtime.Held}
	case c.stopping:
		return ending(g, c, runtime.Held, p)
	}
	later := false
	for i := range g.components {
		other := &g.components[i]
		first := slices.Contains(other.after, c.name) || later && c.member && other.member
		if first && other.alive && !other.wanted {
			return step{leave, runtime.Held}
		}
		later = later || other == c
	}
	return step{terminate, runtime.Held}
}

// held keeps a component of a zone in a drill dead or hung.
func held(g *guestView, c *componentView, p *plan) step {
	switch {
	case !c.alive || c.killed:
		return step{leave, runtime.Held}
	case c.drill == v1alpha1.DrillKill:
		return step{kill, runtime.Held}
	case c.stopping:
		return ending(g, c, runtime.Held, p)
	case !c.frozen:
		return step{freeze, runtime.Held}
	}
	return step{leave, runtime.Held}
}

// discarding kills a component, whatever else is wanted of it, and then throws its data away.
func discarding(g *guestView, c *componentView, p *plan) step {
	state := runtime.Starting
	if !c.wanted || c.drill != "" {
		state = runtime.Held
	}
	switch {
	case c.alive && c.killed:
		return step{leave, state}
	case c.alive:
		return step{kill, state}
	case g.now.Before(c.retryAt):
		p.wakeAt(c.retryAt)
		return step{leave, runtime.BackOff}
	}
	return step{empty, state}
}

func alive(g *guestView, c *componentView, end bool, p *plan) step {
	state := runtime.Starting
	if c.wasReady {
		state = runtime.Running
	}
	switch {
	case c.frozen && !c.killed:
		return step{thaw, state}
	case c.stopping || c.killed:
		return ending(g, c, runtime.Starting, p)
	case end:
		return step{terminate, runtime.Starting}
	}
	return step{leave, state}
}

// absent starts what is not there: after its pause, with a slot, after what it needs. hold says that
// what it needs is there but about to end.
func absent(g *guestView, c *componentView, cold, hold bool, p *plan) step {
	if g.now.Before(c.retryAt) {
		p.wakeAt(c.retryAt)
		return step{leave, runtime.BackOff}
	}
	if cold {
		p.needSlot = true
		return step{leave, runtime.Queued}
	}
	if hold || slices.ContainsFunc(g.components, func(needed componentView) bool {
		return slices.Contains(c.after, needed.name) && !needed.carries()
	}) {
		return step{leave, runtime.Waiting}
	}
	return step{start, runtime.Starting}
}

// carries says that a component is there for those that start after it. Having been ready once is
// enough: each copes with a failure of the other.
func (c *componentView) carries() bool { return c.alive && c.wasReady && !c.stopping && !c.killed }

// slotDone tells whether a guest no longer needs its start slot: everything runs and what others wait
// for is ready (the rest costs little, and the next guest's etcd mostly waits at first), its time is
// over, or it only waits for the pause after a failure.
func slotDone(g *guestView, p *plan) bool {
	if !g.now.Before(g.slotUntil) {
		return true
	}
	busy, unready := false, false
	for i := range g.components {
		c := &g.components[i]
		if !c.wanted || c.drill != "" {
			continue
		}
		busy = busy || c.alive || p.steps[i].action == start
		unready = unready || !c.alive || !c.wasReady && !g.last(c)
	}
	return !busy || !unready
}

// last says that a component starts after others and none after it.
func (g *guestView) last(c *componentView) bool {
	return len(c.after) > 0 && !slices.ContainsFunc(g.components, func(other componentView) bool {
		return slices.Contains(other.after, c.name)
	})
}
