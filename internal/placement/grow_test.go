package placement

import (
	"testing"

	"github.com/google/go-cmp/cmp"
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
func roomyCell(zones ...string) *Cell { return cellOf("c", zones) }

func TestGrow(t *testing.T) {
	abc := []string{"a", "b", "c"}
	const keep = "cell c would not keep 40 % free, and 10 % after the loss of any other zone: "
	fullOfPods := func() *Cell {
		c := roomyCell("a")
		c.Zone("a").Capacity.Pods, c.Zone("a").Used.Pods = 10, 10
		return c
	}
	cases := map[string]struct {
		reason   string
		cell     *Cell
		zones    []string
		from, to []Demand
		others   []Demand // of a guest beside it, in the same zones
		want     string
	}{
		"Fits":      {reason: "to the last of the reserve", cell: roomyCell("a"), zones: abc[:1], from: demands(1, 1000, 0, 1), to: demands(1, 6000, 0, 6)},
		"OverByOne": {reason: "a thousandth of a core too much", cell: roomyCell("a"), zones: abc[:1], from: demands(1, 1000, 0, 1), to: demands(1, 6001, 0, 6), want: keep + "zone a would use 60.1 % of CPU (10 % now)"},
		"Neighbour": {reason: "others count", cell: roomyCell("a"), zones: abc[:1], from: demands(1, 1000, 0, 1), to: demands(1, 3000, 0, 1), others: demands(1, 4000, 0, 1), want: keep + "zone a would use 70 % of CPU (50 % now)"},
		"AfterLoss": {
			reason: "6 of 10 cores are within the reserve, and half of 6 more from a lost zone is 9: kept; but not with 7 %", cell: roomyCell(abc...), zones: abc,
			from: demands(3, 1000, 1000, 1), to: demands(3, 6000, 6000, 1),
		},
		"OverAfterLoss": {
			reason: "a neighbour whose API servers fail over besides", cell: roomyCell(abc...), zones: abc, others: demands(3, 100, 3100, 1),
			from: demands(3, 1000, 1000, 1), to: demands(3, 5900, 5900, 1),
			want: keep + "zone a would use 105 % of CPU (31.5 % now) after the loss of zone b, zone b would use 105 % of CPU (31.5 % now) after the loss of zone a, zone c would use 105 % of CPU (31.5 % now) after the loss of zone a",
		},
		"Shrinks":    {reason: "less always fits, even over the reserve", cell: roomyCell("a"), zones: abc[:1], from: demands(1, 9000, 0, 9), to: demands(1, 8000, 0, 8)},
		"OverFull":   {reason: "over the reserve already: nobody grows", cell: roomyCell("a"), zones: abc[:1], others: demands(1, 7000, 0, 1), from: demands(1, 100, 0, 1), to: demands(1, 101, 0, 1), want: keep + "zone a would use 71.1 % of CPU (71 % now)"},
		"FullOfPods": {reason: "who grows takes no pod more", cell: fullOfPods(), zones: abc[:1], from: demands(1, 100, 0, 1), to: demands(1, 200, 0, 1)},
		"LostZone":   {reason: "a zone that the agent does not report", cell: roomyCell("b"), zones: abc[:1], from: demands(1, 100, 0, 1), to: demands(1, 101, 0, 1), want: "cell c reports no capacity of zone a"},
		"OtherZones": {reason: "a Single guest does not become Zonal by growing", cell: roomyCell(abc...), zones: abc[:1], from: demands(1, 100, 0, 1), to: demands(3, 100, 0, 1), want: "the guest lies in 1 zones and would take room in 3"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			guest := Guest{Tenant: "team", Zones: tc.zones, Demand: tc.from}
			tc.cell.Take(guest)
			tc.cell.Take(Guest{Tenant: "other", Zones: tc.zones, Demand: tc.others})
			before := tc.cell.Clone()
			got := Grow(tc.cell, guest, tc.to)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if tc.want == "" {
				if use := tc.cell.Region.Used["team"]; use.Vector != total(tc.to) || use.Guests != 1 {
					t.Errorf("%s: the region counts %+v for the tenant", tc.reason, use)
				}
				return
			}
			if diff := cmp.Diff(before, tc.cell, cmp.AllowUnexported(Cell{}, Zone{})); diff != "" {
				t.Errorf("a refusal booked something (-before +after):\n%s", diff)
			}
		})
	}
}
