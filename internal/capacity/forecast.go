package capacity

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"time"

	"gonum.org/v1/gonum/stat"

	"github.com/myriad-fleet/myriad/internal/placement"
)

// Options of a forecast.
type Options struct {
	// Now is the day that it starts from.
	Now time.Time
	// Days to look ahead.
	Days int
	// Runs of the Monte Carlo.
	Runs int
	// Seed of what is random: the same seed gives the same answer.
	Seed uint64
	// Drift of guests on the ladder.
	Drift Drift
}

// Defaults of a forecast: a year ahead, and enough runs for a 95th percentile that five of them lie beyond.
const (
	DefaultDays = 365
	DefaultRuns = 100
	MostDays    = 3660
	MostRuns    = 10_000
)

// Problem says what is wrong with options and what to write instead; empty: nothing.
func (o Options) Problem() string {
	switch {
	case o.Days < 1 || o.Days > MostDays:
		return fmt.Sprintf("%d days cannot be looked ahead: write 1 to %d", o.Days, MostDays)
	case o.Runs < 1 || o.Runs > MostRuns:
		return fmt.Sprintf("%d runs give no forecast: write 1 to %d, for example %d", o.Runs, MostRuns, DefaultRuns)
	}
	return o.Drift.Problem()
}

// Forecast of a region.
type Forecast struct {
	// Runs of the Monte Carlo, and Days that each looks ahead.
	Runs int `json:"runs"`
	Days int `json:"days"`
	// P50 is the day by which half of the runs need the next cell, P95 the day until which the room lasts in 95 of
	// 100 runs: whoever orders a cell for P95 is late in one of twenty futures.
	P50 NextCell `json:"p50"`
	P95 NextCell `json:"p95"`
	// Binds is what was full in most of the runs.
	Binds string `json:"binds,omitempty"`
	// Points of the way, a week apart.
	Points []Point `json:"points"`
}

// NextCell is when a region needs its next cell: the first day on which a new or growing guest finds no place in
// any of its cells.
type NextCell struct {
	// Day from now; -1: not within the days that were looked at.
	Day int `json:"day"`
	// Date of that day, as 2026-12-31; empty: not within the days that were looked at.
	Date string `json:"date,omitempty"`
}

// Point is one day of a forecast.
type Point struct {
	// Day from now.
	Day int `json:"day"`
	// Guests by then.
	Guests int `json:"guests"`
	// FillP50 and FillP95 are the share of what may be used that is used, or asked for, in percent; 100 is full.
	FillP50 float64 `json:"fillP50"`
	FillP95 float64 `json:"fillP95"`
}

// pointsEvery so many days.
const pointsEvery = 7

// never is the day of a run that needs no cell.
var never = math.Inf(1)

// future is one run.
type future struct {
	cells  []*placement.Cell
	guests []Guest
	ladder []Rung
	source *mixer
	random *rand.Rand
	drift  Drift
	// waiting is what guests ask for that found no place.
	waiting demand
	// day of the first refusal, and what bound then.
	day   float64
	binds string
	fills []float64
}

// forecast of a region, whose part of the fleet is not touched. Guests of mix come as growth says.
func forecast(region string, part Fleet, mix []Guest, growth Growth, options Options) *Forecast {
	futures := make([]*future, options.Runs)
	work := make(chan int)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := range work {
				futures[i] = newFuture(region, part, mix, options, uint64(i))
				futures[i].live(growth, options.Days)
			}
		})
	}
	for i := range futures {
		work <- i
	}
	close(work)
	workers.Wait()
	return summary(futures, len(part.Guests), growth, options)
}

func newFuture(region string, part Fleet, mix []Guest, options Options, run uint64) *future {
	clone := part.Clone()
	return &future{
		cells: clone.Cells, guests: clone.Guests, ladder: part.Ladder, drift: options.Drift, day: never,
		// Streams of a seed: odd ones choose guests, even ones shifts.
		source: newMixer(options.Seed, 2*run+1, region, mix), random: rand.New(rand.NewPCG(options.Seed, 2*run+2)),
	}
}

