package placementtest

import (
	"cmp"
	"slices"

	"github.com/myriad-fleet/myriad/internal/placement"
)

// Peers are other ways to choose, to compare with. All but the last keep the same reserve and all other filters,
// so that they differ in the choice of the cell alone.
func Peers() []Peer {
	filters := placement.DefaultProfile().Filters
	scored := func(score Score) []placement.WeightedScorer {
		return []placement.WeightedScorer{{Scorer: score, Weight: 1}}
	}
	fewest := scored(func(c *placement.Candidate) int64 { return int64(max(1000-c.Cell.Guests, 0)) })
	return []Peer{
		{"first-fit", placement.Profile{Filters: filters}},
		{"best-fit", placement.Profile{Filters: filters, Scorers: scored(fullest)}},
		{"fewest guests", placement.Profile{Filters: filters, Scorers: fewest}},
		{"fewest guests, 250 a cell, no reserve", placement.Profile{Filters: []placement.Filter{countOnly{}}, Scorers: fewest}},
	}
}

// Peer is a way to choose.
type Peer struct {
	Name    string
	Profile placement.Profile
}

// Score of a peer.
type Score func(*placement.Candidate) int64

// Name of the score.
func (Score) Name() string { return "peer" }

// Score of a candidate.
func (s Score) Score(c *placement.Candidate) int64 { return s(c) }

// fullest is best-fit: the cell whose CPU and memory together are used the most.
func fullest(c *placement.Candidate) int64 {
	var used, capacity placement.Vector
	for _, zone := range c.Cell.Zones {
		used, capacity = used.Add(zone.Used), capacity.Add(zone.Capacity)
	}
	return int64(500*float64(used.MilliCPU)/float64(capacity.MilliCPU) + 500*float64(used.Memory)/float64(capacity.Memory))
}

// countOnly takes up to 250 guests a cell, whatever their size, as Gardener's chart does for its seeds. Their
// zones are the emptiest.
type countOnly struct{}

// Name of the filter.
func (countOnly) Name() string { return "count" }

// Reject a cell of 250 guests.
func (countOnly) Reject(c *placement.Candidate) (reason, message string) {
	if c.Cell.Guests >= 250 {
		return placement.ReasonFull, "holds 250 guests"
	}
	order := make([]int, len(c.Cell.Zones))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(c.Cell.Zones[a].Used.MilliCPU, c.Cell.Zones[b].Used.MilliCPU)
	})
	c.Zones = append(c.Zones[:0], order[:len(c.Request.Demand)]...)
	return "", ""
}
