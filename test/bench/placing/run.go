package placing

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/myriad-fleet/myriad/internal/placement"
)

// Placed is a guest that has its place.
type Placed struct {
	placement.Guest

	Cell string
}

// Run is what became of the guests of one seed.
type Run struct {
	// Took is the processor time that all arrivals took, with that of collecting garbage: what else runs on the machine
	// counts less than on the clock.
	Took time.Duration
	// Refused guests in number, and how many were placed before the First refusal (all, without one).
	Refused, First int
	// Density at the first refusal.
	Density Density
	// AfterLoss is the CPU in percent of the fullest zone after the loss of the zone that is worst for it, at the
	// first refusal.
	AfterLoss float64
	// LargestShare of a tenant's guests that one cell holds, in percent: the mean over tenants with ten guests or more.
	LargestShare float64
}

// Density is how much of what may be used before a loss is used, over all zones, in the thing that binds.
type Density struct {
	Thing placement.Thing
	// Used, and Bound that no placement can exceed: cores or GiB.
	Used, Bound float64
}

// Share of the bound.
func (d Density) Share() float64 { return d.Used / d.Bound }

// Fill lets guests arrive at Cells cells until all have been placed or refused. The reserve is counted anew at the first refusal
// and at the end.
func Fill(policy Policy, requests []placement.Request) (Run, error) {
	run, fleet := Run{First: -1}, NewFleet(Cells)
	policy.prepare(fleet.Region)
	placed := make([]Placed, 0, len(requests))
	begin := cpuTime()
	for _, request := range requests {
		cell, zones := policy.Choose(request, fleet.Cells)
		if cell == nil {
			if run.Refused++; run.First < 0 {
				run.First = len(placed)
			}
			continue
		}
		guest := placement.Guest{Tenant: request.Tenant, VPC: request.VPC, Zones: zones, Demand: request.Demand}
		cell.Take(guest)
		placed = append(placed, Placed{guest, cell.Name})
	}
	run.Took = cpuTime() - begin
	if run.First < 0 {
		run.First = len(placed)
	}
	atFirst := count(fleet.Cells, placed[:run.First])
	run.Density, run.AfterLoss, run.LargestShare = atFirst.density(), atFirst.afterLoss(), largestShare(placed[:run.First])
	return run, errors.Join(atFirst.check(), count(fleet.Cells, placed).check())
}

// cpuTime that this process has taken.
func cpuTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0 // it cannot fail for the process itself
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// Need is how many cells it takes to place all guests: one more is added whenever one is refused.
func Need(policy Policy, requests []placement.Request) (int, error) {
	fleet := NewFleet(1)
	policy.prepare(fleet.Region)
	for _, request := range requests {
		cell, zones := policy.Choose(request, fleet.Cells)
		if cell == nil {
			fleet.Add()
			if cell, zones = policy.Choose(request, fleet.Cells); cell == nil {
				return 0, fmt.Errorf("a guest of tenant %s fits into no empty cell", request.Tenant)
			}
		}
		cell.Take(placement.Guest{Tenant: request.Tenant, VPC: request.VPC, Zones: zones, Demand: request.Demand})
	}
	return len(fleet.Cells), nil
}

// largestShare of a tenant's guests that one cell holds.
func largestShare(placed []Placed) float64 {
	all, cells := map[string]int{}, map[string]map[string]int{}
	for _, guest := range placed {
		if all[guest.Tenant]++; cells[guest.Tenant] == nil {
			cells[guest.Tenant] = map[string]int{}
		}
		cells[guest.Tenant][guest.Cell]++
	}
	sum, counted := 0.0, 0
	for tenant, guests := range all {
		if guests < 10 {
			continue
		}
		most := 0
		for _, held := range cells[tenant] {
			most = max(most, held)
		}
		sum += 100 * float64(most) / float64(guests)
		counted++
	}
	return sum / float64(counted)
}
