package placement

import (
	"fmt"
	"strings"
)

// GrowthProblem says why a guest that was counted in the cell (Take) must not take to instead; empty: it may. Its zones stay what they are. Growth keeps the
// reserve of each of them, before and after the loss of any one other zone, by the arithmetic of Place:
// etcd, and all of a Single guest, stay where they are on a loss. A zone that is over its reserve of CPU or memory already
// lets nobody grow into it; pods, addresses and volumes bind only a guest that takes more of them. Its
// interfaces stay what they are. A guest that takes no more than before of anything always may.
func GrowthProblem(cell *Cell, guest Guest, to []Demand) string {
	if !More(guest.Demand, to) {
		return ""
	}
	for _, name := range guest.Zones {
		if cell.Zone(name) == nil {
			return fmt.Sprintf("cell %s reports no capacity of zone %s", cell.Name, name)
		}
	}
	if len(to) != len(guest.Zones) || len(guest.Demand) > len(guest.Zones) {
		return fmt.Sprintf("the guest lies in %d zones and would take room in %d", len(guest.Zones), len(to))
	}
	besides := make([]int64, len(cell.Zones))
	for i, name := range guest.Zones {
		lost := cell.index(name)
		besides[lost] += share(to[i].APIServerMilliCPU, len(to))
		if i < len(guest.Demand) {
			besides[lost] -= share(guest.Demand[i].APIServerMilliCPU, len(guest.Zones))
		}
	}
	var broken []string
	for i, name := range guest.Zones {
		more := to[i].Vector
		if i < len(guest.Demand) {
			more = more.Add(guest.Demand[i].times(-1))
		}
		if z := cell.index(name); !growthKept(cell, z, more, besides) {
			broken = append(broken, string(appendGrowth([]byte("zone "+name), cell, z, more, besides)))
		}
	}
	if len(broken) == 0 {
		return ""
	}
	return fmt.Sprintf("cell %s would not keep %s: %s", cell.Name, appendLimits(nil, cell), strings.Join(broken, ", "))
}

// growthKept tells whether a zone that holds more than now keeps the reserve.
func growthKept(cell *Cell, z int, more Vector, besides []int64) bool {
	would, limit := grown(cell.Zones[z], more)
	return within(&would, &limit, 100-cell.ReservePercent) && keptAfterLoss(cell, z, &more, besides)
}

// grown is what a zone would use, and its capacity of what binds a guest that grows by more.
func grown(zone *Zone, more Vector) (would, capacity Vector) {
	capacity = zone.Capacity
	for _, thing := range []struct {
		more     int64
		capacity *int64
	}{{more.Pods, &capacity.Pods}, {more.Addresses, &capacity.Addresses}, {more.Volumes, &capacity.Volumes}} {
		if thing.more <= 0 {
			*thing.capacity = Unlimited
		}
	}
	return zone.Used.Add(more), capacity
}

// appendGrowth says what binds in a zone that would hold more.
func appendGrowth(text []byte, cell *Cell, z int, more Vector, besides []int64) []byte {
	zone := cell.Zones[z]
	would, capacity := grown(zone, more)
	for _, thing := range things {
		if !holds(thing.of(&would), thing.of(&capacity), 100-cell.ReservePercent) {
			return appendUse(text, thing.name, thing.of(&zone.Used), thing.of(&would), thing.of(&capacity))
		}
	}
	lost, after := -1, int64(0)
	for other := range cell.Zones {
		if takeover := zone.takeover[other] + besides[other]; other != z && (lost < 0 || takeover > after) {
			lost, after = other, takeover
		}
	}
	if holds(would.MilliCPU+after, capacity.MilliCPU, 100-reserveAfterLossPercent) {
		text = appendUse(text, thingMemory, zone.Used.Memory, would.Memory, capacity.Memory)
	} else {
		text = appendUse(text, thingCPU, zone.Used.MilliCPU+zone.takeover[lost], would.MilliCPU+after, capacity.MilliCPU)
	}
	return append(append(text, " after the loss of zone "...), cell.Zones[lost].Name...)
}

// Grow books what GrowthProblem finds no problem with, and changes nothing otherwise.
func Grow(cell *Cell, guest Guest, to []Demand) (problem string) {
	if problem := GrowthProblem(cell, guest, to); problem != "" {
		return problem
	}
	cell.book(guest.Zones, guest.Demand, -1)
	cell.book(guest.Zones, to, 1)
	cell.Region.book(guest.Tenant, 0, total(to).Add(total(guest.Demand).times(-1)))
	return ""
}

// Larger is the larger of two demands in each zone and of each thing: what is certain not to be exceeded
// while nobody knows which of them holds.
func Larger(a, b []Demand) []Demand {
	if len(a) < len(b) {
		a, b = b, a
	}
	larger := append([]Demand(nil), a...)
	for i := range b {
		larger[i].Vector = a[i].larger(b[i].Vector)
		larger[i].APIServerMilliCPU = max(a[i].APIServerMilliCPU, b[i].APIServerMilliCPU)
	}
	return larger
}

// More tells whether to takes more than from of anything, anywhere.
func More(from, to []Demand) bool {
	if len(to) > len(from) {
		return true
	}
	for i := range to {
		if Larger(from[i:i+1], to[i:i+1])[0] != from[i] {
			return true
		}
	}
	return false
}
