package placement

import "slices"

const (
	// defaultReservePercent is the default of Cell.spec.reservePercent.
	defaultReservePercent = 40
	// reserveAfterLossPercent of every zone's CPU and memory stays free after any one other zone is lost.
	reserveAfterLossPercent = 10
)

// strictness is how much of what zones must offer a search asks for. Each asks for what is before it, too.
type strictness int

const (
	nearZones        strictness = iota // not held, and near each other
	withInterfaces                     // an interface for the guest's VPC in each
	withinTheReserve                   // before and after the loss of any other zone
)

// zoneSearch finds the zones of a cell for a demand: of all ways to spread it over distinct zones that are
// allowed, the one whose fullest chosen zone is least full, and of equal ones the first in the order of
// names. It looks at all ways but those that cannot be better, so that its answer is exact. What it
// allocates serves one cell after the other.
type zoneSearch struct {
	cell       *Cell
	demand     []Demand
	vpc        string
	roundTrips int64 // the most between two zones, in microseconds
	strictness strictness

	// free is the least free share of zone z with part i of the demand, at i*zones+z; negative: it may not
	// lie there.
	free   []float64
	shares []int64 // of each part's API server CPU, for each other zone of the guest
	lost   []int64 // by zone: the share that the zones chosen now take over when it is lost
	chosen []int
	found  []int
	best   float64
	text   []byte // of messages
}

// run returns the chosen zones in found, until the next call, and false when no way is allowed.
func (s *zoneSearch) run(c *Candidate, strictness strictness) bool {
	s.cell, s.demand, s.vpc, s.roundTrips, s.strictness = c.Cell, c.Request.Demand, c.Request.VPC, c.region.roundTrips, strictness
	zones, parts := len(s.cell.Zones), len(s.demand)
	if parts == 0 || parts > zones {
		return false
	}
	s.free = slices.Grow(s.free[:0], parts*zones)[:parts*zones]
	s.shares = slices.Grow(s.shares[:0], parts)[:parts]
	s.lost = slices.Grow(s.lost[:0], zones)[:zones]
	s.chosen, s.found, s.best = s.chosen[:0], s.found[:0], -1
	clear(s.lost)
	if !s.fill() {
		return false
	}
	s.extend(1)
	return s.best >= 0
}

// fill the table of free shares; false when some part of the demand fits nowhere.
func (s *zoneSearch) fill() bool {
	zones := len(s.cell.Zones)
	for i := range s.demand {
		row := s.free[i*zones : (i+1)*zones]
		if i > 0 && s.demand[i] == s.demand[i-1] {
			copy(row, s.free[(i-1)*zones:i*zones])
			s.shares[i] = s.shares[i-1]
			continue
		}
		s.shares[i] = share(s.demand[i].APIServerMilliCPU, len(s.demand))
		fits := false
		for z, zone := range s.cell.Zones {
			row[z] = s.freeShare(zone, &s.demand[i].Vector)
			fits = fits || row[z] >= 0
		}
		if !fits {
			return false
		}
	}
	return true
}

// freeShare of a zone with that demand in it, of whatever is scarcest; negative: the demand may not lie there.
func (s *zoneSearch) freeShare(zone *Zone, demand *Vector) float64 {
	if zone.Held || s.strictness >= withInterfaces && !zone.offersInterface(s.vpc, s.cell) {
		return -1
	}
	if s.strictness < withinTheReserve {
		return 1
	}
	used := zone.Used.Add(*demand)
	if !within(&used, &zone.Capacity, 100-s.cell.ReservePercent) {
		return -1
	}
	most := max(part(used.MilliCPU, zone.Capacity.MilliCPU), part(used.Memory, zone.Capacity.Memory))
	if zone.Capacity.Pods != Unlimited {
		most = max(most, part(used.Pods, zone.Capacity.Pods))
	}
	if zone.Capacity.Addresses != Unlimited {
		most = max(most, part(used.Addresses, zone.Capacity.Addresses))
	}
	if zone.Capacity.Volumes != Unlimited {
		most = max(most, part(used.Volumes, zone.Capacity.Volumes))
	}
	return max(1-most, 0)
}

