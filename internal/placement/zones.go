package placement

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	// defaultReservePercent is the default of Cell.spec.reservePercent.
	defaultReservePercent = 40
	// reserveAfterLossPercent of every zone stays free after any one other zone is lost.
	reserveAfterLossPercent = 10
	// whole is 100 % in thousandths.
	whole = 1000
)

// chooseZones finds the zones that leave the most room: of all ways to spread the demand over
// distinct zones that keep the reserve, the one whose fullest chosen zone is least full. It returns
// that zone's free share in thousandths, and false when no way keeps the reserve.
func chooseZones(demand []Demand, cell *Cell) (zones []string, free int, ok bool) {
	free = -1
	for _, choice := range choices(usableZones(cell), len(demand)) {
		if !reserveKept(cell, choice, demand) {
			continue
		}
		if room := freeShare(cell, choice, demand); room > free {
			zones, free = choice, room
		}
	}
	return zones, max(free, 0), zones != nil
}

// usableZones of a cell, sorted by name.
func usableZones(cell *Cell) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(cell.Zones)), func(name string) bool { return cell.Zones[name].Held })
}

// choices lists every way to take n of the names in order, in lexical order. Cells have three
// zones as a rule and ten at most: 6 or 720 choices.
func choices(names []string, n int) [][]string {
	if n == 0 {
		return [][]string{nil}
	}
	var all [][]string
	for i, name := range names {
		rest := slices.Concat(names[:i], names[i+1:])
		for _, tail := range choices(rest, n-1) {
			all = append(all, append([]string{name}, tail...))
		}
	}
	return all
}

// reserveKept tells whether the chosen zones stay within the reserve with the demand added, both
// now and after the loss of any one other zone of the cell. A zone that a drill holds counts as one:
// its load is with the others right now, and it can be lost again afterwards. Zones that were not
// chosen stay as they are.
func reserveKept(cell *Cell, chosen []string, demand []Demand) bool {
	for i, name := range chosen {
		zone := cell.Zones[name]
		used := zone.Used.Add(demand[i].Vector)
		if !within(used, zone.Capacity, 100-cell.ReservePercent) {
			return false
		}
		for lost := range cell.Zones {
			if lost == name {
				continue
			}
			takeover := zone.Takeover[lost]
			if j := slices.Index(chosen, lost); j >= 0 {
				takeover += share(demand[j].APIServerMilliCPU, len(chosen)-1)
			}
			if !within(used.Add(Vector{MilliCPU: takeover}), zone.Capacity, 100-reserveAfterLossPercent) {
				return false
			}
		}
	}
	return true
}

func within(used, capacity Vector, percent int64) bool {
	return used.MilliCPU*100 <= capacity.MilliCPU*percent && used.Memory*100 <= capacity.Memory*percent
}

// freeShare of the fullest of the chosen zones with the demand added, in thousandths of the
// scarcer of CPU and memory.
func freeShare(cell *Cell, chosen []string, demand []Demand) int {
	least := int64(whole)
	for i, name := range chosen {
		zone := cell.Zones[name]
		used := zone.Used.Add(demand[i].Vector)
		least = min(least, whole-ratio(used.MilliCPU, zone.Capacity.MilliCPU), whole-ratio(used.Memory, zone.Capacity.Memory))
	}
	return int(least)
}

func ratio(used, capacity int64) int64 {
	if capacity <= 0 {
		return whole
	}
	return int64(float64(used) / float64(capacity) * whole)
}

// usage says how full the usable zones are, for the message of a rejection.
func usage(cell *Cell) string {
	names := usableZones(cell)
	parts := make([]string, len(names))
	for i, name := range names {
		zone := cell.Zones[name]
		afterLoss := ""
		if lost, takeover := worstLoss(cell, name); takeover > 0 {
			afterLoss = fmt.Sprintf(" (%d %% after the loss of zone %s)", ratio(zone.Used.MilliCPU+takeover, zone.Capacity.MilliCPU)/10, lost)
		}
		parts[i] = fmt.Sprintf("zone %s has %d %% of CPU%s and %d %% of memory in use", name,
			ratio(zone.Used.MilliCPU, zone.Capacity.MilliCPU)/10, afterLoss, ratio(zone.Used.Memory, zone.Capacity.Memory)/10)
	}
	return strings.Join(parts, ", ")
}

// worstLoss is the other zone of the cell whose loss asks most of the named one, and how much CPU
// (thousandths of a core) that is. Of equal zones the first by name is it.
func worstLoss(cell *Cell, name string) (lost string, takeover int64) {
	for _, other := range slices.Sorted(maps.Keys(cell.Zones)) {
		if more := cell.Zones[name].Takeover[other]; other != name && more > takeover {
			lost, takeover = other, more
		}
	}
	return lost, takeover
}
