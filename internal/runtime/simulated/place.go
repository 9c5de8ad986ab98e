package simulated

// settle finds room for what has none yet, or wants more.
func (g *guest) settle(i int, now instant, w *world) {
	p, o := &g.parts[i], &g.shape.parts[i]
	placed := p.booked != (room{})
	switch wanted := p.size.room(o.kind); {
	case p.stopped:
		return
	case placed && p.given == p.size: // or so again: what was set aside for another size is not needed
		freed := p.booked.minus(wanted)
		p.booked, p.lacks, p.resized = wanted, 0, never
		w.release(o.zone, freed)
		return
	case placed && p.resized != never:
		return
	}
	g.book(i, now, w)
}

// book room for the size that a component should have.
func (g *guest) book(i int, now instant, w *world) {
	p, o := &g.parts[i], &g.shape.parts[i]
	wanted := p.size.room(o.kind)
	more := wanted.most(p.booked).minus(p.booked)
	if o.zone >= 0 {
		if p.lacks = w.zones[o.zone].lacks(more); p.lacks != 0 {
			w.block(g)
			return
		}
		w.zones[o.zone].used = w.zones[o.zone].used.plus(more)
	}
	if p.booked == (room{}) {
		p.given, p.resized = p.size, never
	} else {
		p.resized = now.after(resizeTime)
	}
	p.lacks, p.booked = 0, p.booked.plus(more)
}

// pace says that nothing of the guest may start yet, because it has no start slot.
func (g *guest) pace(now instant, w *world) (cold bool) {
	if w.slots == 0 {
		return false
	}
	needs, alive := false, false
	for i := range g.parts {
		alive = alive || g.parts[i].alive()
		needs = needs || g.startable(i, now, w)
	}
	switch {
	case alive || !needs:
		if g.slot == queued {
			w.leave(g, now)
		}
		return false
	case g.slot == noSlot:
		w.acquire(g, now)
	}
	return g.slot != holding
}

// slotDone says that a guest needs its start slot no longer: what others wait for is ready (the rest costs
// little), its time is over, or nothing of it runs.
func (g *guest) slotDone(now instant, w *world) bool {
	if now >= g.slotUntil {
		return true
	}
	busy, unready := false, false
	for i := range g.parts {
		p := &g.parts[i]
		if !g.wanted(i, w) || p.booked == (room{}) {
			continue
		}
		busy = busy || p.alive()
		unready = unready || !p.alive() || p.phase != up && !g.shape.parts[i].last
	}
	return !busy || !unready
}

// leave the world: give all back.
func (g *guest) leave(now instant, w *world) {
	if g.slot != noSlot {
		w.leave(g, now)
	}
	for i := range g.parts {
		freed := g.parts[i].booked
		g.parts[i].booked = room{}
		w.release(g.shape.parts[i].zone, freed)
	}
	g.gone = true
}
