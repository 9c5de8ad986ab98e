package placement

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// settled is a fleet of cells in one region, with guests that are placed where a case says.
type settled struct {
	cells  []*Cell
	guests []Located
}

func settle(cells ...*Cell) *settled {
	for _, c := range cells {
		if c.Region.Region == cells[0].Region.Region {
			c.Region = cells[0].Region
		}
	}
	return &settled{cells: cells}
}

// with a guest in zones of a cell, as that request asks for.
func (s *settled) with(id, in string, zones []string, change ...func(*Request)) *settled {
	r := request(change...)
	guest := Located{ID: id, Cell: in, Request: r, Guest: Guest{Tenant: r.Tenant, VPC: r.VPC, Zones: zones, Demand: r.Demand}}
	s.cells[slices.IndexFunc(s.cells, func(c *Cell) bool { return c.Name == in })].Take(guest.Guest)
	s.guests = append(s.guests, guest)
	return s
}

// takes so much CPU, in thousandths of a core, in each zone.
func takes(milliCPU int64) func(*Request) {
	return func(r *Request) {
		for i := range r.Demand {
			r.Demand[i].MilliCPU = milliCPU
		}
	}
}

func elsewhere(c *Cell) { c.Region.Region = "s" }

// anywhere lets a guest leave its region.
func anywhere(r *Request) { r.Region, r.Residency = "", &v1alpha1.Residency{Areas: []string{"eu"}} }

