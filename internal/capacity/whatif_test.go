package capacity

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// TestLoseZone: counted by hand in a cell of 60 Zonal nanos and 9 Single ones.
func TestLoseZone(t *testing.T) {
	nano, single := alike(guestIn("nano", v1alpha1.Zonal)), guestIn("nano", v1alpha1.Single)
	cells := someCells(1, 24, 1200)
	fleet := fleetWith(cells, 60, nano)
	for i, zone := range []string{"a", "a", "a", "a", "b", "b", "b", "c", "c"} {
		guest := single
		guest.ID, guest.Cell, guest.Zones = string(rune('p'+i)), "r-1", []string{zone}
		cells[0].Take(guest.placed())
		fleet.Guests = append(fleet.Guests, guest)
	}
	got, err := LoseZone(fleet, "r-1", "b")
	if err != nil {
		t.Fatal(err)
	}
	// Zone a keeps its own and takes half of each API server of zone b.
	used := 60*nano.Demand[0].MilliCPU + 4*single.Demand[0].MilliCPU + 60*((nano.Demand[1].APIServerMilliCPU+1)/2)
	want := ZoneLoss{
		Cell: "r-1", Zone: "b", Down: 3, OnTwo: 60, Untouched: 6, WorstZone: "a", WorstThing: "CPU",
		WorstPercent: 100 * float64(used) / 24_000, LimitPercent: 90, DownGuests: []string{"t", "u", "v"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestLoseCell: three equal cells, one more full than the others can take.
func TestLoseCell(t *testing.T) {
	nano := guestIn("nano", v1alpha1.Zonal)
	for _, tc := range []struct {
		reason         string
		guests, placed int
	}{
		{reason: "two cells take the guests of the third", guests: 300, placed: -1},
		{reason: "all are full: nobody finds a place", guests: 100_000, placed: 0},
	} {
		fleet := fleetWith(someCells(3, 24, 120), tc.guests, nano)
		before, lost := stateOf(fleet), len(fleet.in("r-2"))
		got, err := LoseCell(fleet, "r-2")
		if err != nil {
			t.Fatal(err)
		}
		want := tc.placed
		if want < 0 {
			want = min(lost, 3*138-len(fleet.Guests)) // 138 nanos of 1,600 MiB are 60 % of three times 120 GiB
		}
		placed := 0
		for _, taken := range got.Placed {
			placed += taken.Guests
		}
		if got.Guests != lost || placed != want || placed != lost-len(got.Refused) {
			t.Errorf("%s: of %d guests %d are placed and %d refused, want %d placed", tc.reason, lost, placed, len(got.Refused), want)
		}
		for _, refused := range got.Refused {
			if refused.Reason != "Reserve" || refused.ID == "" || refused.Tenant == "" || !strings.Contains(refused.Message, "memory") {
				t.Errorf("%s: refused %+v", tc.reason, refused)
			}
		}
		if diff := cmp.Diff(before, stateOf(fleet)); diff != "" {
			t.Errorf("%s: the fleet was changed: %s", tc.reason, diff)
		}
	}
}

func TestLoseCellKeepsResidency(t *testing.T) {
	guest := guestIn("nano", v1alpha1.Zonal)
	guest.Region, guest.Residency = "", &v1alpha1.Residency{Areas: []string{"eu"}}
	cells := someCells(2, 24, 120)
	cells[0].Region.Area = "eu"
	fleet := fleetWith(cells, 4, guest)
	elsewhere := cells[1].Region.Clone()
	elsewhere.Region, elsewhere.Area = "s", "us"
	other := "r-1"
	if len(fleet.in("r-1")) == 0 {
		other = "r-2"
	}
	for _, cell := range fleet.Cells {
		if cell.Name != other {
			cell.Region = elsewhere
		}
	}
	got, err := LoseCell(fleet, other)
	if err != nil || len(got.Refused) == 0 || got.Refused[0].Reason != "ResidencyNotMet" {
		t.Errorf("a guest of eu must not find a place in us: %+v, error %v", got, err)
	}
}

func TestDoubleTenant(t *testing.T) {
	fleet := fleetWith(someCells(2, 24, 120), 70, guestIn("nano", v1alpha1.Zonal))
	got, err := DoubleTenant(fleet, "team-3")
	if err != nil || got.Guests != 10 || len(got.Refused) != 0 {
		t.Errorf("%+v, error %v", got, err)
	}
	fleet.Cells[0].Region.Quotas = map[string]v1alpha1.TenantQuota{"team-3": {Tenant: "team-3", Guests: new(int32(14))}}
	got, err = DoubleTenant(fleet, "team-3")
	if err != nil || len(got.Refused) != 6 || got.Refused[0].Reason != "QuotaExceeded" {
		t.Errorf("a quota of 14 lets 4 of 10 more in: %+v, error %v", got, err)
	}
	if _, err := DoubleTenant(fleet, "team-9"); err == nil || !strings.Contains(err.Error(), "team-9") {
		t.Errorf("a tenant that is not there: %v", err)
	}
}

// TestUpgradeSurge: counted by hand.
func TestUpgradeSurge(t *testing.T) {
	nano := alike(guestIn("nano", v1alpha1.Zonal))
	fleet := fleetWith(someCells(1, 8, 4000), 50, nano)
	surges, err := UpgradeSurge(fleet, 30)
	if err != nil || len(surges) != 1 {
		t.Fatalf("%d surges, error %v", len(surges), err)
	}
	n, one, server := int64(len(fleet.Guests)), nano.Demand[0].MilliCPU, nano.APIServer.MilliCPU
	after := func(surging int64) float64 { // of a zone, when another dies
		return 100 * float64(n*one+surging*server+n*((server+1)/2)+surging*server/2) / 8000
	}
	got := surges[0]
	if got.Guests != 15 || got.Of != 50 || got.Fullest.AfterLossPercent != after(15) || got.Over != (after(15) > 90) {
		t.Errorf("%+v %+v; after a loss %.3f %%", got, got.Fullest, after(15))
	}
	most := 0
	for p := 1; p <= 100 && after(int64(share(50, p))) <= 90; p++ {
		most = p
	}
	if got.MostPercent != most || most == 0 || most == 100 {
		t.Errorf("at most %d %% at once, want %d %%", got.MostPercent, most)
	}
	for _, bad := range []int{0, -1, 101} {
		if _, err := UpgradeSurge(fleet, bad); err == nil {
			t.Errorf("%d %% must be refused", bad)
		}
	}
}
