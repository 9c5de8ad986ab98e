package capacity

import (
	"github.com/myriad-fleet/myriad/internal/placement"
)

// What the planner reads of placement's cells beside its decisions is in this file, and nowhere else.

// afterLossLimitPercent of every zone may be used after any one other zone of the cell is lost (DESIGN §6).
const afterLossLimitPercent = 90

// cpu is the only thing of which a zone's death asks more of the others.
const cpu = string(placement.CPU)

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

// levelsOf what is counted in each zone of a cell, by zone and thing.
func levelsOf(cell *placement.Cell) []Level {
	levels := placement.Levels(cell)
	found := make([]Level, 0, len(levels))
	for i := range levels {
		l := &levels[i]
		found = append(found, Level{
			Zone: l.Zone, Thing: string(l.Thing), Used: l.Used, Capacity: l.Capacity, Limit: l.Limit,
			Lost: l.WorstLoss, AfterLoss: l.AfterLoss, AfterLossLimit: l.AfterLossLimit,
		}.inPercent())
	}
	return found
}