// live through so many days: guests shift, then new ones come.
func (f *future) live(growth Growth, days int) {
	today := float64(len(f.guests))
	f.fills = append(f.fills, fillOf(f.cells, f.waiting))
	for day := 1; day <= days; day++ {
		for _, shift := range f.drift.draw(f.random, len(f.guests)) {
			if to, ok := shifted(f.guests[shift.guest], f.ladder, shift.rung); ok {
				f.grow(day, shift.guest, to)
			}
		}
		count := arrivals(growth, today, day)
		if f.day != never && count >= len(f.source.mix) { // whole rounds of the mix at once
			f.waiting.addAll(f.source.mix, int64(count/len(f.source.mix)))
			count %= len(f.source.mix)
		}
		for range count {
			f.arrive(day, f.source.next())
		}
		if day%pointsEvery == 0 {
			f.fills = append(f.fills, fillOf(f.cells, f.waiting))
		}
	}
}

// arrivals of a day: the whole guests by which the growth's curve rises.
func arrivals(growth Growth, today float64, day int) int {
	whole := func(day int) int { return int(math.Floor(growth.Guests(today, float64(day)) + 1e-9)) }
	return whole(day) - whole(day-1)
}

// arrive places a guest while there is room. Once one was refused the rest only wait: the question is answered,
// and how much more is asked for still counts.
func (f *future) arrive(day int, guest Guest) {
	if f.day == never {
		placed, decision := place(guest, f.cells)
		if decision.Cell != "" {
			f.guests = append(f.guests, placed)
			return
		}
		f.refuse(day, guest, decision)
	}
	f.waiting.add(guest)
}

// grow a guest where it lives, or else where a rebalanced fleet would have it. Once one was refused guests grow
// where they are, so that what is asked for still counts.
func (f *future) grow(day, i int, to Guest) {
	guest := f.guests[i]
	home := find(f.cells, guest.Cell)
	if f.day != never {
		home.Release(guest.placed())
		home.Take(to.placed())
		f.guests[i] = to
		return
	}
	if placement.Grow(home, guest.placed(), to.Demand) == "" {
		f.guests[i] = to
		return
	}
	home.Release(guest.placed())
	moved, decision := place(to, f.cells)
	if decision.Cell == "" {
		home.Take(guest.placed())
		f.refuse(day, to, decision)
		return
	}
	f.guests[i] = moved
}

func (f *future) refuse(day int, guest Guest, decision placement.Decision) {
	f.day = float64(day)
	f.binds = bindsIn(f.cells, refusalOf(guest, decision))
	if refusal := refusalOf(guest, decision); refusal.Reason == placement.ReasonReserve {
		f.binds = bindingThing(f.cells)
	}
}

// bindingThing names what is fullest without saying where: the futures of a region differ in that.
func bindingThing(cells []*placement.Cell) string {
	var levels []Level
	for _, cell := range cells {
		levels = append(levels, levelsOf(cell)...)
	}
	fullest, found := Fullest(levels)
	if !found {
		return ""
	}
	if fullest.after() > fullest.before() {
		return fullest.Thing + " after the loss of a zone"
	}
	return fullest.Thing + " before a loss"
}

func summary(futures []*future, today int, growth Growth, options Options) *Forecast {
	result := &Forecast{Runs: options.Runs, Days: options.Days}
	days := make([]float64, 0, len(futures))
	reasons := map[string]int{}
	for _, f := range futures {
		days = append(days, f.day)
		if f.binds != "" {
			reasons[f.binds]++
		}
	}
	slices.Sort(days)
	result.P50 = nextCell(stat.Quantile(0.5, stat.Empirical, days, nil), options.Now)
	result.P95 = nextCell(stat.Quantile(0.05, stat.Empirical, days, nil), options.Now)
	for reason, count := range reasons {
		if count > reasons[result.Binds] || count == reasons[result.Binds] && reason < result.Binds {
			result.Binds = reason
		}
	}
	for i := range futures[0].fills {
		fills := make([]float64, 0, len(futures))
		for _, f := range futures {
			fills = append(fills, f.fills[i])
		}
		slices.Sort(fills)
		result.Points = append(result.Points, Point{
			Day: i * pointsEvery, Guests: int(growth.Guests(float64(today), float64(i*pointsEvery)) + 1e-9),
			FillP50: stat.Quantile(0.5, stat.Empirical, fills, nil), FillP95: stat.Quantile(0.95, stat.Empirical, fills, nil),
		})
	}
	return result
}

func nextCell(day float64, now time.Time) NextCell {
	if day == never {
		return NextCell{Day: -1}
	}
	return NextCell{Day: int(day), Date: now.AddDate(0, 0, int(day)).Format(time.DateOnly)}
}
