package capacity

import (
	"github.com/myriad-fleet/myriad/internal/placement"
)

// What the planner reads of placement's cells beside its decisions is in this file, and nowhere else.

// reserveAfterLossPercent of every zone stays free after any one other zone of the cell is lost (DESIGN §6).
const reserveAfterLossPercent = 10

// cloneCells copies cells and the regions that they share.
func cloneCells(cells []*placement.Cell) []*placement.Cell { return placement.Clone(cells) }

// zoneNames of a cell, sorted.
func zoneNames(cell *placement.Cell) []string {
	names := make([]string, 0, len(cell.Zones))
	for i := range cell.Zones {
		names = append(names, cell.Zones[i].Name)
	}
	return names
}

// takeover is the CPU (thousandths of a core) that a zone must carry besides when another is lost.
func takeover(cell *placement.Cell, zone, lost string) int64 {
	for i := range cell.Zones {
		for j := range cell.Zones {
			if cell.Zones[i].Name == zone && cell.Zones[j].Name == lost {
				return cell.Zones[i].Takeover[j]
			}
		}
	}
	return 0
}

// cpu is the only thing of which a zone's death asks more of the others.
const cpu = "CPU"

// levelsOf what is counted in each zone of a cell, by zone and thing.
func levelsOf(cell *placement.Cell) []Level {
	var levels []Level
	for i := range cell.Zones {
		zone := &cell.Zones[i]
		for _, thing := range []struct {
			name           string
			used, capacity int64
			moves          bool
		}{
			{cpu, zone.Used.MilliCPU, zone.Capacity.MilliCPU, true},
			{"memory", zone.Used.Memory, zone.Capacity.Memory, true},
			{"pods", zone.Used.Pods, zone.Capacity.Pods, false},
			{"addresses", zone.Used.Addresses, zone.Capacity.Addresses, false},
			{"volumes", zone.Used.Volumes, zone.Capacity.Volumes, false},
			{"interfaces", attached(cell, zone), zone.Interfaces, false},
		} {
			if thing.capacity == placement.Unlimited {
				continue
			}
			level := Level{Zone: zone.Name, Thing: thing.name, Used: thing.used, Capacity: thing.capacity, AfterLoss: thing.used}
			level.Limit = thing.capacity * (100 - cell.ReservePercent) / 100
			level.AfterLossLimit = level.Limit
			if thing.moves && len(cell.Zones) > 1 {
				lost, more := worstLoss(cell, zone.Name)
				level.Lost, level.AfterLossLimit = lost, thing.capacity*(100-reserveAfterLossPercent)/100
				if thing.name == cpu {
					level.AfterLoss += more
				}
			}
			levels = append(levels, level.inPercent())
		}
	}
	return levels
}

// attached interfaces of a zone: guests of one VPC share them.
func attached(cell *placement.Cell, zone *placement.Zone) int64 {
	var interfaces int64
	if cell.AddressesPerInterface > 0 {
		for _, guests := range zone.VPCs {
			interfaces += (guests + cell.AddressesPerInterface - 1) / cell.AddressesPerInterface
		}
	}
	return interfaces
}

// worstLoss is the other zone whose loss asks most of the named one, the first by name of equal ones, and how much
// CPU (thousandths of a core) that is.
func worstLoss(cell *placement.Cell, zone string) (lost string, most int64) {
	for _, other := range zoneNames(cell) {
		if more := takeover(cell, zone, other); other != zone && (lost == "" || more > most) {
			lost, most = other, more
		}
	}
	return lost, most
}
