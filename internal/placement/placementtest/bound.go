package placementtest

import "github.com/myriad-fleet/myriad/internal/placement"

// Share is how much of the fractional upper bound is used, of one thing.
type Share struct {
	// Thing that is shared, for example "memory" or "CPU after a loss".
	Thing string
	// Used by the guests, and Bound: what they could use at most if they could be cut into pieces that are
	// spread over all zones at will. Thousandths of a core, bytes, or numbers.
	Used, Bound float64
}

// Of the bound, 0 to 1.
func (s Share) Of() float64 {
	if s.Bound <= 0 {
		return 0
	}
	return s.Used / s.Bound
}

// Density of cells: the thing that is nearest to its bound. No way to place these guests, or more of the same mix,
// gets above 1, for each bound is the sum of what Place demands of every zone: of C in all with a reserve of r,
// U ≤ (1−r)·C before a loss. After one, each of a cell's Z zones uses its own and what it takes over from the lost
// one, at most 0.9 of what it has. Summed over the Z·(Z−1) pairs of zones that is (Z−1)·U + A ≤ 0.9·(Z−1)·C, for
// all of A, the CPU of API servers that fail over, is taken over once: U + A/(Z−1) ≤ 0.9·C.
func Density(cells []*placement.Cell) Share {
	shares := []Share{{Thing: "CPU"}, {Thing: "memory"}, {Thing: "pods"}, {Thing: "addresses"}, {Thing: "volumes"}, {Thing: "CPU after a loss"}}
	for _, cell := range cells {
		for _, zone := range cell.Zones {
			for i, pair := range [][2]int64{
				{zone.Used.MilliCPU, zone.Capacity.MilliCPU},
				{zone.Used.Memory, zone.Capacity.Memory},
				{zone.Used.Pods, zone.Capacity.Pods},
				{zone.Used.Addresses, zone.Capacity.Addresses},
				{zone.Used.Volumes, zone.Capacity.Volumes},
			} {
				shares[i].Used += float64(pair[0])
				shares[i].Bound += float64(pair[1]) * float64(100-cell.ReservePercent) / 100
			}
			if others := len(cell.Zones) - 1; others > 0 {
				shares[5].Used += float64(zone.Used.MilliCPU)
				shares[5].Bound += float64(zone.Capacity.MilliCPU) * .9
				for _, lost := range cell.Zones {
					shares[5].Used += float64(cell.Takeover(zone.Name, lost.Name)) / float64(others)
				}
			}
		}
	}
	nearest := shares[0]
	for _, share := range shares {
		if share.Of() > nearest.Of() {
			nearest = share
		}
	}
	return nearest
}

// WorstAfterLoss is the largest share of its CPU that a zone uses after the loss of another one, in percent.
func WorstAfterLoss(cells []*placement.Cell) float64 {
	worst := 0.0
	for _, cell := range cells {
		for _, level := range placement.Levels(cell) {
			if level.Thing == "CPU" {
				worst = max(worst, level.PercentAfterLoss)
			}
		}
	}
	return worst
}

// Broken counts the zones that are over a limit.
func Broken(cells []*placement.Cell) int {
	zones := 0
	for _, cell := range cells {
		last := ""
		for _, level := range placement.Over(cell) {
			if level.Zone != last {
				zones, last = zones+1, level.Zone
			}
		}
	}
	return zones
}

// Fill places requests one by one, and tells how many found a cell; with stop it ends at the first that finds
// none.
func Fill(profile placement.Profile, cells []*placement.Cell, requests []placement.Request, stop bool) (placed int) {
	byName := map[string]*placement.Cell{}
	for _, cell := range cells {
		byName[cell.Name] = cell
	}
	for i := range requests {
		decision := profile.Place(requests[i], cells)
		if decision.Cell != "" {
			byName[decision.Cell].Take(GuestOf(requests[i], decision))
			placed++
		} else if stop {
			break
		}
	}
	return placed
}
