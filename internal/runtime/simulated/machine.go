package simulated

import (
	"fmt"
	"slices"
	"time"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
)

// phase of a component's process.
type phase uint8

const (
	absent   phase = iota // there is none
	starting              // it is ready at part.at
	up                    // it has been ready since part.at
	ending                // it was told to end and is gone at part.at
)

// slotState of a guest.
type slotState uint8

const (
	noSlot slotState = iota
	queued
	holding
)

const (
	// backoffFirst doubles with each death in a row up to backoffMost; a component that was ready for healthy
	// begins anew. As in the process runtime.
	backoffFirst, backoffMost, healthy = 250 * time.Millisecond, 30 * time.Second, 10 * time.Second
	// resizeTime is how long a changed size takes to be in place; our own choice: a kubelet looks at its pods
	// once a second.
	resizeTime = time.Second
	// drainTime is how long an API server goes on after it was told to end (package process: 3 s), endTime how
	// long the others take, which is our own choice.
	drainTime, endTime = 3 * time.Second, 500 * time.Millisecond
)

// part is one component of a guest.
type part struct {
	// wants is what it should run with (specHash), runs what its process was started with.
	wants, runs uint64
	// size that it should have, and the one that is in place.
	size, given size
	// booked is what is set aside for it in its zone; nothing: it has no place yet.
	booked room
	// at is what phase says; of an absent one: when it may be started again.
	at instant
	// began is when its process was started, dies when that will end by chance, resized when size is in place.
	began, dies, resized instant
	frozenAt             instant // since when it is frozen
	since                instant // it is in this state
	starts               uint32  // counts them, for chance
	restarts, failures   int32   // deaths in all, and in a row
	lastExit             string
	served               share   // what an API server has carried since it began
	lacks, lacked        lacking // of room for size: now, and as told
	phase                phase
	state                uint8 // as told, with ready and outdated
	ready, outdated      bool
	stopped              bool // the manifest wants it so
	frozen               bool // by a drill
	ordered              bool // it restarts because something else is wanted of it
}

// guest as the state machine sees it.
type guest struct {
	id    string
	seed  uint64 // of all that is random about it
	shape *shape
	parts []part

	slot      slotState
	slotUntil instant
	rollUntil instant // bounds how long restarts wait for what is broken
	blocked   bool    // it is in world.blocked

	applied instant
	started instant // when all components had been ready for the first time; never: not yet

	carried carried

	// Of the runtime's heap: when to look again, the guest's number, where in the heap it is (-1: nowhere).
	due    instant
	number uint64
	index  int
	gone   bool
}

// step moves a guest on to now. It returns when something is due next, and whether anything that is observed
// has changed. The steps are:
//
//  1. what time has brought: processes that are ready, have ended or died, sizes that are in place;
//  2. what is held or let go: by the manifest (Stopped), by a drill;
//  3. room for what has none yet, or wants more;
//  4. restarts of what runs with something else than is wanted, one at a time (roll.go);
//  5. a start slot for a guest of which nothing runs;
//  6. starts of what may start;
//  7. the states that are told.
func (g *guest) step(now instant, w *world) (next instant, changed bool) {
	for i := range g.parts {
		g.pass(i, now, w)
	}
	for i := range g.parts {
		g.hold(i, now, w)
		g.settle(i, now, w)
	}
	g.roll(now, w)
	cold := g.pace(now, w)
	for i := range g.parts {
		if !cold && g.startable(i, now, w) {
			g.start(i, now, w)
		}
	}
	if g.slot == holding && g.slotDone(now, w) {
		w.leave(g, now)
	}
	for i := range g.parts {
		if g.tell(i, now, w) {
			changed = true
		}
	}
	g.tellStarted(now)
	return g.next(now, w), changed
}

// pass does what time has brought to a component.
func (g *guest) pass(i int, now instant, w *world) {
	p, o := &g.parts[i], &g.shape.parts[i]
	if p.resized <= now && p.booked != (room{}) && p.given != p.size {
		given := p.size.room(o.kind)
		freed := p.booked.minus(given)
		p.booked, p.given, p.resized = given, p.size, never
		w.release(o.zone, freed)
	}
	if p.frozen {
		return
	}
	switch {
	case p.phase == ending && p.at <= now:
		p.end(0)
	case (p.phase == starting || p.phase == up) && p.dies <= now:
		g.die(i, now)
	case p.phase == starting && p.at <= now:
		p.phase, p.ordered = up, false
	}
}

// end a component's process; it may be started again from then on.
func (p *part) end(from instant) { p.phase, p.at, p.frozen = absent, from, false }

// die by chance.
func (g *guest) die(i int, now instant) {
	p := &g.parts[i]
	if p.phase == up && now-p.at >= instant(healthy) {
		p.failures = 0
	}
	p.failures++
	p.restarts++
	ran := time.Duration(now - p.began).Round(time.Second)
	how := [...]string{"signal: killed", "exit status 1", "exit status 2"}
	p.lastExit = fmt.Sprintf("%s after %s", how[chance(g.seed, g.shape.parts[i].salt, ofExit, uint64(p.starts))%3], ran)
	p.ordered = false
	p.end(now.after(backoff(p.failures)))
}

