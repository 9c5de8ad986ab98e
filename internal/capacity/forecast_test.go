package capacity

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/gear"
	"github.com/myriad-fleet/myriad/internal/placement"
)

const version = "v1.36.3"

// someCells of a region with three zones each.
func someCells(n int, cores, gib int64, change ...func(*v1alpha1.Cell)) []*placement.Cell {
	region := placement.NewRegion(&v1alpha1.Region{ObjectMeta: metav1.ObjectMeta{Name: "r"}})
	var cells []*placement.Cell
	for i := range n {
		object := &v1alpha1.Cell{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("r-%d", i+1)}, Spec: v1alpha1.CellSpec{Region: "r", Zones: []string{"a", "b", "c"}}}
		object.Status.Versions = []string{version}
		for _, zone := range object.Spec.Zones {
			object.Status.Zones = append(object.Status.Zones, zoneOf(zone, cores, gib))
		}
		for _, apply := range change {
			apply(object)
		}
		cells = append(cells, placement.NewCell(object, region, true))
	}
	return cells
}

func reserve(percent int32) func(*v1alpha1.Cell) {
	return func(c *v1alpha1.Cell) { c.Spec.ReservePercent = &percent }
}

func zoneOf(name string, cores, gib int64) v1alpha1.ZoneCapacity {
	zone := v1alpha1.ZoneCapacity{Name: name}
	zone.CPU.Set(cores)
	zone.Memory.Set(gib << 30)
	return zone
}

func defaultLadder() []Rung { return LadderOf(gear.Default().Ladder) }

// guestIn a gear of the default ladder.
func guestIn(name string, availability v1alpha1.Availability) Guest {
	guest := Guest{ID: name, Tenant: "team", Kind: "Standard", Version: version, Availability: availability, Region: "r"}
	ladder := defaultLadder()
	return guest.sized(ladder[slices.IndexFunc(ladder, func(r Rung) bool { return r.Name == name })].Size)
}

// fleetWith places guests of the given makings in turn.
func fleetWith(cells []*placement.Cell, n int, makings ...Guest) Fleet {
	var guests []Guest
	for i := range n {
		guest := makings[i%len(makings)]
		guest.ID, guest.Tenant = fmt.Sprintf("g%05d", i), fmt.Sprintf("team-%d", i%7)
		placed, decision := place(guest, cells)
		if decision.Cell != "" {
			guests = append(guests, placed)
		}
	}
	return Fleet{Cells: cells, Guests: guests, Ladder: defaultLadder()}
}

// bruteForce lets guests of one making arrive day by day, one at a time, and returns the day on which the first is
// refused: written anew, without the planner.
func bruteForce(cells []*placement.Cell, one Guest, today, timesPerYear float64, days int) int {
	have := int(today)
	for day := 1; day <= days; day++ {
		for wanted := int(today*math.Pow(timesPerYear, float64(day)/365.2425) + 1e-9); have < wanted; have++ {
			decision := placement.Place(placement.Request{
				Region: "r", Tenant: fmt.Sprintf("new-%d", have), Kind: one.Kind, Version: version, Demand: one.Demand,
			}, cells)
			if decision.Cell == "" {
				return day
			}
			i := slices.IndexFunc(cells, func(c *placement.Cell) bool { return c.Name == decision.Cell })
			cells[i].Take(placement.Guest{Tenant: fmt.Sprintf("new-%d", have), Zones: decision.Zones, Demand: one.Demand})
		}
	}
	return -1
}

