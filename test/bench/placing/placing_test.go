package placing

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/myriad-fleet/myriad/internal/placement"
)

func TestArrivals(t *testing.T) {
	one, err := Arrivals(7)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := Arrivals(7)
	other, _ := Arrivals(8)
	if len(one) != Guests || !cmp.Equal(one, again) || cmp.Equal(one, other) {
		t.Errorf("%d guests, of the same seed the same ones: %t, of another seed others: %t", len(one), cmp.Equal(one, again), !cmp.Equal(one, other))
	}
}

func TestBroken(t *testing.T) {
	capacity := int64(nodesPerZone * coresPerNode * 1000)
	demand := func(milliCPU, apiServer int64) []placement.Demand {
		one := placement.Demand{Vector: placement.Vector{MilliCPU: milliCPU}, APIServerMilliCPU: apiServer}
		return []placement.Demand{one, one, one}
	}
	cases := map[string]struct {
		reason string
		demand []placement.Demand
		want   int
	}{
		"AtTheReserve":  {"it may be reached", demand(capacity*60/100, 0), 0},
		"OverIt":        {"and not exceeded", demand(capacity*60/100+1, 0), 3},
		"AfterLoss":     {"60 % and half of another 60 %", demand(capacity*60/100, capacity*60/100), 0},
		"OverAfterLoss": {"a little more than that", demand(capacity*60/100, capacity*60/100+4), 3},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			fleet := NewFleet(1)
			guest := placement.Guest{Zones: []string{"a", "b", "c"}, Demand: tc.demand}
			if got := count(fleet.Cells, []Placed{{guest, fleet.Cells[0].Name}}).broken(); got != tc.want {
				t.Errorf("%s: %d zones, want %d", tc.reason, got, tc.want)
			}
		})
	}
}
