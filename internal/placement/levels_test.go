package placement

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLevels(t *testing.T) {
	few := func(c *Cell) {
		c.Zones[0].Capacity.Pods, c.Zones[0].Used.Pods = 10, 3
		interfaces(5)(c)
		c.attach(&c.Zones[0], "prod", 3)
	}
	cases := map[string]struct {
		reason  string
		cell    *Cell
		levels  int    // of all zones
		fullest string // what binds first
		over    bool
	}{
		"Empty":           {reason: "of equal levels the first", cell: cell("x"), levels: 6, fullest: "CPU of zone a: 0 % of the 60 % that may be used before a loss"},
		"UnlimitedIsNone": {reason: "pods of zone a and interfaces are counted, the rest is not", cell: cell("x", few), levels: 10, fullest: "interfaces of zone a: 40 % of the 60 % that may be used before a loss"},
		"Memory":          {reason: "memory is fuller", cell: cell("x", use("b", 3000), func(c *Cell) { c.zone("c").Used.Memory = 4 << 30 }), levels: 6, fullest: "memory of zone c: 40 % of the 60 % that may be used before a loss"},
		"AfterLoss": {
			reason: "57 of 60 % is less full than 86 of 90 %", levels: 6, fullest: "CPU of zone a: 86 % of the 90 % that may be used after the loss of zone c",
			cell: cell("x", use("a", 5500), use("b", 5700), func(c *Cell) { c.zone("a").Takeover = []int64{0, 100, 3100} }),
		},
		"OverAfterLoss": {
			reason: "within the reserve before, not after", levels: 6, fullest: "CPU of zone a: 91 % of the 90 % that may be used after the loss of zone b", over: true,
			cell: cell("x", use("a", 5500), func(c *Cell) { c.zone("a").Takeover = []int64{0, 3600, 0} }),
		},
		"AtTheReserve":   {reason: "it may be reached", cell: cell("x", use("a", 6000)), levels: 6, fullest: "CPU of zone a: 60 % of the 60 % that may be used before a loss"},
		"BarelyOver":     {reason: "rounding must not hide it", cell: cell("x", use("a", 6001)), levels: 6, fullest: "CPU of zone a: 60.01 % of the 60 % that may be used before a loss", over: true},
		"Shrunk":         {reason: "more is booked than there is", cell: cell("x", use("a", 20_000)), levels: 6, fullest: "CPU of zone a: 200 % of the 60 % that may be used before a loss", over: true},
		"NoCapacity":     {reason: "use of nothing is 100 %, and infinitely over", cell: cell("x", use("a", 20_000), use("b", 1), func(c *Cell) { c.zone("b").Capacity.MilliCPU = 0 }), levels: 6, fullest: "CPU of zone b: 100 % of the 60 % that may be used before a loss", over: true},
		"NoCapacityUsed": {reason: "nothing of nothing is full, and not over", cell: cell("x", func(c *Cell) { c.zone("b").Capacity.MilliCPU = 0 }), levels: 6, fullest: "CPU of zone b: 0 % of the 60 % that may be used before a loss"},
		"Negative":       {reason: "a mistake in the books is not shown as less than nothing", cell: cell("x", use("a", -5)), levels: 6, fullest: "CPU of zone a: 0 % of the 60 % that may be used before a loss"},
		"LittleReserve": {
			reason: "what counts after a loss is the tighter limit of memory, too", levels: 6, fullest: "memory of zone a: 95 % of the 90 % that may be used before a loss", over: true,
			cell: cell("x", func(c *Cell) { c.ReservePercent, c.zone("a").Used.Memory = 0, 10<<30*95/100 }),
		},
		"OneZone": {reason: "no other zone can be lost", levels: 2, fullest: "CPU of zone a: 95 % of the 100 % that may be used before a loss", cell: cell("x", without("b"), without("c"), use("a", 9500), func(c *Cell) { c.ReservePercent = 0 })},
		"NoZones": {reason: "its agent reports nothing", cell: cell("x", func(c *Cell) { c.Zones = nil })},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			levels := Levels(tc.cell)
			if len(levels) != tc.levels {
				t.Errorf("%s: %d levels, want %d: %v", tc.reason, len(levels), tc.levels, levels)
			}
			got := ""
			if fullest, ok := Fullest(levels); ok {
				got = fullest.String()
			}
			if got != tc.fullest || tc.cell.over() != tc.over {
				t.Errorf("%s: %q, over %t; want %q, %t", tc.reason, got, tc.cell.over(), tc.fullest, tc.over)
			}
			for _, level := range levels {
				if level.Used < 0 || level.Percent < 0 || level.AfterLossPercent < level.Percent || level.AfterLoss < level.Used {
					t.Errorf("%s: %+v", tc.reason, level)
				}
			}
		})
	}
}

// TestWorkedExample is the one in docs/placement.md: small Zonal guests in a cell until one is rejected. The zones take turns in
// holding the small third part, or ten guests fewer would fit.
func TestWorkedExample(t *testing.T) {
	c := cell("x", counts(func(v *Vector) { v.MilliCPU, v.Memory = 88_000, 352<<30 }))
	small := Demand{Vector: Vector{MilliCPU: 305, Memory: 1536 << 20}, APIServerMilliCPU: 190}
	third := Demand{Vector: Vector{MilliCPU: 242, Memory: 1248 << 20}, APIServerMilliCPU: 190}
	r := request(func(r *Request) { r.Demand = []Demand{small, small, third} })
	d := Place(r, []*Cell{c})
	for ; d.Cell != ""; d = Place(r, []*Cell{c}) {
		c.Take(Guest{Zones: d.Zones, Demand: r.Demand})
	}
	var levels []string
	for _, level := range Levels(c)[:2] {
		levels = append(levels, fmt.Sprintf("%s of zone %s: %d of %d, %.1f %%, %.1f %% after a loss", level.Thing, level.Zone, level.Used, level.Limit, level.Percent, level.AfterLossPercent))
	}
	want := []string{
		"CPU of zone a: 42600 of 52800, 48.4 %, 64.6 % after a loss",
		"memory of zone a: 226492416000 of 226774273228, 59.9 %, 59.9 % after a loss",
	}
	if diff := cmp.Diff(want, levels); diff != "" || c.Guests != 150 {
		t.Errorf("%d guests, want 150; levels of zone a (-want +got):\n%s", c.Guests, diff)
	}
	if len(d.Rejected) != 1 || d.Rejected[0].Reason != ReasonReserve {
		t.Errorf("the last is rejected for the reserve: %+v", d.Rejected)
	}
}
