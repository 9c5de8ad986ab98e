package placement

import "fmt"

// GrowthProblem says why a guest that was counted in the cell (Take) must not take to instead; empty: it may. Its
// zones stay what they are. Growth keeps the
// reserve of each of them, before and after the loss of any one other zone, by the arithmetic of Place:
// etcd, and all of a Single guest, stay where they are on a loss. A zone that is over its reserve already
// lets nobody grow into it. A guest that takes no more than before of anything always may.
func GrowthProblem(cell *Cell, guest Guest, to []Demand) string {
	if !More(guest.Demand, to) {
		return ""
	}
	if len(to) != len(guest.Zones) || len(to) > mostZones {
		return fmt.Sprintf("the guest lies in %d zones and would take room in %d", len(guest.Zones), len(to))
	}
	s := search{cell: cell, demand: to}
	for i, name := range guest.Zones {
		if s.now.zones[i] = cell.index(name); s.now.zones[i] < 0 {
			return fmt.Sprintf("cell %s reports no capacity of zone %s", cell.Name, name)
		}
	}
	cell.Release(guest)
	kept := s.keepsBefore() && s.keepsAfterLoss()
	cell.Take(guest)
	if kept {
		return ""
	}
	return fmt.Sprintf("cell %s would not %s: %s", cell.Name, cell.reserveText(), cell.usageText())
}

// keepsBefore tells whether the chosen zones stay within the reserve before any loss.
func (s *search) keepsBefore() bool {
	for i := range s.demand {
		zone := &s.cell.Zones[s.now.zones[i]]
		if used := zone.Used.Add(s.demand[i].Vector); used.MilliCPU > zone.before.MilliCPU || used.Memory > zone.before.Memory {
			return false
		}
	}
	return true
}

// Grow books what GrowthProblem finds no problem with, and changes nothing otherwise.
func Grow(cell *Cell, guest Guest, to []Demand) (problem string) {
	if problem := GrowthProblem(cell, guest, to); problem != "" {
		return problem
	}
	cell.Release(guest)
	guest.Demand = to
	cell.Take(guest)
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
		larger[i].Pods = max(a[i].Pods, b[i].Pods)
		larger[i].Addresses = max(a[i].Addresses, b[i].Addresses)
		larger[i].Volumes = max(a[i].Volumes, b[i].Volumes)
	}
	return larger
}

// More tells whether to takes more CPU or memory than from, anywhere: of the rest a guest always takes the same.
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
