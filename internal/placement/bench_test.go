package placement_test

import (
	"strconv"
	"testing"

	"github.com/myriad-fleet/myriad/internal/placement"
	"github.com/myriad-fleet/myriad/test/bench/placing"
)

// BenchmarkChoose is 10,000 decisions and bookings in 40 cells, without reasons.
func BenchmarkChoose(b *testing.B) { fill(b, placing.Choose()) }

// BenchmarkPlace is the same with all reasons.
func BenchmarkPlace(b *testing.B) { fill(b, placing.Place()) }

func fill(b *testing.B, policy placing.Policy) {
	b.Helper()
	requests := arrivals(b)
	for b.Loop() {
		placing.Fill(policy, requests, placing.Cells)
	}
}

// BenchmarkRebalance is the plan for a region of 42 cells, 40 of them full, one of which has lost a node of eleven in each zone.
func BenchmarkRebalance(b *testing.B) {
	requests, fleet := arrivals(b), placing.NewFleet(placing.Cells+2)
	guests := make([]placement.Located, 0, len(requests))
	var first []placement.Guest
	for i, request := range requests {
		cell, zones := placement.Choose(request, fleet.Cells)
		if cell == nil {
			continue
		}
		guest := placement.Guest{Tenant: request.Tenant, Zones: zones, Demand: request.Demand}
		cell.Take(guest)
		if cell == fleet.Cells[0] {
			first = append(first, guest)
		}
		guests = append(guests, placement.Located{ID: strconv.Itoa(i), Cell: cell.Name, Guest: guest, Request: request})
	}
	fleet.LoseNode(0, first)
	moves := 0
	for b.Loop() {
		moves = len(placement.Rebalance(fleet.Cells, guests).Moves)
	}
	b.ReportMetric(float64(moves), "moves")
}

func arrivals(b *testing.B) []placement.Request {
	b.Helper()
	requests, err := placing.Arrivals(1)
	if err != nil {
		b.Fatal(err)
	}
	return requests
}
