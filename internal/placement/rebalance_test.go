package placement

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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
		more     bool     // fewer moves might do
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
			moves: []string{"00>y/a", "01>y/b", "02>y/c", "03>y/a", "04>y/b"}, more: true,
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
			moves: []string{"4>z/a", "1>y/b"}, more: true,
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
			if plan.Fewest != (len(moves) > 0 && !tc.more) {
				t.Errorf("%s: no fewer moves do: %t", tc.reason, plan.Fewest)
			}
			if (tc.unmended == "") != (len(plan.Unmended) == 0) || tc.unmended != "" && !strings.Contains(plan.Unmended[0].Why, tc.unmended) {
				t.Errorf("%s: unmended %+v, want %q", tc.reason, plan.Unmended, tc.unmended)
			}
		})
	}
}