// TestForecastIsBruteForce: without drift the date is exactly that of arrivals placed day by day.
func TestForecastIsBruteForce(t *testing.T) {
	cases := map[string]struct {
		cells, guests int
		making        Guest
		growth        string
		times         float64
	}{
		"Nano":     {cells: 3, guests: 150, making: guestIn("nano", v1alpha1.Zonal), growth: "2x/year", times: 2},
		"Single":   {cells: 2, guests: 200, making: guestIn("mini", v1alpha1.Single), growth: "1.5x/year", times: 1.5},
		"Medium":   {cells: 4, guests: 20, making: guestIn("medium", v1alpha1.Zonal), growth: "3x/year", times: 3},
		"NotInAge": {cells: 4, guests: 20, making: guestIn("nano", v1alpha1.Zonal), growth: "1.01x/year", times: 1.01},
		"Full":     {cells: 1, guests: 5000, making: guestIn("nano", v1alpha1.Zonal), growth: "1000x/year", times: 1000},
	}
	for name, tc := range cases {
		fleet := fleetWith(someCells(tc.cells, 24, 120), tc.guests, tc.making)
		growth, err := ParseGrowth(tc.growth)
		if err != nil {
			t.Fatal(err)
		}
		want := bruteForce(cloneCells(fleet.Cells), tc.making, float64(len(fleet.Guests)), tc.times, 1000)
		got := forecast("r", fleet, fleet.Guests, growth, Options{Now: today, Days: 1000, Runs: 3, Seed: 1})
		if got.P50.Day != want || got.P95.Day != want {
			t.Errorf("%s: P50 on day %d and P95 on day %d, brute force says %d", name, got.P50.Day, got.P95.Day, want)
		}
		if want > 0 && got.P50.Date != today.AddDate(0, 0, want).Format("2006-01-02") {
			t.Errorf("%s: day %d is %s", name, want, got.P50.Date)
		}
	}
}

// bruteDrift is a future with drift: each guest rolls its own dice each day. Written anew, with other dice.
func bruteDrift(fleet Fleet, perDayUp, perDayDown, timesPerYear float64, seed uint64) int {
	random := rand.New(rand.NewPCG(seed, 99))
	cells, guests := cloneCells(fleet.Cells), slices.Clone(fleet.Guests)
	n := len(guests)
	rungs := map[string]int{}
	for i, rung := range fleet.Ladder {
		rungs[rung.Name] = i
	}
	for day := 1; day < 2000; day++ {
		for i := range guests {
			step := 0
			if dice := random.Float64(); dice < perDayUp {
				step = 1
			} else if dice > 1-perDayDown {
				step = -1
			}
			if next := rungs[guests[i].Gear] + step; step != 0 && next >= 0 && next < len(fleet.Ladder) {
				larger := guests[i]
				larger.Gear, larger.Demand = fleet.Ladder[next].Name, placement.DemandOf(larger.Availability, fleet.Ladder[next].Size)
				home := find(cells, larger.Cell)
				if placement.Grow(home, guests[i].placed(), larger.Demand) != "" {
					home.Release(guests[i].placed())
					decision := placement.Place(larger.request(), cells)
					if decision.Cell == "" {
						return day
					}
					larger.Cell, larger.Zones = decision.Cell, decision.Zones
					find(cells, larger.Cell).Take(larger.placed())
				}
				guests[i] = larger
			}
		}
		for wanted := int(float64(n) * math.Pow(timesPerYear, float64(day)/365.2425)); len(guests) < wanted; {
			like := fleet.Guests[random.IntN(n)]
			like.Tenant = fmt.Sprintf("new-%d", len(guests))
			decision := placement.Place(like.request(), cells)
			if decision.Cell == "" {
				return day
			}
			like.Cell, like.Zones = decision.Cell, decision.Zones
			find(cells, like.Cell).Take(like.placed())
			guests = append(guests, like)
		}
	}
	return -1
}

