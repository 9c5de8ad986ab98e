package process

import (
	"slices"
)

// batch is what restarts together because something else is wanted of it: one component, or a member
// of a quorum with what starts after it. All are indexes into the view.
type batch struct {
	head int
	// rest ends before head does, and starts after it.
	rest []int
}

// roll is what restarts do to a guest now.
type roll struct {
	end  []bool // end this running component
	hold []bool // do not start this one yet: what it needs is about to end
}

// nextRoll picks what to restart next because something else is wanted of it. One batch goes at a time,
// each after all else is ready again or the wait for that is over. What does not serve anyway goes
// first, so that it costs no other replica. A batch that has begun is finished.
func nextRoll(g *guestView, p *plan) roll {
	r := roll{end: make([]bool, len(g.components)), hold: make([]bool, len(g.components))}
	batches := g.batches()
	if len(batches) == 0 {
		return r
	}
	next := batches[max(0, slices.IndexFunc(batches, func(b batch) bool { return !g.carries(b) }))]
	if g.components[next.head].member && g.quorumAtRisk(next.head) {
		return r // until the other is back: two members less are no quorum
	}
	if !g.begun(next) && g.unsettled(next) && g.now.Before(g.rollUntil) {
		p.wakeAt(g.rollUntil)
		return r
	}
	g.wind(next, &r)
	return r
}

// wind takes the next steps of a batch: what others need ends after them, the head last.
func (g *guestView) wind(b batch, r *roll) {
	down := true
	for _, i := range b.rest {
		c := &g.components[i]
		r.hold[i] = true
		if !c.alive {
			continue
		}
		down = false
		needed := slices.ContainsFunc(b.rest, func(j int) bool {
			return g.components[j].alive && slices.Contains(g.components[j].after, c.name)
		})
		r.end[i] = !needed && c.endable()
	}
	r.end[b.head] = down
}

// batches lists what must restart: quorums' members with their followers, then single components, each
// in the manifest's order.
func (g *guestView) batches() []batch {
	var all []batch
	taken := make([]bool, len(g.components))
	for i := range g.components {
		if g.due(i) && g.components[i].member && g.members() > 1 {
			b := batch{head: i, rest: g.followers(i)}
			for _, j := range b.rest {
				taken[j] = true
			}
			taken[i] = true
			all = append(all, b)
		}
	}
	for i := range g.components {
		if g.due(i) && !taken[i] {
			all = append(all, batch{head: i})
		}
	}
	return all
}

// followers are the components that cannot do without a member, and of those that need them, whoever
// must restart anyway. The others ride it out: see the package's documentation.
func (g *guestView) followers(member int) []int {
	var rest []int
	for i := range g.components {
		c := &g.components[i]
		direct := slices.Contains(c.after, g.components[member].name)
		indirect := g.due(i) && slices.ContainsFunc(rest, func(j int) bool { return slices.Contains(c.after, g.components[j].name) })
		if c.wanted && c.drill == "" && (direct || indirect) {
			rest = append(rest, i)
		}
	}
	return rest
}

// due says that a running component is to be restarted because something else is wanted of it. The only
// member of a quorum whose data is gone is not: what it still knows would end with it.
func (g *guestView) due(i int) bool {
	c := &g.components[i]
	return c.wanted && c.drill == "" && c.alive && c.endable() && (!c.current || c.lost) && !(c.lost && c.member && g.members() == 1)
}

// members counts the members of the guest's quorum.
func (g *guestView) members() int {
	n := 0
	for i := range g.components {
		if c := &g.components[i]; c.member && c.wanted {
			n++
		}
	}
	return n
}

// endable is false for what is ending already, and for what must be thawed first.
func (c *componentView) endable() bool { return !c.frozen && !c.stopping && !c.killed }

// serves says that a component does its work.
func (c *componentView) serves() bool { return c.alive && c.ready && c.drill == "" && c.endable() }

// carries says that a batch serves: its restart costs a replica.
func (g *guestView) carries(b batch) bool {
	head, followers := &g.components[b.head], 0
	for _, i := range b.rest {
		c := &g.components[i]
		if !slices.Contains(c.after, head.name) {
			continue
		}
		followers++
		if head.serves() && c.serves() {
			return true
		}
	}
	return followers == 0 && head.serves()
}

// begun says that a part of the batch is down by order already: bringing it back would take as long as
// finishing.
func (g *guestView) begun(b batch) bool {
	return slices.ContainsFunc(b.rest, func(i int) bool {
		c := &g.components[i]
		return c.stopping || c.killed || !c.alive && c.ordered
	})
}

// unsettled says that something outside of a batch does not serve, which the batch has to wait for. One
// that does not serve itself need not wait for others that wait for the same.
func (g *guestView) unsettled(b batch) bool {
	carries := g.carries(b)
	for i := range g.components {
		c := &g.components[i]
		outside := i != b.head && !slices.Contains(b.rest, i)
		if outside && c.wanted && c.drill == "" && !c.serves() && (carries || !g.due(i)) {
			return true
		}
	}
	return false
}

// quorumAtRisk says that another member of the quorum than the one to restart does not serve.
func (g *guestView) quorumAtRisk(next int) bool {
	for i := range g.components {
		if c := &g.components[i]; i != next && c.member && c.wanted && !c.serves() {
			return true
		}
	}
	return false
}
