package placing

import (
	"fmt"

	"github.com/myriad-fleet/myriad/internal/placement"
)

const (
	// reserve and reserveAfterLoss in percent: DESIGN.md §6 and the default of Cell.spec.reservePercent.
	reserve, reserveAfterLoss = 40, 10
	gibibyte                  = 1 << 30
)

// counted is what zones hold, counted from the guests alone.
type counted map[key]*zone

type key struct{ cell, zone string }

type zone struct {
	cpu, cpuCapacity, memory, memoryCapacity int64
	// takeover by the zone that is lost.
	takeover map[string]int64
}

// count guests in the zones of cells.
func count(cells []*placement.Cell, placed []Placed) counted {
	zones := counted{}
	for _, cell := range cells {
		for i := range cell.Zones {
			z := &cell.Zones[i]
			zones[key{cell.Name, z.Name}] = &zone{cpuCapacity: z.Capacity.MilliCPU, memoryCapacity: z.Capacity.Memory, takeover: map[string]int64{}}
		}
	}
	for _, guest := range placed {
		for i, name := range guest.Zones {
			z := zones[key{guest.Cell, name}]
			z.cpu += guest.Demand[i].MilliCPU
			z.memory += guest.Demand[i].Memory
			for j, other := range guest.Zones {
				if i != j {
					z.takeover[other] += (guest.Demand[j].APIServerMilliCPU + int64(len(guest.Zones)) - 2) / int64(len(guest.Zones)-1)
				}
			}
		}
	}
	return zones
}

// check the reserve before and after the loss of any one zone.
func (c counted) check() error {
	for at, z := range c {
		if z.cpu*100 > z.cpuCapacity*(100-reserve) || z.memory*100 > z.memoryCapacity*(100-reserve) || z.memory*100 > z.memoryCapacity*(100-reserveAfterLoss) {
			return fmt.Errorf("the reserve of cell %s zone %s is broken: %d of %d millicores, %d of %d bytes", at.cell, at.zone, z.cpu, z.cpuCapacity, z.memory, z.memoryCapacity)
		}
		for lost, more := range z.takeover {
			if (z.cpu+more)*100 > z.cpuCapacity*(100-reserveAfterLoss) {
				return fmt.Errorf("the reserve of cell %s zone %s is broken after the loss of zone %s: %d of %d millicores", at.cell, at.zone, lost, z.cpu+more, z.cpuCapacity)
			}
		}
	}
	return nil
}

// density in the thing of which most is used.
func (c counted) density() Density {
	cpu, memory := Density{Thing: placement.CPU}, Density{Thing: placement.Memory}
	for _, z := range c {
		cpu.Used += float64(z.cpu) / 1000
		cpu.Bound += float64(z.cpuCapacity) / 1000 * (100 - reserve) / 100
		memory.Used += float64(z.memory) / gibibyte
		memory.Bound += float64(z.memoryCapacity) / gibibyte * (100 - reserve) / 100
	}
	if cpu.Share() > memory.Share() {
		return cpu
	}
	return memory
}

// afterLoss is the CPU in percent of the fullest zone after its worst loss.
func (c counted) afterLoss() float64 {
	fullest := 0.0
	for _, z := range c {
		most := int64(0)
		for _, more := range z.takeover {
			most = max(most, more)
		}
		fullest = max(fullest, 100*float64(z.cpu+most)/float64(z.cpuCapacity))
	}
	return fullest
}
