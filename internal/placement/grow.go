package placement

import "fmt"

// GrowthProblem says why a guest that was counted in the cell (Take) must not take to instead; empty: it may. Its zones stay what they are. Growth keeps the
// reserve of each of them, before and after the loss of any one other zone, by the arithmetic of Place:
// etcd, and all of a Single guest, stay where they are on a loss. A zone that is over its reserve already
// lets nobody grow into it. A guest that takes no more than before of anything always may.
func GrowthProblem(cell *Cell, guest Guest, to []Demand) string {
	zones, from := guest.Zones, guest.Demand
	if !More(from, to) {
		return ""
	}
	for _, name := range zones {
		if cell.Zones[name] == nil {
			return fmt.Sprintf("cell %s reports no capacity of zone %s", cell.Name, name)
		}
	}
	if len(to) != len(zones) {
		return fmt.Sprintf("the guest lies in %d zones and would take room in %d", len(zones), len(to))
	}
	cell.book(zones, from, -1)
	kept := reserveKept(cell, zones, to)
	cell.book(zones, from, 1)
	if kept {
		return ""
	}
	return fmt.Sprintf("cell %s would not keep %d %% free, and %d %% after the loss of any other zone: %s",
		cell.Name, cell.ReservePercent, reserveAfterLossPercent, usage(cell))
}

// Grow books what GrowthProblem finds no problem with, and changes nothing otherwise.
func Grow(cell *Cell, guest Guest, to []Demand) (problem string) {
	if problem := GrowthProblem(cell, guest, to); problem != "" {
		return problem
	}
	cell.book(guest.Zones, guest.Demand, -1)
	cell.book(guest.Zones, to, 1)
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
		larger[i].MilliCPU = max(a[i].MilliCPU, b[i].MilliCPU)
		larger[i].Memory = max(a[i].Memory, b[i].Memory)
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
		if to[i].MilliCPU > from[i].MilliCPU || to[i].Memory > from[i].Memory || to[i].APIServerMilliCPU > from[i].APIServerMilliCPU {
			return true
		}
	}
	return false
}