func TestRebalance(t *testing.T) {
	a, abc := []string{"a"}, []string{"a", "b", "c"}
	cases := map[string]struct {
		reason   string
		fleet    *settled
		moves    []string // id>cell/zones
		unmended string   // part of why
	}{
		"Fine": {reason: "the reserve may be reached", fleet: settle(cell("x"), cell("y")).with("1", "x", a, takes(6000))},
		"OneLargeInsteadOfTwoSmall": {
			reason: "the fewest moves, not the smallest guests",
			fleet:  settle(cell("x"), cell("y")).with("1", "x", a, takes(1000)).with("2", "x", a, takes(1000)).with("3", "x", a, takes(5800)),
			moves:  []string{"3>y/a"},
		},
		"TwoTogether": {
			reason: "no one guest is enough: 9 of 6 cores, and 2 of each",
			fleet: settle(cell("x"), cell("y")).with("1", "x", a, takes(2000)).with("2", "x", a, takes(2000)).with("3", "x", a, takes(2000)).
				with("4", "x", a, takes(2000)).with("5", "x", a, takes(1000)),
			moves: []string{"1>y/a", "2>y/b"},
		},
		"AfterLoss": {
			reason: "6 cores are used, and 3.1 come when b is lost: the guest goes whose API server does that",
			fleet: settle(cell("x", func(c *Cell) { c.zone("a").Used.MilliCPU, c.zone("a").Takeover = 5000, []int64{0, 2850, 0} }), cell("y")).
				with("1", "x", abc, zonal),
			moves: []string{"1>y/a,b,c"},
		},
		"BeyondThree": {
			reason: "five of nine must go: greedily, and none too many",
			fleet: func() *settled {
				s := settle(cell("x"), cell("y"), cell("z"))
				for i := range 11 {
					s.with(fmt.Sprintf("%02d", i), "x", a)
				}
				return s
			}(),
			moves: []string{"00>y/a", "01>y/b", "02>y/c", "03>y/a", "04>y/b"},
		},
		"OwnRegion": {
			reason: "its request names its region", unmended: "1 of its guests take of it, and 1 of them can go nowhere else: guest 1, which would relieve it most, is kept out of the 1 cells that are under their reserve by 1 × OtherRegion",
			fleet: settle(cell("x"), cell("y", elsewhere)).with("1", "x", a, takes(7000)),
		},
		"OtherRegion": {
			reason: "its residency allows both, and none of its own has room", fleet: settle(cell("x"), cell("w", elsewhere)).with("1", "x", a, takes(2000), anywhere).with("2", "x", a, takes(5000)),
			moves: []string{"1>w/a"},
		},
		"OwnRegionFirst": {
			reason: "its residency allows both, and its own has room", fleet: settle(cell("x"), cell("w", elsewhere), cell("y")).with("1", "x", a, takes(2000), anywhere).with("2", "x", a, takes(5000)),
			moves: []string{"1>y/a"},
		},
		"VPCStaysInItsRegion": {
			reason: "a VPC lies in one region", fleet: settle(cell("x"), cell("w", elsewhere)).with("1", "x", a, takes(2000), anywhere, inVPC).with("2", "x", a, takes(5000)),
			unmended: "can go nowhere else",
		},
		"OwnQuota": {
			reason: "a guest's own booking does not stand in its way: the quota is one guest",
			fleet:  settle(cell("x", quota(v1alpha1.TenantQuota{Tenant: "team", Guests: new(int32(1))})), cell("y")).with("1", "x", a, takes(6001)), unmended: "1 × Reserve",
		},
		"QuotaReached": {
			reason: "the same, and it finds room",
			fleet: settle(cell("x", quota(v1alpha1.TenantQuota{Tenant: "team", Guests: new(int32(2))})), cell("y")).
				with("1", "x", a, takes(3001)).with("2", "x", a, takes(3000)),
			moves: []string{"1>y/a"},
		},
		"NotIntoAnOverfullCell": {
			reason: "y has room in zone b, and is over its reserve itself",
			fleet: settle(cell("x"), cell("y")).with("1", "x", a, takes(4000)).with("2", "x", a, takes(4000)).
				with("3", "y", a, takes(4000)).with("4", "y", a, takes(4000)),
			unmended: "there is no other cell under its reserve",
		},
		"AgainAfterOthers": {
			reason: "x alone finds no room; y is mended through z, and then takes a guest of x",
			fleet: settle(cell("x"), cell("y", without("c")), cell("z", without("b"))).
				with("1", "x", a, takes(4000)).with("2", "x", a, takes(4000)).
				with("3", "y", a, takes(4500)).with("4", "y", []string{"a"}, takes(3000)).
				with("5", "z", a, takes(2500)).with("6", "z", []string{"c"}, takes(3000)),
			moves: []string{"4>z/a", "1>y/b"},
		},
		"Volumes": {
			reason: "what is counted in numbers counts, too: 3 of 2 volumes",
			fleet:  settle(cell("x", func(c *Cell) { c.zone("a").Capacity.Volumes = 4 }), cell("y")).with("1", "x", a).with("2", "x", a).with("3", "x", a),
			moves:  []string{"1>y/a"},
		},
		"SharedInterface": {
			reason: "an interface is free only when the last guest of its VPC has left",
			fleet: settle(cell("x", interfaces(2)), cell("y", interfaces(10))).with("1", "x", a, inVPC).with("2", "x", a, inVPC).
				with("3", "x", a, func(r *Request) { r.VPC = "test" }).with("4", "x", a, func(r *Request) { r.VPC = "test" }),
			moves: []string{"1>y/a", "2>y/b"},
		},
		"NobodysUse": {reason: "guests that are not known cannot move", fleet: settle(cell("x", use("a", 7000)), cell("y")), unmended: "CPU of zone a: 70 % of the 60 % that may be used before a loss; it holds no guest that takes any of it"},
		"TooMuch": {
			reason: "each could move, but not as many as must", unmended: "3 of its guests take of it and could move, each by itself, but other cells have no room for as many as must",
			fleet: settle(cell("x"), cell("y", without("b"), without("c"))).with("1", "x", a, takes(5000)).with("2", "x", a, takes(5000)).with("3", "x", a, takes(5000)),
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			plan := Rebalance(tc.fleet.cells, tc.fleet.guests)
			var moves []string
			for _, move := range plan.Moves {
				moves = append(moves, move.ID+">"+move.To+"/"+strings.Join(move.Zones, ","))
			}
			if diff := cmp.Diff(tc.moves, moves); diff != "" {
				t.Errorf("%s (-want +got):\n%s\nunmended: %+v", tc.reason, diff, plan.Unmended)
			}
			if (tc.unmended == "") != (len(plan.Unmended) == 0) || tc.unmended != "" && !strings.Contains(plan.Unmended[0].Why, tc.unmended) {
				t.Errorf("%s: unmended %+v, want %q", tc.reason, plan.Unmended, tc.unmended)
			}
		})
	}
}

// burdened is a world whose guests may ask for another place.
type burdened struct {
	*world

	requests map[*resident]Request
}

// arrive where there is room.
func (b *burdened) arrive(t *rapid.T, r Request) {
	t.Helper()
	if d := Place(r, b.cells); d.Cell != "" {
		g := &resident{Guest: Guest{Tenant: r.Tenant, VPC: r.VPC, Zones: d.Zones, Demand: r.Demand}, cell: d.Cell}
		b.cellOf(g).Take(g.Guest)
		b.guests, b.requests[g] = append(b.guests, g), r
	}
}

