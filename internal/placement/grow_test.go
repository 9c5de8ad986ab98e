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

func TestGrow(t *testing.T) {
	abc := []string{"a", "b", "c"}
	only := func(zones ...string) *Cell {
		return cell("c", func(c *Cell) {
			for _, zone := range abc {
				if len(zones) == 1 && zone != zones[0] {
					without(zone)(c)
				}
			}
		})
	}
	cases := map[string]struct {
		reason   string
		cell     *Cell
		zones    []string
		from, to []Demand
		others   []Demand // of a guest beside it, in the same zones
		want     string
	}{
		"Fits":      {reason: "to the last of the reserve", cell: only("a"), zones: abc[:1], from: demands(1, 1000, 0, 1), to: demands(1, 6000, 0, 6)},
		"OverByOne": {reason: "a thousandth of a core too much", cell: only("a"), zones: abc[:1], from: demands(1, 1000, 0, 1), to: demands(1, 6001, 0, 6), want: "cell c would not keep 40 % free, and 10 % after the loss of any other zone: zone a has 10 % of CPU and 10 % of memory in use"},
		"Neighbour": {reason: "others count", cell: only("a"), zones: abc[:1], from: demands(1, 1000, 0, 1), to: demands(1, 3000, 0, 1), others: demands(1, 4000, 0, 1), want: "cell c would not keep 40 % free, and 10 % after the loss of any other zone: zone a has 50 % of CPU and 20 % of memory in use"},
		"AfterLoss": {
			reason: "6 of 10 cores are within the reserve, and half of 6 more from a lost zone is 9: kept; but not with 7 %", cell: only(), zones: abc,
			from: demands(3, 1000, 1000, 1), to: demands(3, 6000, 6000, 1),
		},
		"OverAfterLoss": {
			reason: "a neighbour whose API servers fail over besides", cell: only(), zones: abc, others: demands(3, 100, 3100, 1),
			from: demands(3, 1000, 1000, 1), to: demands(3, 5900, 5900, 1),
			want: "cell c would not keep 40 % free, and 10 % after the loss of any other zone: zone a has 11 % of CPU (31 % after the loss of zone b) and 20 % of memory in use, zone b has 11 % of CPU (31 % after the loss of zone a) and 20 % of memory in use, zone c has 11 % of CPU (31 % after the loss of zone a) and 20 % of memory in use",
		},
		"Shrinks":   {reason: "less always fits, even over the reserve", cell: only("a"), zones: abc[:1], from: demands(1, 9000, 0, 9), to: demands(1, 8000, 0, 8)},
		"OverFull":  {reason: "over the reserve already: nobody grows", cell: only("a"), zones: abc[:1], others: demands(1, 7000, 0, 1), from: demands(1, 100, 0, 1), to: demands(1, 101, 0, 1), want: "cell c would not keep 40 % free, and 10 % after the loss of any other zone: zone a has 71 % of CPU and 20 % of memory in use"},
		"LostZone":  {reason: "a zone that the agent does not report", cell: only("b"), zones: abc[:1], from: demands(1, 100, 0, 1), to: demands(1, 101, 0, 1), want: "cell c reports no capacity of zone a"},
		"MoreZones": {reason: "zones never change", cell: only(), zones: abc[:1], from: demands(1, 100, 0, 1), to: demands(3, 100, 0, 1), want: "the guest lies in 1 zones and would take room in 3"},
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
			if diff := cmp.Diff(before.Zones, tc.cell.Zones, cmp.AllowUnexported(Zone{})); tc.want != "" && diff != "" {
				t.Errorf("a refusal booked something (-before +after):\n%s", diff)
			}
		})
	}
}
