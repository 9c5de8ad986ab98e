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
	roll := rollNext(g, &p)
	for i := range g.components {
		c := &g.components[i]
		switch {
		case !c.wanted:
			p.steps[i] = unwanted(g, c, &p)
		case c.drill != "":
			p.steps[i] = held(g, c, &p)
		case c.alive:
			p.steps[i] = alive(g, c, i == roll, &p)
		default:
			p.steps[i] = absent(g, c, cold, &p)
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

func alive(g *guestView, c *componentView, roll bool, p *plan) step {
	state := runtime.Starting
	if c.wasReady {
		state = runtime.Running
	}
	switch {
	case c.frozen && !c.killed:
		return step{thaw, state}
	case c.stopping || c.killed:
		return ending(g, c, runtime.Starting, p)
	case roll:
		return step{terminate, runtime.Starting}
	}
	return step{leave, state}
}

// absent starts what is not there: after its pause, with a slot, after what it needs.
func absent(g *guestView, c *componentView, cold bool, p *plan) step {
	if g.now.Before(c.retryAt) {
		p.wakeAt(c.retryAt)
		return step{leave, runtime.BackOff}
	}
	if cold {
		p.needSlot = true
		return step{leave, runtime.Queued}
	}
	for i := range g.components {
		if needed := &g.components[i]; slices.Contains(c.after, needed.name) && !(needed.alive && needed.wasReady) {
			return step{leave, runtime.Waiting}
		}
	}
	return step{start, runtime.Starting}
}

// rollNext picks the running component to restart next because something else is wanted of it; -1
// for none. One goes at a time, in the manifest's order, each after all others are ready again or
// the wait for them is over. What is not ready anyway goes first, so that it costs no other replica.
func rollNext(g *guestView, p *plan) int {
	next, blocked := -1, false
	for i := range g.components {
		c := &g.components[i]
		switch {
		case !c.wanted || c.drill != "":
		case c.alive && !c.current && !c.frozen && !c.stopping && !c.killed:
			if next < 0 || g.components[next].ready && !c.ready {
				next = i
			}
		case !c.alive || !c.current || !c.ready:
			blocked = true
		}
	}
	if next >= 0 && g.components[next].member && g.quorumAtRisk(next) {
		return -1 // until the other is back: two members less are no quorum
	}
	if next >= 0 && blocked && g.now.Before(g.rollUntil) {
		p.wakeAt(g.rollUntil)
		return -1
	}
	return next
}

// quorumAtRisk says that another member of the quorum than the one to restart does not serve.
func (g *guestView) quorumAtRisk(next int) bool {
	for i := range g.components {
		if c := &g.components[i]; i != next && c.member && c.wanted && (c.drill != "" || !c.alive || !c.ready) {
			return true
		}
	}
	return false
}

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