// backoff is the pause after so many deaths in a row.
func backoff(failures int32) time.Duration {
	if failures > 8 {
		return backoffMost
	}
	return min(backoffMost, backoffFirst<<(failures-1))
}

// hold what is to be held, and let go what no longer is.
func (g *guest) hold(i int, now instant, w *world) {
	p, zone := &g.parts[i], g.shape.parts[i].zone
	drill := w.drill(zone)
	switch {
	case p.stopped:
		p.end(0)
		p.ordered, p.failures = false, 0
		freed := p.booked
		p.booked, p.lacks = room{}, 0
		w.release(zone, freed)
	case drill == v1alpha1.DrillKill:
		if p.alive() {
			p.end(0)
		}
		p.ordered = false
	case drill == v1alpha1.DrillHang:
		if p.alive() && !p.frozen {
			p.frozen, p.frozenAt = true, now
		}
	case p.frozen:
		lost := time.Duration(now - p.frozenAt)
		if p.phase != up {
			p.at = p.at.after(lost)
		}
		p.dies, p.frozen = p.dies.after(lost), false
	}
}

func (p *part) alive() bool { return p.phase != absent }

// startable says that a component may be started, but for a start slot.
func (g *guest) startable(i int, now instant, w *world) bool {
	p := &g.parts[i]
	return !p.alive() && g.wanted(i, w) && p.booked != (room{}) && p.at <= now && g.carry(i)
}

// wanted says that a component should run.
func (g *guest) wanted(i int, w *world) bool {
	return !g.parts[i].stopped && w.drill(g.shape.parts[i].zone) == ""
}

// carry says that all that a component starts after is there. Having been ready once is enough: each copes with a
// failure of the other.
func (g *guest) carry(i int) bool {
	return !slices.ContainsFunc(g.shape.parts[i].after, func(j int) bool { return g.parts[j].phase != up })
}

func (g *guest) start(i int, now instant, w *world) {
	p, o := &g.parts[i], &g.shape.parts[i]
	p.starts++
	p.phase, p.runs, p.began, p.served = starting, p.wants, now, share{}
	p.at = now.after(w.startTime(o.kind, g.seed, o.salt, p.starts))
	p.dies = now.after(w.lifeTime(g.seed, o.salt, p.starts))
}

// serves says that a component does its work: an API server only with its etcd, and with a quorum of it.
func (g *guest) serves(i int, w *world) bool {
	if !g.works(i, w) {
		return false
	}
	if g.shape.parts[i].kind != controlplane.APIServer {
		return true
	}
	members, working := 0, 0
	for j := range g.parts {
		if g.shape.parts[j].kind == controlplane.Etcd {
			members++
			if g.works(j, w) {
				working++
			}
		}
	}
	return working >= members/2+min(1, members) &&
		!slices.ContainsFunc(g.shape.parts[i].after, func(j int) bool { return !g.works(j, w) })
}

// works says that a component runs and is not held.
func (g *guest) works(i int, w *world) bool {
	return g.parts[i].phase == up && !g.parts[i].frozen && g.wanted(i, w)
}

// tell how a component is, and whether that has changed.
func (g *guest) tell(i int, now instant, w *world) (changed bool) {
	p := &g.parts[i]
	before, wasReady, wasOutdated, lacked := p.state, p.ready, p.outdated, p.lacked
	p.state = g.stateNow(i, now, w)
	p.ready = g.serves(i, w)
	p.outdated = p.alive() && p.runs != p.wants || p.booked != (room{}) && p.given != p.size
	p.lacked = p.lacks
	if p.state != before {
		p.since = now
	}
	return p.state != before || p.ready != wasReady || p.outdated != wasOutdated || p.lacked != lacked
}

func (g *guest) stateNow(i int, now instant, w *world) uint8 {
	p := &g.parts[i]
	switch {
	case !g.wanted(i, w):
		return held
	case p.phase == up:
		return running
	case p.alive():
		return startingState
	case p.booked == (room{}):
		return blockedState
	case p.at > now:
		return backOff
	case g.slot == queued && g.carry(i):
		return queuedState
	}
	return waiting
}

func (g *guest) tellStarted(now instant) {
	if g.started == never && len(g.parts) > 0 && !slices.ContainsFunc(g.parts, func(p part) bool { return !p.ready }) {
		g.started = now
	}
}

// next is when to look at the guest again although nothing happened.
func (g *guest) next(now instant, w *world) instant {
	next := never
	sooner := func(at instant) {
		if at > now {
			next = min(next, at)
		}
	}
	for i := range g.parts {
		p := &g.parts[i]
		sooner(p.resized)
		switch {
		case p.frozen:
		case p.phase == starting:
			sooner(min(p.at, p.dies))
		case p.phase == up:
			sooner(p.dies)
		default:
			sooner(p.at)
		}
	}
	if g.slot == holding {
		sooner(g.slotUntil)
	}
	if g.anyBehind(w) {
		sooner(g.rollUntil)
	}
	return next
}

// discard a component's data: its process is killed and starts as if it had never run.
func (g *guest) discard(i int) {
	p := &g.parts[i]
	p.end(0)
	p.ordered, p.failures = false, 0
}
