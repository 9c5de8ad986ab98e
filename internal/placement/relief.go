package placement

import (
	"cmp"
	"slices"
)

const (
	// mostExact is the most guests of one cell that are tried in all combinations.
	mostExact = 3
	// mostSets of guests that are looked at per cell: all triples of 200 guests are 1.3 million, which takes about 0.1 s.
	mostSets = 2_000_000
	// mostTries to find room for guests per cell. Each asks all cells, which takes some 10 µs for 40 of them.
	mostTries = 10_000
)

// relief is the search for guests of one cell whose leaving mends it.
type relief struct {
	rebalance *rebalance
	from      *Cell
	// others are the cells that guests may move into: those under their reserve. No move brings one over it.
	others []*Cell
	// excess over each of the cell's limits; all of its positive.
	excess  []int64
	limits  []int // their indexes in Cell.uses
	leavers []leaver
	stuck   []leaver // would relieve the cell, and can go nowhere else
	// most of the leavers' parts from that index on, for each excess.
	most        [][]int64
	sets, tries int
	chosen      []*leaver
	left        []*leaver // the answer, in the order of moves
}

// leaver is a guest that could leave the cell.
type leaver struct {
	Located

	parts  []int64 // of each excess that its leaving can take away at most
	relief int64   // thousandths of each excess that it takes away, added up
	to     *Cell
	booked Guest
}

// newRelief of a cell that is over its reserve.
func newRelief(r *rebalance, from *Cell) *relief {
	s := &relief{rebalance: r, from: from, sets: mostSets, tries: mostTries}
	s.others = slices.DeleteFunc(slices.Clone(r.cells), func(c *Cell) bool { return c == from || c.over() })
	for i, excess := range from.excess() {
		if excess > 0 {
			s.limits, s.excess = append(s.limits, i), append(s.excess, excess)
		}
	}
	for _, guest := range r.guests[from.Name] {
		l := leaver{Located: guest, parts: s.parts(guest.Guest)}
		for i, part := range l.parts {
			l.relief += min(part, s.excess[i]) * whole / s.excess[i]
		}
		switch {
		case l.relief == 0:
		case s.movable(&l):
			s.leavers = append(s.leavers, l)
		default:
			s.stuck = append(s.stuck, l)
		}
	}
	byRelief := func(a, b leaver) int {
		return cmp.Or(cmp.Compare(b.relief, a.relief), cmp.Compare(a.ID, b.ID))
	}
	slices.SortFunc(s.leavers, byRelief)
	slices.SortFunc(s.stuck, byRelief)
	s.most = make([][]int64, len(s.leavers)+1)
	s.most[len(s.leavers)] = make([]int64, len(s.excess))
	for i := len(s.leavers) - 1; i >= 0; i-- {
		s.most[i] = slices.Clone(s.most[i+1])
		for j, part := range s.leavers[i].parts {
			s.most[i][j] = max(s.most[i][j], part)
		}
	}
	return s
}

// excess of what is used over each limit of the cell, before and after a loss; 0 or less: within it.
func (c *Cell) excess() []int64 {
	var excess []int64
	for z := range c.Zones {
		zone := &c.Zones[z]
		for _, thing := range things {
			excess = append(excess, zone.Used.Of(thing)-zone.before.Of(thing))
		}
		attached := int64(0)
		if zone.Interfaces >= 0 {
			attached = zone.interfaces - percentOf(zone.Interfaces, 100-c.ReservePercent)
		}
		excess = append(excess, attached)
		if len(c.Zones) == 1 {
			continue
		}
		excess = append(excess, zone.Used.Memory-zone.after.Memory)
		for lost := range c.Zones {
			if lost != z {
				excess = append(excess, zone.Used.MilliCPU+zone.Takeover[lost]-zone.after.MilliCPU)
			}
		}
	}
	return excess
}

// parts of each excess that a guest's leaving can take away. An interface may be shared: it then goes with the
// last guest, and one in each zone is the most that a guest can set free.
func (s *relief) parts(guest Guest) []int64 {
	with := s.from.excess()
	s.from.Release(guest)
	without := s.from.excess()
	s.from.Take(guest)
	parts := make([]int64, len(s.limits))
	for i, limit := range s.limits {
		parts[i] = with[limit] - without[limit]
		if s.attaches(limit, guest) {
			parts[i] = 1
		}
	}
	return parts
}

// attaches tells whether that limit is one of interfaces of a zone in which the guest reaches into a VPC.
func (s *relief) attaches(limit int, guest Guest) bool {
	perZone := len(s.from.excess()) / len(s.from.Zones)
	return guest.VPC != "" && limit%perZone == len(things) && slices.Contains(guest.Zones, s.from.Zones[limit/perZone].Name)
}

// movable tells whether another cell takes the guest.
func (s *relief) movable(l *leaver) bool {
	s.from.Release(l.Guest)
	found := len(s.destinations(l)) > 0
	s.from.Take(l.Guest)
	return found
}

// destinations of a guest whose booking is released: those in its own region first, the best first.
func (s *relief) destinations(l *leaver) []candidate {
	others := s.others
	if l.Request.VPC != "" { // a VPC lies in one region
		others = slices.DeleteFunc(slices.Clone(others), func(c *Cell) bool { return !s.home(c) })
	}
	p := Profile{filters, scorers}
	candidates, _ := p.sift(&l.Request, others)
	if len(candidates) == 0 {
		return nil
	}
	p.score(&l.Request, candidates)
	slices.SortFunc(candidates, func(a, b candidate) int {
		if s.home(a.cell) != s.home(b.cell) {
			if s.home(a.cell) {
				return -1
			}
			return 1
		}
		return a.compare(b)
	})
	return candidates
}

