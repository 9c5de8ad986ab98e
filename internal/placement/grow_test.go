package placement

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// demands of a guest in as many zones, all alike: thousandths of a core, of these the API server's, GiB.
func demands(zones int, cpu, apiServer, memory int64) []Demand {
	all := make([]Demand, zones)
	for i := range all {
		all[i] = Demand{Vector: Vector{MilliCPU: cpu, Memory: memory << 30}, APIServerMilliCPU: apiServer}
	}
	return all
}

// roomyCell has zones of 10 cores and 10 GiB and keeps 40 % of them: 6 and 6 can be given away.
func roomyCell(zones ...string) *Cell {
	c := &Cell{Name: "c", ReservePercent: 40, Zones: map[string]*Zone{}, Tenants: map[string]int{}}
	for _, name := range zones {
		c.Zones[name] = &Zone{Capacity: Vector{MilliCPU: 10000, Memory: 10 << 30}, Takeover: map[string]int64{}}
	}
	return c
}

func TestGrow(t *testing.T) {
	abc := []string{"a", "b", "c"}
	cases := map[string]struct {
		reason   string
		cell     *Cell
		zones    []string
		from, to []Demand
		others   []Demand // of a guest beside it, in the same zones
		want     string
	}{
		"Fits":      {reason: "to the last of the reserve", cell: roomyCell("a"), zones: abc[:1], from: demands(1, 1000, 0, 1), to: demands(1, 6000, 0, 6)},
		"OverByOne": {reason: "a thousandth of a core too much", cell: roomyCell("a"), zones: abc[:1], from: demands(1, 1000, 0, 1), to: demands(1, 6001, 0, 6), want: "cell c would not keep 40 % free, and 10 % after the loss of any other zone: zone a has 10 % of CPU and 10 % of memory in use"},
		"Neighbour": {reason: "others count", cell: roomyCell("a"), zones: abc[:1], from: demands(1, 1000, 0, 1), to: demands(1, 3000, 0, 1), others: demands(1, 4000, 0, 1), want: "cell c would not keep 40 % free, and 10 % after the loss of any other zone: zone a has 50 % of CPU and 20 % of memory in use"},
		"AfterLoss": {
			reason: "6 of 10 cores are within the reserve, and half of 6 more from a lost zone is 9: kept; but not with 7 %", cell: roomyCell(abc...), zones: abc,
			from: demands(3, 1000, 1000, 1), to: demands(3, 6000, 6000, 1),
		},
		"OverAfterLoss": {
			reason: "a neighbour whose API servers fail over besides", cell: roomyCell(abc...), zones: abc, others: demands(3, 100, 3100, 1),
			from: demands(3, 1000, 1000, 1), to: demands(3, 5900, 5900, 1),
			want: "cell c would not keep 40 % free, and 10 % after the loss of any other zone: zone a has 11 % of CPU (31 % after the loss of zone b) and 20 % of memory in use, zone b has 11 % of CPU (31 % after the loss of zone a) and 20 % of memory in use, zone c has 11 % of CPU (31 % after the loss of zone a) and 20 % of memory in use",
		},
		"Shrinks":  {reason: "less always fits, even over the reserve", cell: roomyCell("a"), zones: abc[:1], from: demands(1, 9000, 0, 9), to: demands(1, 8000, 0, 8)},
		"OverFull": {reason: "over the reserve already: nobody grows", cell: roomyCell("a"), zones: abc[:1], others: demands(1, 7000, 0, 1), from: demands(1, 100, 0, 1), to: demands(1, 101, 0, 1), want: "cell c would not keep 40 % free, and 10 % after the loss of any other zone: zone a has 71 % of CPU and 20 % of memory in use"},
		"LostZone": {reason: "a zone that the agent does not report", cell: roomyCell("b"), zones: abc[:1], from: demands(1, 100, 0, 1), to: demands(1, 101, 0, 1), want: "cell c reports no capacity of zone a"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.cell.Take("team", tc.zones, tc.from)
			tc.cell.Take("other", tc.zones, tc.others)
			before := copyOf(tc.cell)
			got := Grow(tc.cell, tc.zones, tc.from, tc.to)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if want := copyOf(tc.cell); tc.want != "" {
				if diff := cmp.Diff(before, want); diff != "" {
					t.Errorf("a refusal booked something (-before +after):\n%s", diff)
				}
			}
		})
	}
}

func copyOf(c *Cell) Cell {
	same := *c
	same.Zones = map[string]*Zone{}
	for name, zone := range c.Zones {
		z := *zone
		z.Takeover = map[string]int64{}
		for other, amount := range zone.Takeover {
			if amount != 0 {
				z.Takeover[other] = amount
			}
		}
		same.Zones[name] = &z
	}
	return same
}

// TestGrowKeepsTheReserve: whatever is placed, grown and shrunk, in cells with drills and odd
// capacities: no growth breaks the reserve, and the books say what counting anew says.
func TestGrowKeepsTheReserve(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := anyRoom(t)
		var guests []placed
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			anyDrill(t, []*Cell{c})
			if len(guests) == 0 || rapid.Bool().Draw(t, "place") {
				r := anyRequest(t)
				if decision := Place(r, []*Cell{c}); decision.Cell != "" {
					c.Take(r.Tenant, decision.Zones, r.Demand)
					guests = append(guests, placed{zones: decision.Zones, demand: r.Demand})
				}
				continue
			}
			i := rapid.IntRange(0, len(guests)-1).Draw(t, "guest")
			grow(t, c, guests, i)
		}
		again := copyOf(c)
		for _, zone := range again.Zones {
			zone.Used, zone.Takeover = Vector{}, map[string]int64{}
		}
		again.Guests, again.Tenants = c.Guests, c.Tenants
		for _, guest := range guests {
			again.book(guest.zones, guest.demand, 1)
		}
		if diff := cmp.Diff(copyOf(&again), copyOf(c)); diff != "" {
			t.Fatalf("the books are not what the guests take (-counted +booked):\n%s", diff)
		}
	})
}

// anyRoom is a cell that takes guests, some of them too large to grow.
func anyRoom(t *rapid.T) *Cell {
	c := roomyCell([]string{"a", "b", "c", "d"}[:rapid.IntRange(3, 4).Draw(t, "zones")]...)
	c.Name, c.Region, c.Ready, c.Versions = "w", "r", true, []string{version}
	c.ReservePercent = rapid.Int64Range(0, 60).Draw(t, "reserve")
	for _, name := range allZones(c) {
		c.Zones[name].Capacity.MilliCPU = rapid.Int64Range(3000, 9000).Draw(t, "cpu")
	}
	return c
}

func grow(t *rapid.T, c *Cell, guests []placed, i int) {
	guest := guests[i]
	var to []Demand
	for _, part := range guest.demand {
		factor := rapid.Int64Range(0, 400).Draw(t, "percent")
		to = append(to, Demand{
			Vector:            Vector{MilliCPU: part.MilliCPU * factor / 100, Memory: part.Memory * rapid.Int64Range(0, 400).Draw(t, "memory") / 100},
			APIServerMilliCPU: part.APIServerMilliCPU * factor / 100,
		})
	}
	grows := More(guest.demand, to)
	problem := Grow(c, guest.zones, guest.demand, to)
	if problem == "" {
		guests[i].demand = to
	} else if !grows {
		t.Fatalf("a guest that takes less was refused: %s", problem)
	}
	if fits := keepsReserveIn(c, guests, guest.zones); problem == "" && grows && !fits {
		t.Fatalf("the cell is over its reserve after %v became %v in %v", guest.demand, to, guest.zones)
	}
}