// TestForecastWithDriftIsBruteForce: P50 and P95 are those of a simulation with other dice.
func TestForecastWithDriftIsBruteForce(t *testing.T) {
	fleet := fleetWith(someCells(2, 24, 120), 120, guestIn("nano", v1alpha1.Zonal), guestIn("micro", v1alpha1.Zonal), guestIn("nano", v1alpha1.Single))
	growth, err := ParseGrowth("1.4x/year")
	if err != nil {
		t.Fatal(err)
	}
	drift := Drift{UpPerMonth: 0.08, DownPerMonth: 0.02}
	got := forecast("r", fleet, fleet.Guests, growth, Options{Now: today, Days: 1500, Runs: 60, Seed: 1, Drift: drift})
	var days []int
	for seed := range uint64(60) {
		days = append(days, bruteDrift(fleet, perDay(drift.UpPerMonth), perDay(drift.DownPerMonth), 1.4, seed))
	}
	slices.Sort(days)
	p50, p95 := days[len(days)/2], days[len(days)/20]
	if math.Abs(float64(got.P50.Day-p50)) > 0.06*float64(p50) || math.Abs(float64(got.P95.Day-p95)) > 0.09*float64(p95) {
		t.Errorf("P50 %d, P95 %d; brute force says %d and %d", got.P50.Day, got.P95.Day, p50, p95)
	}
	if without := forecast("r", fleet, fleet.Guests, growth, Options{Now: today, Days: 1500, Runs: 1, Seed: 1}); without.P50.Day <= got.P50.Day {
		t.Errorf("without drift upwards the room must last longer: day %d, with it day %d", without.P50.Day, got.P50.Day)
	}
	if got.P95.Day > got.P50.Day {
		t.Errorf("P95 (day %d) must be the careful date, P50 is day %d", got.P95.Day, got.P50.Day)
	}
	for _, point := range got.Points {
		if point.FillP50 > point.FillP95 {
			t.Errorf("day %d: P50 %.1f %% above P95 %.1f %%", point.Day, point.FillP50, point.FillP95)
		}
	}
}

// alike is a guest that takes as much in each of its zones, so that what fits can be computed.
func alike(g Guest) Guest {
	for i := range g.Demand {
		g.Demand[i] = g.Demand[0]
	}
	return g
}

// TestRoomIsClosedForm: in a fleet of one making, what fits can be computed.
func TestRoomIsClosedForm(t *testing.T) {
	for _, name := range []string{"nano", "micro", "small", "large"} {
		one := alike(guestIn(name, v1alpha1.Zonal))
		cells := someCells(3, 24, 120)
		perCell := min(24_000*60/100/one.Demand[0].MilliCPU, int64(120<<30)*60/100/one.Demand[0].Memory)
		// After a loss each of two zones carries half of the third's API servers.
		afterLoss := 24_000 * 90 / 100 / (one.Demand[0].MilliCPU + (one.Demand[0].APIServerMilliCPU+1)/2)
		want := 3 * int(min(perCell, afterLoss))
		if room := roomIn(cells, newMixer(1, 0, "r", []Guest{one})); room.Guests != want || room.Binds == "" {
			t.Errorf("%s: %d fit, computed %d; binds %q", name, room.Guests, want, room.Binds)
		}
	}
}

func TestRoomSaysWhatBinds(t *testing.T) {
	full := someCells(1, 24, 120, func(c *v1alpha1.Cell) { c.Spec.MaxGuests = 3 })
	cordoned := someCells(1, 24, 120, func(c *v1alpha1.Cell) { c.Spec.Cordoned = true })
	afterLoss := someCells(1, 100, 4000, reserve(10))
	nano := []Guest{guestIn("nano", v1alpha1.Zonal)}
	cases := map[string]struct {
		reason string
		cells  []*placement.Cell
		mix    []Guest
		guests int
		binds  string
	}{
		"MaxGuests": {reason: "the number of guests binds", cells: full, mix: nano, guests: 3, binds: "Full: holds 3 guests, spec.maxGuests is 3"},
		"Cordoned":  {reason: "a cordoned cell has no room", cells: cordoned, mix: nano, binds: "Cordoned: an operator cordoned it (spec.cordoned)"},
		"NoMix":     {reason: "nothing can be said without guests", cells: someCells(1, 24, 120), binds: "there is no guest to take a mix from"},
		"AfterLoss": {reason: "with a small reserve the loss of a zone binds", cells: afterLoss, mix: nano, guests: 789, binds: "CPU of zone a: 90 % of 90 % after the loss of zone b"},
	}
	for name, tc := range cases {
		room := roomIn(tc.cells, newMixer(1, 0, "r", tc.mix))
		if room.Guests != tc.guests || !strings.HasPrefix(room.Binds, tc.binds) {
			t.Errorf("%s (%s): %d guests, binds %q", name, tc.reason, room.Guests, room.Binds)
		}
	}
}

