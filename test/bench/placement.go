package main

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/myriad-fleet/myriad/internal/placement"
	"github.com/myriad-fleet/myriad/internal/placement/placementtest"
)

// The fleet of the benchmark placement, and its budgets.
const (
	placementGuests  = 10_000
	placementCells   = 40
	placementRuns    = 3    // the median counts
	budgetPlacement  = 1    // seconds for all guests
	budgetDensity    = 0.97 // of the fractional upper bound, at the first refusal
	placementMaximum = 80   // cells that are tried at most
)

// benchPlacement places guests in memory, by the functions that the hub places them by.
func benchPlacement(ctx context.Context, _ *bench) ([]Result, error) {
	results := []Result{}
	var used, clock []float64
	broken := 0
	for seed := range uint64(placementRuns) {
		cells, requests := placementtest.Cells(placementCells, placementtest.Uniform()), placementtest.Requests(placementGuests, seed)
		start, before := time.Now(), cpuTime()
		placementtest.Fill(placement.DefaultProfile(), cells, requests, false)
		used, clock = append(used, (cpuTime()-before).Seconds()), append(clock, time.Since(start).Seconds())
		broken += placementtest.Broken(cells)
	}
	results = append(results, bound("10,000 guests over 40 cells, time of CPU", "s", median(used), budgetPlacement),
		report("10,000 guests over 40 cells, by the clock", "s", median(clock)))
	fleets := []struct {
		name   string
		shapes []placementtest.Shape
	}{{"cells alike", placementtest.Uniform()}, {"cells of four shapes", placementtest.Mixed()}}
	for _, fleet := range fleets {
		density, over := refusal(fleet.name, fleet.shapes)
		broken += over
		results = append(results, density...)
	}
	results = append(results, bound("zones over the reserve", "zones", float64(broken), 0))
	for _, fleet := range fleets {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		results = append(results, policies(fleet.name, fleet.shapes)...)
	}
	return results, nil
}

// cpuTime that this process has used, its garbage collector included: neighbours on a busy machine do not count.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0 // there is no such error for this process
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// refusal fills cells until the first guest is refused, and compares with the fractional upper bound: the worst of
// the runs counts.
func refusal(name string, shapes []placementtest.Shape) (results []Result, broken int) {
	worst, guests := placementtest.Share{Used: 1, Bound: 1}, 0
	for seed := range uint64(placementRuns) {
		cells := placementtest.Cells(placementCells, shapes)
		placed := placementtest.Fill(placement.DefaultProfile(), cells, placementtest.Requests(3*placementGuests, seed), true)
		broken += placementtest.Broken(cells)
		if density := placementtest.Density(cells); density.Of() <= worst.Of() {
			worst, guests = density, placed
		}
	}
	scale, unit := 1.0, ""
	switch worst.Thing {
	case "memory":
		scale, unit = 1<<30, "GiB"
	case "CPU", "CPU after a loss":
		scale, unit = 1000, "cores"
	}
	used, reference, ratio := worst.Used/scale, worst.Bound/scale, worst.Of()
	least, met := budgetDensity, ratio >= budgetDensity
	density := Result{
		Name:  fmt.Sprintf("%s used at the first refusal, %s; reference: the bound (at least)", worst.Thing, name),
		Value: used, Unit: unit, Reference: &reference, Ratio: &ratio, Budget: &least, Met: &met,
	}
	return []Result{density, report("guests then, "+name, "guests", float64(guests))}, broken
}

// policies compares ways to choose: the cells that all guests need, and the fullest zone after a loss.
func policies(name string, shapes []placementtest.Shape) []Result {
	requests := placementtest.Requests(placementGuests, 0)
	all := slices.Concat([]placementtest.Peer{{Name: "Myriad", Profile: placement.DefaultProfile()}}, placementtest.Peers())
	var results []Result
	for _, peer := range all {
		worst := 1.0 // of the runs: one order of arrival alone tells ways to choose hardly apart
		for seed := range uint64(placementRuns) {
			cells := placementtest.Cells(placementCells, shapes)
			placementtest.Fill(peer.Profile, cells, placementtest.Requests(3*placementGuests, seed), true)
			worst = min(worst, placementtest.Density(cells).Of())
		}
		results = append(results, report("of the bound at the first refusal, "+name+": "+peer.Name, "%", 100*worst))
		for n := placementCells * 3 / 4; n <= placementMaximum; n++ {
			cells := placementtest.Cells(n, shapes)
			if placementtest.Fill(peer.Profile, cells, requests, true) < placementGuests {
				continue
			}
			results = append(results, report("cells for 10,000, "+name+": "+peer.Name, "cells", float64(n)),
				report("fullest zone after a loss: "+peer.Name, "%", placementtest.WorstAfterLoss(cells)))
			break
		}
	}
	return results
}
