package simulated

import (
	"time"

	"github.com/myriad-fleet/myriad/internal/controlplane"
)

// rollTime bounds how long restarts wait for what is broken, as in the process runtime.
const rollTime = 2 * time.Minute

// roll restarts what runs with something else than is wanted: one component at a time in the manifest's order, the
// next when all others do their work again or the wait for that is over. What does not work anyway goes
// first. A member of etcd never ends while another one does not work.
func (g *guest) roll(now instant, w *world) {
	for i := range g.parts {
		p := &g.parts[i]
		if p.ordered && p.phase == absent && now >= g.rollUntil {
			p.ordered = false // what it needs does not come back
		}
		if !p.ordered {
			continue
		}
		if g.behind(i, w) { // it is on its way with what was wanted meanwhile
			g.order(i, now)
		}
		return
	}
	next := g.nextBehind(w)
	if next < 0 {
		return
	}
	if g.shape.parts[next].kind == controlplane.Etcd && g.unsettled(next, controlplane.Etcd, w) {
		return
	}
	if g.serves(next, w) && g.unsettled(next, "", w) && now < g.rollUntil {
		return
	}
	g.order(next, now)
	g.rollUntil = now.after(rollTime)
}

// order a component to end; it starts again with what is wanted by then.
func (g *guest) order(i int, now instant) {
	p := &g.parts[i]
	took := endTime
	if g.shape.parts[i].kind == controlplane.APIServer {
		took = drainTime
	}
	p.phase, p.at, p.ordered = ending, now.after(took), true
}

// behind says that a component is to be restarted because something else is wanted of it.
func (g *guest) behind(i int, w *world) bool {
	p := &g.parts[i]
	return (p.phase == starting || p.phase == up) && !p.frozen && p.runs != p.wants && g.wanted(i, w)
}

func (g *guest) anyBehind(w *world) bool { return g.nextBehind(w) >= 0 }

// nextBehind is the first that is behind and does not work, else the first that is behind; -1 for none.
func (g *guest) nextBehind(w *world) int {
	first := -1
	for i := range g.parts {
		if !g.behind(i, w) {
			continue
		}
		if !g.serves(i, w) {
			return i
		}
		if first < 0 {
			first = i
		}
	}
	return first
}

// unsettled says that another component than the one to restart, of a kind or of any (""), should do its work and
// does not. Members of etcd that a drill holds count, other components of its zone do not.
func (g *guest) unsettled(next int, kind controlplane.Kind, w *world) bool {
	for i := range g.parts {
		if i == next || g.parts[i].stopped || kind != "" && g.shape.parts[i].kind != kind {
			continue
		}
		if (kind != "" || g.wanted(i, w)) && !g.serves(i, w) {
			return true
		}
	}
	return false
}
