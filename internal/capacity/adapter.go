package capacity

import (
	"github.com/myriad-fleet/myriad/internal/placement"
)

// What the planner reads of placement's cells beside its decisions is in this file, and nowhere else.

// reserveAfterLossPercent of every zone stays free after any one other zone of the cell is lost (DESIGN §6).
const reserveAfterLossPercent = 10

// cloneCells copies cells and the regions that they share.
func cloneCells(cells []*placement.Cell) []*placement.Cell { return placement.Clone(cells) }

// zone of a cell.
type zone struct {
	name           string
	used, capacity placement.Vector
	// interfaces to VPCs that are attached, and that may be.
	attached, interfaces int64
	// takeover is the CPU (thousandths of a core) that the zone must carry besides when that other one is lost.
	takeover map[string]int64
}

// zonesOf a cell, sorted by name.
func zonesOf(cell *placement.Cell) []zone {
	zones := make([]zone, 0, len(cell.Zones))
	for i := range cell.Zones {
		from := &cell.Zones[i]
		to := zone{name: from.Name, used: from.Used, capacity: from.Capacity, interfaces: from.Interfaces, takeover: map[string]int64{}}
		if cell.AddressesPerInterface <= 0 {
			to.interfaces = placement.Unlimited
		} else {
			for _, guests := range from.VPCs {
				to.attached += (guests + cell.AddressesPerInterface - 1) / cell.AddressesPerInterface
			}
		}
		for lost, amount := range from.Takeover {
			to.takeover[cell.Zones[lost].Name] = amount
		}
		zones = append(zones, to)
	}
	return zones
}

// zoneNames of a cell, sorted.
func zoneNames(cell *placement.Cell) []string {
	names := make([]string, 0, len(cell.Zones))
	for _, zone := range zonesOf(cell) {
		names = append(names, zone.name)
	}
	return names
}

// worstLoss is the other zone whose loss asks most of this one, and how much CPU (thousandths of a core) that is. Of
// equal zones the first by name is it; empty: none asks for anything.
func (z zone) worstLoss() (lost string, takeover int64) {
	for other, more := range z.takeover {
		if other != z.name && more > 0 && (more > takeover || more == takeover && other < lost) {
			lost, takeover = other, more
		}
	}
	return lost, takeover
}

// thing is one of the amounts that a zone runs out of.
type thing struct {
	name string
	// of a zone: what is used, and the capacity.
	of func(zone) (used, capacity int64)
	// in a vector.
	in func(placement.Vector) int64
}

// cpu is the only thing of which a zone's death asks more of the others.
const cpu = "CPU"

// things in the order in which they are reported.
var things = []thing{
	vectorThing(cpu, func(v placement.Vector) int64 { return v.MilliCPU }),
	vectorThing("memory", func(v placement.Vector) int64 { return v.Memory }),
	vectorThing("pods", func(v placement.Vector) int64 { return v.Pods }),
	vectorThing("addresses", func(v placement.Vector) int64 { return v.Addresses }),
	vectorThing("volumes", func(v placement.Vector) int64 { return v.Volumes }),
	{
		"interfaces", func(z zone) (used, capacity int64) { return z.attached, z.interfaces },
		func(placement.Vector) int64 { return 0 }, // what guests that wait would share nobody knows
	},
}

func vectorThing(name string, in func(placement.Vector) int64) thing {
	return thing{name, func(z zone) (used, capacity int64) { return in(z.used), in(z.capacity) }, in}
}

// counted tells whether anything limits a thing.
func counted(capacity int64) bool { return capacity != placement.Unlimited }

// levelsOf what is counted in each zone of a cell, by zone and thing.
func levelsOf(cell *placement.Cell) []Level {
	var levels []Level
	for _, zone := range zonesOf(cell) {
		for _, thing := range things {
			used, capacity := thing.of(zone)
			if !counted(capacity) {
				continue
			}
			level := Level{
				Zone: zone.name, Thing: thing.name, Used: used, Capacity: capacity,
				Percent: percent(used, capacity), LimitPercent: float64(100 - cell.ReservePercent),
				AfterLossPercent: percent(used, capacity), AfterLossLimitPercent: 100 - reserveAfterLossPercent,
			}
			if thing.name == cpu {
				lost, takeover := zone.worstLoss()
				level.Lost, level.AfterLossPercent = lost, percent(used+takeover, capacity)
			}
			levels = append(levels, level)
		}
	}
	return levels
}
