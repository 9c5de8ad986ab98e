package placement

// mostZones of a guest.
const mostZones = 3

// checks are rules of a spot that can be left out, to find which of them keeps a guest away.
type checks uint8

const (
	checkPods checks = 1 << iota
	checkAddresses
	checkVolumes
	checkInterfaces
	checkNear

	allChecks = checkPods | checkAddresses | checkVolumes | checkInterfaces | checkNear
)

// spot is a choice of zones for a guest.
type spot struct {
	zones [mostZones]int // indexes, in the order of the demand
	count int
	free  int64 // thousandths of what may be used that stay free in the fullest of the zones
}

func (s spot) index(demand int) int { return s.zones[demand] }

// names of the zones.
func (s spot) names(c *Cell) []string {
	names := make([]string, s.count)
	for i := range names {
		names[i] = c.Zones[s.zones[i]].Name
	}
	return names
}

// holds tells whether a zone is one of the first count chosen.
func (s spot) holds(zone, count int) bool {
	for i := range count {
		if s.zones[i] == zone {
			return true
		}
	}
	return false
}

// search for a spot in one cell.
type search struct {
	cell   *Cell
	vpc    string
	demand []Demand
	checks checks
	now    spot
	best   spot
	found  bool
}

// findSpot tries all ways to spread a demand over distinct zones of a cell, and returns the one whose fullest zone is
// least full; of equal ones the first in the order of zones. It is false when none keeps the reserve.
func findSpot(r *Request, c *Cell, which checks) (spot, bool) {
	if len(r.Demand) == 0 || len(r.Demand) > mostZones {
		return spot{}, false
	}
	s := search{cell: c, vpc: r.VPC, demand: r.Demand, checks: which}
	s.now.count, s.best.free = len(r.Demand), -1
	s.choose(0, whole)
	return s.best, s.found
}

// choose a zone for the demand of that index, and for all after it. Free is that of the zones chosen before. Of
// equal demands each takes a later zone than the one before: the other way round is the same spot.
func (s *search) choose(next int, free int64) {
	if next == len(s.demand) {
		if free > s.best.free && s.keepsAfterLoss() {
			s.best, s.found = s.now, true
			s.best.free = free
		}
		return
	}
	first := 0
	if next > 0 && s.demand[next] == s.demand[next-1] {
		first = s.now.zones[next-1] + 1
	}
	for z := first; z < len(s.cell.Zones); z++ {
		if s.now.holds(z, next) {
			continue
		}
		left, ok := s.fits(next, z)
		if !ok {
			continue
		}
		s.now.zones[next] = z
		s.choose(next+1, min(free, left))
	}
}

// fits tells whether a zone may be used for a demand before any loss, and how much of it then stays free.
func (s *search) fits(next, z int) (free int64, ok bool) {
	zone, d := &s.cell.Zones[z], &s.demand[next]
	if zone.Held || !s.near(next, z) {
		return 0, false
	}
	used := zone.Used.Add(d.Vector)
	if used.MilliCPU > zone.before.MilliCPU || used.Memory > zone.before.Memory ||
		s.checks&checkPods != 0 && used.Pods > zone.before.Pods ||
		s.checks&checkAddresses != 0 && used.Addresses > zone.before.Addresses ||
		s.checks&checkVolumes != 0 && used.Volumes > zone.before.Volumes ||
		s.checks&checkInterfaces != 0 && !s.cell.reaches(zone, s.vpc) {
		return 0, false
	}
	return whole - zone.fullness(used), true
}

// fullness of a zone with so much in use, in thousandths of what may be used of the scarcest thing.
func (z *Zone) fullness(used Vector) int64 {
	full := max(perMille(used.MilliCPU, z.before.MilliCPU), perMille(used.Memory, z.before.Memory))
	if z.Capacity.Pods >= 0 {
		full = max(full, perMille(used.Pods, z.before.Pods))
	}
	if z.Capacity.Addresses >= 0 {
		full = max(full, perMille(used.Addresses, z.before.Addresses))
	}
	if z.Capacity.Volumes >= 0 {
		full = max(full, perMille(used.Volumes, z.before.Volumes))
	}
	return full
}

// reaches tells whether one more guest of a VPC finds an address on an interface in a zone.
func (c *Cell) reaches(zone *Zone, vpc string) bool {
	if vpc == "" || zone.Interfaces < 0 || c.AddressesPerInterface <= 0 {
		return true
	}
	guests := zone.VPCs[vpc]
	more := c.interfacesFor(guests+1) - c.interfacesFor(guests)
	return more == 0 || zone.interfaces+more <= percentOf(zone.Interfaces, 100-c.ReservePercent)
}

// near tells whether a zone is near those that were chosen before.
func (s *search) near(next, z int) bool {
	if s.checks&checkNear == 0 {
		return true
	}
	for i := range next {
		if s.cell.Zones[z].RoundTrip[s.now.zones[i]] > s.cell.Region.MaxRoundTrip {
			return false
		}
	}
	return true
}

// keepsAfterLoss tells whether the chosen zones stay within the reserve after the loss of any one other zone of the
// cell. A zone that a drill holds counts as one: its load is with the others right now, and it can be lost again
// afterwards. Zones that were not chosen stay as they are.
func (s *search) keepsAfterLoss() bool {
	for i := range s.demand {
		zone := &s.cell.Zones[s.now.zones[i]]
		if len(s.cell.Zones) > 1 && zone.Used.Memory+s.demand[i].Memory > zone.after.Memory {
			return false
		}
		used := zone.Used.MilliCPU + s.demand[i].MilliCPU
		for lost := range s.cell.Zones {
			if lost == s.now.zones[i] {
				continue
			}
			if used+zone.Takeover[lost]+s.takeover(lost) > zone.after.MilliCPU {
				return false
			}
		}
	}
	return true
}

// takeover is what each other zone of the guest carries besides when that zone is lost.
func (s *search) takeover(lost int) int64 {
	for j := range s.demand {
		if s.now.zones[j] == lost && s.demand[j].APIServerMilliCPU > 0 {
			return share(s.demand[j].APIServerMilliCPU, len(s.demand)-1)
		}
	}
	return 0
}
