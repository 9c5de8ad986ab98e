package capacity

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// Drift is how guests move on the ladder of gears by themselves, each on its own: the probabilities that one is a
// rung higher, or lower, a month later.
type Drift struct {
	// UpPerMonth and DownPerMonth, 0 to 1.
	UpPerMonth   float64 `json:"upPerMonth"`
	DownPerMonth float64 `json:"downPerMonth"`
}

// DefaultDrift is what is assumed: three of a hundred guests go up a rung in a month and one comes down. That is our own choice, until
// a fleet has seen its own: clusters fill up over months, and few are emptied.
func DefaultDrift() Drift { return Drift{UpPerMonth: 0.03, DownPerMonth: 0.01} }

// Problem says what is wrong with a drift and what to write instead; empty: nothing.
func (d Drift) Problem() string {
	for _, one := range []struct {
		name  string
		value float64
	}{{"up", d.UpPerMonth}, {"down", d.DownPerMonth}} {
		if !(one.value >= 0 && one.value < 1) {
			return fmt.Sprintf("a drift %s of %g %% a month is no share of guests: write 0 to 99, for example 3", one.name, 100*one.value)
		}
	}
	return ""
}

// perDay is the daily probability that gives a monthly one.
func perDay(month float64) float64 { return 1 - math.Pow(1-month, 1/daysPerMonth) }

// shift of one guest by a rung.
type shift struct{ guest, rung int }

// draw the shifts of one day among so many guests. How many shift is binomial, which of them is anybody's guess.
func (d Drift) draw(random *rand.Rand, guests int) []shift {
	var shifts []shift
	for _, one := range []struct {
		probability float64
		rung        int
	}{{perDay(d.UpPerMonth), 1}, {perDay(d.DownPerMonth), -1}} {
		if one.probability <= 0 || guests == 0 {
			continue
		}
		for range int(distuv.Binomial{N: float64(guests), P: one.probability, Src: random}.Rand()) {
			shifts = append(shifts, shift{guest: random.IntN(guests), rung: one.rung})
		}
	}
	return shifts
}

// shifted is the guest a rung higher or lower; false: it has no such rung.
func shifted(guest Guest, ladder []Rung, rung int) (Guest, bool) {
	i := slices.IndexFunc(ladder, func(r Rung) bool { return r.Name == guest.Gear })
	if i < 0 || i+rung < 0 || i+rung >= len(ladder) {
		return guest, false
	}
	return guest.sized(ladder[i+rung].Size), true
}
