package capacity

import (
	"maps"
	"slices"

	"github.com/myriad-fleet/myriad/internal/placement"
)

// reserveAfterLossPercent of every zone stays free after any one other zone of the cell is lost (DESIGN §6).
const reserveAfterLossPercent = 10

// cloneCells copies cells and the regions that they share.
func cloneCells(cells []*placement.Cell) []*placement.Cell {
	regions := map[*placement.Region]*placement.Region{}
	clones := make([]*placement.Cell, 0, len(cells))
	for _, cell := range cells {
		clone := *cell
		if regions[cell.Region] == nil {
			region := *cell.Region
			region.Used = maps.Clone(cell.Region.Used)
			regions[cell.Region] = &region
		}
		clone.Region, clone.Tenants, clone.Zones = regions[cell.Region], maps.Clone(cell.Tenants), map[string]*placement.Zone{}
		for name, zone := range cell.Zones {
			copied := *zone
			copied.Takeover = maps.Clone(zone.Takeover)
			clone.Zones[name] = &copied
		}
		clones = append(clones, &clone)
	}
	return clones
}

// thing is one of the amounts that a zone runs out of.
type thing struct {
	name string
	of   func(placement.Vector) int64
}

// things in the order in which they are reported.
var things = []thing{
	{"CPU", func(v placement.Vector) int64 { return v.MilliCPU }},
	{"memory", func(v placement.Vector) int64 { return v.Memory }},
	{"pods", func(v placement.Vector) int64 { return v.Pods }},
	{"addresses", func(v placement.Vector) int64 { return v.Addresses }},
	{"volumes", func(v placement.Vector) int64 { return v.Volumes }},
}

// counted tells whether anything limits a thing.
func counted(capacity int64) bool { return capacity != placement.Unlimited }

// levelsOf what is counted in each zone of a cell, by zone and thing.
func levelsOf(cell *placement.Cell) []Level {
	var levels []Level
	for _, name := range slices.Sorted(maps.Keys(cell.Zones)) {
		zone := cell.Zones[name]
		for _, thing := range things {
			used, capacity := thing.of(zone.Used), thing.of(zone.Capacity)
			if !counted(capacity) || used == 0 && capacity == 0 {
				continue
			}
			level := Level{
				Zone: name, Thing: thing.name, Used: used, Capacity: capacity,
				Percent: percent(used, capacity), LimitPercent: float64(100 - cell.ReservePercent),
				AfterLossPercent: percent(used, capacity), AfterLossLimitPercent: 100 - reserveAfterLossPercent,
			}
			if thing.name == "CPU" {
				lost, takeover := worstLoss(cell, name)
				level.Lost, level.AfterLossPercent = lost, percent(used+takeover, capacity)
			}
			levels = append(levels, level)
		}
	}
	return levels
}

// worstLoss is the other zone whose loss asks most of the named one, and how much CPU (thousandths of a core)
// that is. Of equal zones the first by name is it; empty: none asks for anything.
func worstLoss(cell *placement.Cell, name string) (lost string, takeover int64) {
	for _, other := range slices.Sorted(maps.Keys(cell.Zones)) {
		if more := cell.Zones[name].Takeover[other]; other != name && more > takeover {
			lost, takeover = other, more
		}
	}
	return lost, takeover
}