func TestNextCellInWords(t *testing.T) {
	fleet := fleetWith(someCells(1, 24, 120), 100, guestIn("nano", v1alpha1.Zonal))
	options := Options{Now: today, Days: 365, Runs: 5, Seed: 1}
	cases := map[string]struct {
		reason, growth, next string
	}{
		"Shrinks": {reason: "a fleet that shrinks never needs a cell", growth: "-5%/month", next: "never: the fleet shrinks"},
		"Stands":  {reason: "one that stands still is looked at for as long as asked", growth: "0%/year", next: "not within 365 days"},
		"Grows":   {reason: "one that grows has a date", growth: "2x/year", next: "2027-05-21 (in 174 days)"},
		"Seen":    {reason: "without timestamps no growth is seen", next: "not known: 0 guests are too few to see a growth in: 20 are needed; give one with --growth, for example --growth 2x/year"},
	}
	for name, tc := range cases {
		var given *Growth
		if tc.growth != "" {
			growth, err := ParseGrowth(tc.growth)
			if err != nil {
				t.Fatal(err)
			}
			given = &growth
		}
		got := CapacityOf(fleet, "", given, options).Regions[0]
		if got.Next != tc.next {
			t.Errorf("%s (%s): %q", name, tc.reason, got.Next)
		}
	}
}

// state of a fleet as it can be compared.
type state struct {
	Guests []Guest
	Levels [][]Level
	Counts []int
	Used   []map[string]placement.TenantUse
}

func stateOf(fleet Fleet) state {
	s := state{Guests: slices.Clone(fleet.Guests)}
	for _, cell := range fleet.Cells {
		s.Levels, s.Counts = append(s.Levels, levelsOf(cell)), append(s.Counts, cell.Guests)
		s.Used = append(s.Used, maps.Clone(cell.Region.Used))
	}
	return s
}

// TestCapacityInvariants: whatever the fleet, planning touches nothing, is the same for the same seed, and room that it
// counts is room that is there.
func TestCapacityInvariants(t *testing.T) {
	gears := []string{"nano", "micro", "mini", "small", "medium"}
	rapid.Check(t, func(t *rapid.T) {
		var makings []Guest
		for range rapid.IntRange(1, 4).Draw(t, "makings") {
			makings = append(makings, guestIn(rapid.SampledFrom(gears).Draw(t, "gear"), rapid.SampledFrom([]v1alpha1.Availability{v1alpha1.Single, v1alpha1.Zonal}).Draw(t, "availability")))
		}
		cells := someCells(rapid.IntRange(1, 3).Draw(t, "cells"), 8, 40, func(c *v1alpha1.Cell) {
			reserve(rapid.Int32Range(0, 90).Draw(t, "reserve"))(c)
		})
		fleet := fleetWith(cells, rapid.IntRange(0, 40).Draw(t, "guests"), makings...)
		before := stateOf(fleet)
		options := Options{Now: today, Days: 100, Runs: 2, Seed: rapid.Uint64().Draw(t, "seed"), Drift: DefaultDrift()}
		growth := Growth{PerDay: rapid.Float64Range(-1, 3).Draw(t, "growth")}
		got, again := CapacityOf(fleet, "", &growth, options), CapacityOf(fleet, "", &growth, options)
		if diff := cmp.Diff(got, again); diff != "" {
			t.Fatalf("the same seed must give the same answer: %s", diff)
		}
		if diff := cmp.Diff(before, stateOf(fleet)); diff != "" {
			t.Fatalf("planning changed the fleet: %s", diff)
		}
		mix := fleet.Guests
		filled := cloneCells(fleet.Cells)
		roomIn(filled, newMixer(options.Seed, 0, "r", mix))
		for _, cell := range filled {
			for _, level := range levelsOf(cell) {
				if level.Percent > level.LimitPercent || level.AfterLossPercent > level.AfterLossLimitPercent {
					t.Fatalf("cell %s is over its reserve: %+v", cell.Name, level)
				}
			}
		}
	})
}