// extend the chosen zones by one for the next part of the demand; least is the least free share so far.
func (s *zoneSearch) extend(least float64) {
	i := len(s.chosen)
	if i == len(s.demand) {
		if s.strictness < withinTheReserve || s.keptAfterLoss() {
			s.best, s.found = least, append(s.found[:0], s.chosen...)
		}
		return
	}
	first := 0
	if i > 0 && s.demand[i] == s.demand[i-1] {
		first = s.chosen[i-1] + 1 // equal parts may change places: one order stands for all
	}
	zones := len(s.cell.Zones)
	for z := first; z < zones; z++ {
		free := min(least, s.free[i*zones+z])
		if free <= s.best || free < 0 || slices.Contains(s.chosen, z) || !s.near(z) {
			continue
		}
		s.chosen, s.lost[z] = append(s.chosen, z), s.shares[i]
		s.extend(free)
		s.chosen, s.lost[z] = s.chosen[:i], 0
	}
}

// near tells whether a zone is near all that are chosen. What was not measured is.
func (s *zoneSearch) near(zone int) bool {
	if s.cell.longest <= s.roundTrips {
		return true
	}
	for _, other := range s.chosen {
		if s.cell.roundTrips[zone][other] > s.roundTrips {
			return false
		}
	}
	return true
}

// keptAfterLoss tells whether the chosen zones stay within the reserve after the loss of any one other
// zone of the cell. A zone that a drill holds counts as one: its load is with the others right now, and it
// can be lost again afterwards. Zones that were not chosen stay as they are.
func (s *zoneSearch) keptAfterLoss() bool {
	for i, z := range s.chosen {
		if !keptAfterLoss(s.cell, z, &s.demand[i].Vector, s.lost) {
			return false
		}
	}
	return true
}

// keptAfterLoss tells whether a zone with more in it stays within the reserve when any one other zone is
// lost, with what it takes over then besides, by lost zone.
func keptAfterLoss(cell *Cell, z int, more *Vector, besides []int64) bool {
	zone := cell.Zones[z]
	if len(cell.Zones) < 2 {
		return true
	}
	worst := int64(0)
	for lost := range cell.Zones {
		if lost != z {
			worst = max(worst, zone.takeover[lost]+besides[lost])
		}
	}
	return holds(zone.Used.MilliCPU+more.MilliCPU+worst, zone.Capacity.MilliCPU, 100-reserveAfterLossPercent) &&
		holds(zone.Used.Memory+more.Memory, zone.Capacity.Memory, 100-reserveAfterLossPercent)
}

// within tells whether every used thing is at most that percentage of its capacity.
func within(used, capacity *Vector, percent int64) bool {
	return holds(used.MilliCPU, capacity.MilliCPU, percent) && holds(used.Memory, capacity.Memory, percent) &&
		holds(used.Pods, capacity.Pods, percent) && holds(used.Addresses, capacity.Addresses, percent) &&
		holds(used.Volumes, capacity.Volumes, percent)
}

func holds(used, capacity, percent int64) bool {
	return capacity == Unlimited || used*100 <= capacity*percent
}

// offersInterface tells whether a guest of the VPC may lie in the zone: an interface of that VPC has a free
// address, or another one may be attached.
func (z *Zone) offersInterface(vpc string, cell *Cell) bool {
	if vpc == "" || z.Interfaces == Unlimited || holds(z.attached+1, z.Interfaces, 100-cell.ReservePercent) {
		return true
	}
	return z.newInterface(vpc, cell.perInterface()) == 0
}

// newInterface is 1 when one more guest of the VPC takes another interface.
func (z *Zone) newInterface(vpc string, perInterface int64) int64 {
	guests := z.vpcs[vpc]
	return interfaces(guests+1, perInterface) - interfaces(guests, perInterface)
}