// home tells whether a cell lies in the region that the guests leave from.
func (s *relief) home(c *Cell) bool { return c.Region.Region == s.from.Region.Region }

// fewest guests, up to mostExact, whose leaving mends the cell.
func (s *relief) fewest() bool {
	for size := 1; size <= mostExact; size++ {
		if s.choose(0, size, s.excess) {
			return true
		}
	}
	return false
}

// choose so many more guests from that index on, to take that excess away.
func (s *relief) choose(first, size int, excess []int64) bool {
	if size == 0 {
		return s.mends() && s.settle(0)
	}
	for i := first; i+size <= len(s.leavers); i++ {
		for j, most := range s.most[i] {
			if most*int64(size) < excess[j] {
				return false // no later guest takes more away
			}
		}
		if s.sets--; s.sets < 0 || s.tries < 0 {
			return false
		}
		left := slices.Clone(excess)
		enough := true
		for j, part := range s.leavers[i].parts {
			left[j] -= part
			enough = enough && left[j] <= s.most[i+1][j]*int64(size-1)
		}
		if !enough {
			continue
		}
		s.chosen = append(s.chosen, &s.leavers[i])
		if s.choose(i+1, size-1, left) {
			return true
		}
		s.chosen = s.chosen[:len(s.chosen)-1]
	}
	return false
}

// mends tells whether the cell is fine without the chosen guests.
func (s *relief) mends() bool {
	for _, l := range s.chosen {
		s.from.Release(l.Guest)
	}
	fine := !s.from.over()
	for _, l := range s.chosen {
		s.from.Take(l.Guest)
	}
	return fine
}

// settle the chosen guests from that index on, in every order: who comes first takes the zones that suit it best.
func (s *relief) settle(next int) bool {
	if next == len(s.chosen) {
		s.left = slices.Clone(s.chosen)
		return true
	}
	for i := next; i < len(s.chosen); i++ {
		s.chosen[next], s.chosen[i] = s.chosen[i], s.chosen[next]
		if s.settleOne(next) {
			return true
		}
		s.chosen[next], s.chosen[i] = s.chosen[i], s.chosen[next]
	}
	return false
}

// settleOne guest in the best cell that leaves room for the rest.
func (s *relief) settleOne(next int) bool {
	l := s.chosen[next]
	s.from.Release(l.Guest)
	for _, to := range s.destinations(l) {
		if s.tries--; s.tries < 0 {
			break
		}
		s.enter(l, to)
		if s.settle(next + 1) {
			return true
		}
		l.to.Release(l.booked)
	}
	s.from.Take(l.Guest)
	return false
}

// enter a cell.
func (s *relief) enter(l *leaver, to candidate) {
	l.to = to.cell
	l.booked = Guest{Tenant: l.Request.Tenant, VPC: l.Request.VPC, Zones: to.where.names(to.cell), Demand: l.Request.Demand}
	l.to.Take(l.booked)
}

// greedy lets the guests that relieve most leave until the cell is mended; those that need not have left stay.
func (s *relief) greedy() bool {
	s.left = nil
	for i := range s.leavers {
		if !s.from.over() {
			break
		}
		l := &s.leavers[i]
		s.from.Release(l.Guest)
		if to := s.destinations(l); len(to) > 0 && s.helps(l) {
			s.enter(l, to[0])
			s.left = append(s.left, l)
			continue
		}
		s.from.Take(l.Guest)
	}
	return s.trim(!s.from.over()) && s.replay()
}

// trim takes back what was not needed of the moves, and all of them when the cell was not mended. A guest that left its region
// stays away where quotas count: guests that moved after it may go by what it left.
func (s *relief) trim(mended bool) bool {
	for i, l := range slices.Backward(slices.Clone(s.left)) {
		if mended && !s.home(l.to) && len(s.from.Region.Quotas) > 0 {
			continue
		}
		l.to.Release(l.booked)
		s.from.Take(l.Guest)
		if mended && s.from.over() {
			s.from.Release(l.Guest)
			l.to.Take(l.booked)
			continue
		}
		s.left = slices.Delete(s.left, i, i+1)
	}
	return mended
}

// replay the moves that are left one after the other: a guest that stays after all may have stood where the later ones
// would have gone. If one finds no place then, all of them stay.
func (s *relief) replay() bool {
	for _, l := range s.left {
		l.to.Release(l.booked)
		s.from.Take(l.Guest)
	}
	for i, l := range s.left {
		s.from.Release(l.Guest)
		spots := s.destinations(l)
		at := slices.IndexFunc(spots, func(c candidate) bool { return c.cell == l.to })
		if at < 0 {
			s.from.Take(l.Guest)
			for _, back := range s.left[:i] {
				back.to.Release(back.booked)
				s.from.Take(back.Guest)
			}
			s.left = nil
			return false
		}
		s.enter(l, spots[at])
	}
	return true
}

// helps tells whether a guest that has just been released took any of what still is over a limit.
func (s *relief) helps(l *leaver) bool {
	s.from.Take(l.Guest)
	excess := s.from.excess()
	s.from.Release(l.Guest)
	for i, limit := range s.limits {
		if excess[limit] > 0 && l.parts[i] > 0 {
			return true
		}
	}
	return false
}
