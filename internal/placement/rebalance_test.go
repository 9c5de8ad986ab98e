package placement

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// single lies in zone a of a cell and takes that much CPU.
func single(id, cell string, milliCPU int64, change ...func(*Located)) Located {
	l := Located{
		ID: id, Cell: cell, Request: Request{Kind: "Standard", Version: version},
		Guest: Guest{Tenant: "team", Zones: []string{"a"}, Demand: []Demand{{Vector: Vector{MilliCPU: milliCPU, Memory: 1 << 20}}}},
	}
	for _, apply := range change {
		apply(&l)
	}
	return l
}

// small cells have one zone of 10 cores, 6 of which may be used.
func small(guests []Located, cells ...*Cell) []*Cell {
	for _, guest := range guests {
		for _, c := range cells {
			if c.Name == guest.Cell {
				c.Take(guest.Guest)
			}
		}
	}
	return cells
}

func one(name string, change ...func(*Cell)) *Cell { return cellOf(name, []string{"a"}, change...) }

func TestRebalance(t *testing.T) {
	r, s := region("r"), region("s")
	in := func(r *Region) func(*Cell) { return func(c *Cell) { c.Region = r } }
	over := []Located{single("1", "x", 1000), single("2", "x", 2000), single("3", "x", 4000)} // 7 of 6
	chain := []Located{single("1", "x", 7000), single("2", "y", 1000)}
	many := []Located{
		single("1", "x", 4500), single("2", "x", 1500), single("3", "x", 1500), single("4", "x", 1500), single("5", "x", 1500),
		single("9", "y", 2000),
	}
	cases := map[string]struct {
		reason   string
		guests   []Located
		cells    []*Cell
		moves    []string
		unmended string // a part of why
	}{
		"Nothing":  {reason: "who is under the water level stays", guests: over[:2], cells: []*Cell{one("x", in(r)), one("y", in(r))}},
		"Smallest": {reason: "one move is enough, and the smallest guest that mends it goes", guests: over, cells: []*Cell{one("x", in(r)), one("y", in(r))}, moves: []string{"1 x>y a"}},
		"Region":   {reason: "guests stay in their region", guests: over, cells: []*Cell{one("x", in(r)), one("y", in(s))}, unmended: "OtherRegion (1)"},
		"Cordon":   {reason: "a cordoned cell takes nobody", guests: over, cells: []*Cell{one("x", in(r)), one("y", in(r), func(c *Cell) { c.Cordoned = true })}, unmended: "Cordoned (1)"},
		"Alone":    {reason: "a cell alone cannot be mended", guests: over, cells: []*Cell{one("x", in(r))}, unmended: "zone a uses 70.0 % of its CPU, 60 % may be; guest"},
		"Unknown":  {reason: "what takes the room is in no list", guests: nil, cells: []*Cell{one("x", in(r), use("a", 9000))}, unmended: "it has no guest left whose move would help"},
		"Chain": {
			reason: "2 makes room in y, so that 1 fits", guests: chain,
			cells: []*Cell{one("x", in(r)), one("y", in(r), func(c *Cell) { c.Zones[0].Capacity.MilliCPU = 12_000 }), one("z", in(r), func(c *Cell) { c.Zones[0].Capacity.MilliCPU = 2000 })},
			moves: []string{"2 y>z a", "1 x>y a"},
		},
		"FewerByAChain": {
			reason: "three small guests of x would do, but one move that makes room for the large one saves a move", guests: many,
			cells: []*Cell{one("x", in(r)), one("y", in(r), use("a", 500)), one("z", in(r), use("a", 4000))},
			moves: []string{"9 y>z a", "1 x>y a"},
		},
		"Shrunk": {
			reason: "a zone of no capacity sends everybody away", guests: over[:2],
			cells: []*Cell{one("x", in(r), func(c *Cell) { c.Zones[0].Capacity.MilliCPU = 0 }), one("y", in(r))}, moves: []string{"2 x>y a", "1 x>y a"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r.Used, s.Used = map[string]TenantUse{}, map[string]TenantUse{}
			got := Rebalance(small(tc.guests, tc.cells...), tc.guests)
			var moves []string
			for _, move := range got.Moves {
				moves = append(moves, fmt.Sprintf("%s %s>%s %s", move.ID, move.From, move.To, strings.Join(move.Zones, ",")))
				if move.Why == "" {
					t.Errorf("%s: move of %s says not why", tc.reason, move.ID)
				}
			}
			if diff := cmp.Diff(tc.moves, moves); diff != "" {
				t.Errorf("%s: moves (-want +got):\n%s\n%v", tc.reason, diff, got.Unmended)
			}
			if tc.unmended == "" && (len(got.Unmended) > 0 || !got.Fewest) {
				t.Errorf("%s: got %+v, want all mended with the fewest moves", tc.reason, got)
			}
			if tc.unmended != "" && (len(got.Unmended) != 1 || !strings.Contains(got.Unmended[0].Why, tc.unmended) || got.Fewest) {
				t.Errorf("%s: unmended %v, want %q", tc.reason, got.Unmended, tc.unmended)
			}
		})
	}
}

