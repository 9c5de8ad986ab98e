package main

import (
	"context"
	"fmt"

	"github.com/myriad-fleet/myriad/internal/placement"
	"github.com/myriad-fleet/myriad/test/bench/figures"
	"github.com/myriad-fleet/myriad/test/bench/placing"
)

const (
	// budgetPlacing is the processor time in seconds of 10,000 decisions without reasons.
	budgetPlacing = 1
	// budgetDensity is the least share of what may be used that is used when the first guest is refused.
	budgetDensity = 0.97
)

// seeds of the random orders in which guests arrive.
var seeds = []uint64{1, 2, 3}

// benchPlacement measures how placement fills a region of 40 cells with 10,000 guests, beside what others do. It
// needs no fleet.
func benchPlacement(ctx context.Context, _ *bench) ([]figures.Result, error) {
	var results []figures.Result
	for _, seed := range seeds {
		requests, err := placing.Arrivals(seed)
		if err != nil {
			return nil, err
		}
		run, withReasons := placing.Fill(placing.Choose(), requests, placing.Cells), placing.Fill(placing.Place(), requests, placing.Cells)
		results = append(results,
			figures.Bound(named(seed, "10,000 decisions and bookings, processor time"), "s", run.Took.Seconds(), budgetPlacing),
			figures.Report(named(seed, "the same with all reasons, processor time"), "s", withReasons.Took.Seconds()),
			figures.AtLeast(named(seed, string(run.Density.Thing)+" used at the first refusal, of the bound"), unitOf(run.Density.Thing), run.Density.Used, run.Density.Bound, budgetDensity),
			figures.Bound(named(seed, "zones over their reserve, counted anew"), "zones", float64(run.Broken), 0),
		)
		for _, policy := range append([]placing.Policy{placing.Choose()}, placing.Baselines()...) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			results = append(results, comparePolicy(seed, policy, requests)...)
		}
	}
	return results, nil
}

// comparePolicy with others.
func comparePolicy(seed uint64, policy placing.Policy, requests []placement.Request) []figures.Result {
	run := placing.Fill(policy, requests, placing.Cells)
	cells := placing.Need(policy, requests, placing.Cells)
	of := func(what string) string { return named(seed, policy.Name+": "+what) }
	return []figures.Result{
		figures.Report(of("guests placed before the first refusal"), "guests", float64(run.First)),
		figures.Report(of("density at the first refusal"), "%", 100*run.Density.Share()),
		figures.Report(of("cells needed for all guests"), "cells", float64(cells)),
		figures.Report(of("CPU of the fullest zone after its worst loss"), "%", run.AfterLoss),
		figures.Report(of("a tenant's guests in the cell that holds most of them"), "%", run.LargestShare),
	}
}

func named(seed uint64, what string) string { return fmt.Sprintf("seed %d: %s", seed, what) }

func unitOf(thing placement.Thing) string {
	if thing == placement.CPU {
		return "cores"
	}
	return "GiB"
}