// anyBurdened is any world with guests, in which capacity then shrank and gears grew.
func anyBurdened(t *rapid.T) *burdened {
	b := &burdened{anyWorld(t), map[*resident]Request{}}
	for range rapid.IntRange(1, 30).Draw(t, "arrivals") {
		b.arrive(t, anyRequest(t))
	}
	for _, g := range b.guests {
		if rapid.IntRange(0, 4).Draw(t, "grew") == 0 {
			b.cellOf(g).Release(g.Guest)
			g.Demand = slices.Clone(g.Demand)
			for i := range g.Demand {
				g.Demand[i].MilliCPU *= 2
				g.Demand[i].APIServerMilliCPU *= 2
			}
			r := b.requests[g]
			r.Demand = g.Demand
			b.requests[g] = r
			b.cellOf(g).Take(g.Guest)
		}
	}
	for _, c := range b.cells {
		if rapid.Bool().Draw(t, "shrank") {
			for i := range c.Zones {
				c.Zones[i].Capacity.MilliCPU = c.Zones[i].Capacity.MilliCPU * rapid.Int64Range(50, 100).Draw(t, "cpu left") / 100
				c.Zones[i].Capacity.Volumes = rapid.SampledFrom([]int64{c.Zones[i].Capacity.Volumes, 8}).Draw(t, "volumes left")
			}
			c.limit()
		}
	}
	return b
}

func (b *burdened) located() []Located {
	var guests []Located
	for i, g := range b.guests {
		guests = append(guests, Located{ID: fmt.Sprintf("%02d", i), Cell: g.cell, Guest: g.Guest, Request: b.requests[g]})
	}
	return guests
}

// fine counts anew whether a cell is within its reserve.
func (b *burdened) fine(c *Cell) bool {
	kept := 100 - c.ReservePercent
	for i := range c.Zones {
		zone := &c.Zones[i]
		used, interfaces := b.used(c, zone.Name)
		for _, thing := range things {
			if capacity := zone.Capacity.Of(thing); capacity >= 0 && used.Of(thing)*100 > capacity*kept {
				return false
			}
		}
		if zone.Interfaces >= 0 && c.AddressesPerInterface > 0 && interfaces*100 > zone.Interfaces*kept {
			return false
		}
		for j := range c.Zones {
			if i != j && ((used.MilliCPU+b.takeover(c, zone.Name, c.Zones[j].Name))*100 > zone.Capacity.MilliCPU*90 || used.Memory*100 > zone.Capacity.Memory*90) {
				return false
			}
		}
	}
	return true
}

// move a guest, if the filters of Place let it: to nil, out of its cell only.
func (b *burdened) move(g *resident, to *Cell) (undo func(), ok bool) {
	from, was := b.cellOf(g), *g
	from.Release(g.Guest)
	d := Place(b.requests[g], []*Cell{to})
	if d.Cell == "" {
		from.Take(g.Guest)
		return nil, false
	}
	g.cell, g.Zones, g.Demand = to.Name, d.Zones, b.requests[g].Demand
	to.Take(g.Guest)
	return func() {
		to.Release(g.Guest)
		*g = was
		from.Take(g.Guest)
	}, true
}

// TestRebalanceInvariants: the moves are valid in their order, mend what they are said to mend, and touch nothing else.
func TestRebalanceInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := anyBurdened(t)
		before, wasFine := Clone(b.cells), map[string]bool{}
		for _, c := range b.cells {
			if wasFine[c.Name] = b.fine(c); wasFine[c.Name] == c.over() {
				t.Fatalf("cell %s is fine: %t, by its levels %v", c.Name, wasFine[c.Name], Levels(c))
			}
		}
		guests := b.located()
		plan := Rebalance(b.cells, guests)
		if diff := cmp.Diff(before, b.cells, cmp.AllowUnexported(Zone{})); diff != "" {
			t.Fatalf("the cells were changed:\n%s", diff)
		}
		rand.Shuffle(len(guests), func(i, j int) { guests[i], guests[j] = guests[j], guests[i] })
		if diff := cmp.Diff(plan, Rebalance(b.cells, guests)); diff != "" {
			t.Fatalf("the order of the guests changed the plan:\n%s", diff)
		}
		for _, move := range plan.Moves {
			b.follow(t, move, wasFine)
		}
		unmended := map[string]bool{}
		for _, u := range plan.Unmended {
			unmended[u.Cell] = true
			if u.Why == "" || !u.Level.Over() {
				t.Fatalf("no word on why cell %s is not mended, or a level that is not over: %+v", u.Cell, u)
			}
		}
		for _, c := range b.cells {
			if fine := b.fine(c); fine == unmended[c.Name] || !fine && wasFine[c.Name] {
				t.Fatalf("cell %s is fine after all moves: %t, said to be unmended: %t, was fine before: %t", c.Name, fine, unmended[c.Name], wasFine[c.Name])
			}
		}
		b.recount(t)
	})
}