// TestRebalanceAgainstBruteForce: on small fleets whose cells shrank, every move is one that Place makes, guests
// end up where the reserve is kept, and no shorter list of moves exists.
func TestRebalanceAgainstBruteForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := region("r")
		var cells []*Cell
		for _, name := range []string{"x", "y", "z"}[:rapid.IntRange(2, 3).Draw(t, "cells")] {
			cells = append(cells, cellOf(name, []string{"a", "b"}, func(c *Cell) { c.Region = r }))
		}
		guests := anyGuests(t, cells)
		for _, c := range cells {
			for _, zone := range c.Zones {
				zone.Capacity.MilliCPU = rapid.SampledFrom([]int64{10_000, 10_000, 5000, 2500, 20_000}).Draw(t, "shrinks")
			}
		}
		before := Clone(cells)
		got := Rebalance(cells, guests)
		if diff := cmp.Diff(before, cells, cmp.AllowUnexported(Cell{}, Zone{})); diff != "" {
			t.Fatalf("the cells were changed:\n%s", diff)
		}
		checkMoves(t, Clone(cells), slices.Clone(guests), got)
		fewest := bruteForce(Clone(cells), guests, make([]bool, len(guests)), 3)
		switch {
		case fewest >= 0 && (len(got.Moves) != fewest || len(got.Unmended) > 0):
			t.Fatalf("%d moves are enough, got %+v", fewest, got)
		case fewest < 0 && len(got.Unmended) == 0 && len(got.Moves) <= 3:
			t.Fatalf("brute force finds no list of three moves, got %+v", got)
		}
	})
}

// anyGuests are placed in cells as Place would.
func anyGuests(t *rapid.T, cells []*Cell) []Located {
	var guests []Located
	for i := range rapid.IntRange(1, 5).Draw(t, "guests") {
		l := single(fmt.Sprint(i), "", rapid.Int64Range(500, 4000).Draw(t, "cpu"))
		if rapid.Bool().Draw(t, "zonal") {
			l.Demand[0].APIServerMilliCPU = l.Demand[0].MilliCPU / 2
			l.Demand = append(l.Demand, l.Demand[0])
		}
		l.Request.Tenant, l.Request.Demand = l.Tenant, l.Demand
		decision := Place(l.Request, cells)
		if decision.Cell == "" {
			continue
		}
		l.Cell, l.Zones = decision.Cell, decision.Zones
		cells[slices.IndexFunc(cells, func(c *Cell) bool { return c.Name == l.Cell })].Take(l.Guest)
		guests = append(guests, l)
	}
	return guests
}

// checkMoves makes the moves: Place alone must choose each one's zones, and nothing is over its limit at the end
// but what is said to be.
func checkMoves(t *rapid.T, cells []*Cell, guests []Located, got Rebalanced) {
	for _, move := range got.Moves {
		i := slices.IndexFunc(guests, func(l Located) bool { return l.ID == move.ID })
		from := slices.IndexFunc(cells, func(c *Cell) bool { return c.Name == move.From })
		to := slices.IndexFunc(cells, func(c *Cell) bool { return c.Name == move.To })
		if guests[i].Cell != move.From || move.From == move.To || cells[from].Region != cells[to].Region {
			t.Fatalf("move %+v of a guest in %s", move, guests[i].Cell)
		}
		cells[from].Release(guests[i].Guest)
		decision := Place(guests[i].Request, cells[to:to+1])
		if decision.Cell != move.To || !slices.Equal(decision.Zones, move.Zones) {
			t.Fatalf("move %+v is not what Place allows: %+v", move, decision)
		}
		guests[i].Cell, guests[i].Zones = move.To, move.Zones
		cells[to].Take(guests[i].Guest)
	}
	var unmended []string
	for _, cell := range got.Unmended {
		unmended = append(unmended, cell.Cell)
	}
	for _, c := range cells {
		var here []placed
		for _, guest := range guests {
			if guest.Cell == c.Name {
				here = append(here, placed{zones: guest.Zones, demand: guest.Demand})
			}
		}
		if kept := reserveKept(c, here, zoneNames(c, true)); kept == slices.Contains(unmended, c.Name) {
			t.Fatalf("cell %s keeps its reserve: %v; unmended are said to be %v", c.Name, kept, unmended)
		}
	}
}

// bruteForce is the least number of moves, at most most, that mends all cells; negative: none does. It tries all
// lists in which each guest moves once, also of guests in cells that are under their limits.
func bruteForce(cells []*Cell, guests []Located, before []bool, most int) int {
	mended := true
	for _, c := range cells {
		var here []placed
		for _, guest := range guests {
			if guest.Cell == c.Name {
				here = append(here, placed{zones: guest.Zones, demand: guest.Demand})
			}
		}
		mended = mended && reserveKept(c, here, zoneNames(c, true))
	}
	if mended {
		return 0
	}
	if most == 0 {
		return -1
	}
	fewest := -1
	for i := range guests {
		for to := range cells {
			if before[i] || cells[to].Name == guests[i].Cell {
				continue
			}
			next, moved, done := Clone(cells), slices.Clone(guests), slices.Clone(before)
			done[i] = true
			from := slices.IndexFunc(next, func(c *Cell) bool { return c.Name == guests[i].Cell })
			next[from].Release(guests[i].Guest)
			decision := Place(guests[i].Request, next[to:to+1])
			if decision.Cell == "" {
				continue
			}
			moved[i].Cell, moved[i].Zones = decision.Cell, decision.Zones
			next[to].Take(moved[i].Guest)
			if more := bruteForce(next, moved, done, most-1); more >= 0 && (fewest < 0 || more+1 < fewest) {
				fewest = more + 1
			}
		}
	}
	return fewest
}

func TestLevels(t *testing.T) {
	c := cellOf("x", []string{"a", "b"}, func(c *Cell) {
		c.Zone("a").Capacity.Pods, c.Zone("a").Interfaces = 10, 4
	})
	part := Demand{Vector: Vector{MilliCPU: 2000, Memory: 1 << 30, Pods: 7, Addresses: 7, Volumes: 1}, APIServerMilliCPU: 1000}
	c.Take(Guest{Tenant: "team", VPC: "v", Zones: []string{"a", "b"}, Demand: []Demand{part, part}})
	cpu := Level{Thing: thingCPU, Used: 2000, Capacity: 10_000, Limit: 6000, AfterLoss: 3000, LimitAfterLoss: 9000, Percent: 20, PercentAfterLoss: 30}
	memory := Level{Thing: thingMemory, Used: 1 << 30, Capacity: 10 << 30, Limit: 6 << 30, AfterLoss: 1 << 30, LimitAfterLoss: 9 << 30, Percent: 10, PercentAfterLoss: 10}
	in := func(zone, lost string, level Level) Level {
		level.Zone, level.Lost = zone, lost
		return level
	}
	want := []Level{
		in("a", "b", cpu), in("a", "b", memory),
		{Zone: "a", Thing: thingPods, Used: 7, Capacity: 10, Limit: 6, AfterLoss: 7, LimitAfterLoss: 6, Percent: 70, PercentAfterLoss: 70, Over: true, Binds: true},
		{Zone: "a", Thing: thingInterfaces, Used: 1, Capacity: 4, Limit: 2, AfterLoss: 1, LimitAfterLoss: 2, Percent: 25, PercentAfterLoss: 25},
		in("b", "a", cpu), in("b", "a", memory),
	}
	if diff := cmp.Diff(want, Levels(c)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if over := Over(c); len(over) != 1 || over[0].Thing != thingPods {
		t.Errorf("over its limit is %v, want pods alone", over)
	}
	if levels := Levels(&Cell{Name: "none", Region: NewRegion(&v1alpha1.Region{})}); len(levels) != 0 {
		t.Errorf("a cell without zones has levels %v", levels)
	}
}