// follow one move of a plan.
func (b *burdened) follow(t *rapid.T, move Move, wasFine map[string]bool) {
	var g *resident
	for i := range b.guests {
		if fmt.Sprintf("%02d", i) == move.ID {
			g = b.guests[i]
		}
	}
	to := b.cells[slices.IndexFunc(b.cells, func(c *Cell) bool { return c.Name == move.To })]
	switch {
	case g.cell != move.From || move.From == move.To || g.Tenant != move.Tenant || move.Why == "":
		t.Fatalf("a wrong move of a guest in cell %s: %+v", g.cell, move)
	case wasFine[move.From]:
		t.Fatalf("a guest leaves a cell that was fine: %+v", move)
	case !b.fine(to):
		t.Fatalf("a guest enters a cell that is over its reserve: %+v", move)
	case g.VPC != "" && b.cellOf(g).Region != to.Region:
		t.Fatalf("a guest leaves the region of its VPC: %+v", move)
	}
	if _, ok := b.move(g, to); !ok {
		t.Fatalf("the filters of Place do not let the guest in: %+v", move)
	}
	if diff := cmp.Diff(move.Zones, g.Zones); diff != "" {
		t.Fatalf("other zones than Place chooses in that cell (-plan +Place):\n%s", diff)
	}
}

// anyShrunk is a world of three cells with little room, the first of which holds most guests and then shrank.
func anyShrunk(t *rapid.T) (b *burdened, shrunk *Cell) {
	b = &burdened{&world{}, map[*resident]Request{}}
	for _, name := range []string{"x", "y", "z"} {
		b.cells = append(b.cells, cell(name, counts(func(v *Vector) { v.MilliCPU = rapid.Int64Range(1000, 4000).Draw(t, "cpu") })))
		b.cells[len(b.cells)-1].Region = b.cells[0].Region
	}
	shrunk = b.cells[0]
	all := b.cells
	for i := range rapid.IntRange(3, 14).Draw(t, "arrivals") {
		if b.cells = all[:1]; i%3 == 2 {
			b.cells = all[1:]
		}
		b.arrive(t, request(func(r *Request) {
			if rapid.IntRange(0, 2).Draw(t, "zonal") == 0 {
				zonal(r)
			}
			for i := range r.Demand {
				r.Demand[i].MilliCPU = rapid.Int64Range(100, 900).Draw(t, "cpu")
				r.Demand[i].APIServerMilliCPU = min(r.Demand[i].APIServerMilliCPU, r.Demand[i].MilliCPU/2)
			}
		}))
	}
	b.cells = all
	counts(func(v *Vector) { v.MilliCPU = v.MilliCPU * rapid.Int64Range(30, 90).Draw(t, "cpu left") / 100 })(shrunk)
	shrunk.limit()
	return b, shrunk
}

// TestRebalanceIsExact: where brute force mends a cell with three moves or fewer, so few moves are planned.
func TestRebalanceIsExact(t *testing.T) {
	exact := map[int]int{}
	rapid.Check(t, func(t *rapid.T) {
		b, shrunk := anyShrunk(t)
		plan, least := Rebalance(b.cells, b.located()), -1
		for size := 0; size <= 3 && least < 0; size++ {
			if b.mendable(shrunk, size) {
				least = size
			}
		}
		exact[least]++
		if least >= 0 && len(plan.Moves) != least || least < 0 && 0 < len(plan.Moves) && len(plan.Moves) <= 3 {
			t.Fatalf("brute force mends cell %s with %d moves, the plan has %+v, unmended %+v", shrunk.Name, least, plan.Moves, plan.Unmended)
		}
	})
	if exact[1] == 0 || exact[2] == 0 {
		t.Errorf("too few worlds had anything to compare: %v by the number of moves", exact)
	}
}

// mendable tries so many guests of the cell, in every order, in every other cell each.
func (b *burdened) mendable(over *Cell, size int) bool {
	if size == 0 {
		return b.fine(over)
	}
	for _, g := range b.guests {
		if g.cell != over.Name {
			continue
		}
		for _, to := range b.cells {
			if to == over || g.VPC != "" && to.Region != over.Region {
				continue
			}
			if undo, ok := b.move(g, to); ok {
				mended := b.mendable(over, size-1)
				undo()
				if mended {
					return true
				}
			}
		}
	}
	return false
}
