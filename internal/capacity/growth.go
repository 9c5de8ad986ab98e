package capacity

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gonum.org/v1/gonum/stat"
)

// Growth is how the number of guests changes: n(t) = n(0)·e^(PerDayLog·t) + PerDay·t, t in days.
type Growth struct {
	// PerDayLog is the natural logarithm of the factor per day; 0: nothing is multiplied.
	PerDayLog float64
	// PerDay is the number of guests that are added each day.
	PerDay float64
}

// Lengths of periods in days. A year is the Gregorian calendar's mean, a month a twelfth of it.
const (
	daysPerYear  = 365.2425
	daysPerMonth = daysPerYear / 12
)

var periods = map[string]float64{"day": 1, "week": 7, "month": daysPerMonth, "year": daysPerYear}

// Bounds of a growth that is believed. What is more is a slip of the pen, and would take for ever to place.
const (
	mostTimesPerYear = 1000.0
	mostPerDay       = 10_000.0
	// mostCounted guests of a forecast: what is asked for by more is no number that a person needs.
	mostCounted = 1e7
)

var growthForm = regexp.MustCompile(`^([+-]?\d+(?:\.\d+)?)(x|%|)(?:/(day|week|month|year))?$`)

// ParseGrowth reads a growth such as 2x/year (twice as many after a year), +10%/month or +50/week (fifty guests
// more each week). The error says what to write instead.
func ParseGrowth(text string) (Growth, error) {
	const forms = "write for example 2x/year (twice as many after a year), +10%/month or +50/week"
	match := growthForm.FindStringSubmatch(strings.ReplaceAll(strings.ReplaceAll(text, " ", ""), "−", "-"))
	if match == nil {
		return Growth{}, fmt.Errorf("growth %q is not understood: %s", text, forms)
	}
	amount, err := strconv.ParseFloat(match[1], 64)
	if err != nil {
		return Growth{}, fmt.Errorf("growth %q: %s is no number that can be counted with: %s", text, match[1], forms)
	}
	period, known := periods[match[3]]
	if !known {
		return Growth{}, fmt.Errorf("growth %q names no period: add /day, /week, /month or /year, as in %s/month", text, match[1]+match[2])
	}
	factor := amount
	switch match[2] {
	case "":
		if math.Abs(amount)/period > mostPerDay {
			return Growth{}, fmt.Errorf("growth %q is more than %.0f guests a day: write at most that", text, mostPerDay)
		}
		return Growth{PerDay: amount / period}, nil
	case "%":
		factor = 1 + amount/100
	}
	return multiplied(text, factor, match[3], period)
}

func multiplied(text string, factor float64, name string, period float64) (Growth, error) {
	if factor <= 0 {
		return Growth{}, fmt.Errorf("growth %q leaves no guest after one %s: a fleet shrinks by less than 100 %%; write for example -5%%/%s, or 0.5x/%s for half as many",
			text, name, name, name)
	}
	growth := Growth{PerDayLog: math.Log(factor) / period}
	if times := growth.TimesPerYear(); times > mostTimesPerYear {
		return Growth{}, fmt.Errorf("growth %q is %.3g times as many in a year: write at most %.0fx/year", text, times, mostTimesPerYear)
	}
	return growth, nil
}

// Guests after so many days, of so many today; ten million at most.
func (g Growth) Guests(today, days float64) float64 {
	return min(max(0, today*math.Exp(g.PerDayLog*days)+g.PerDay*days), mostCounted)
}

// Shrinks tells whether guests become fewer, so that no cell is ever needed.
func (g Growth) Shrinks() bool { return g.PerDayLog < 0 || g.PerDay < 0 }

// TimesPerYear is the factor of a year of multiplying growth.
func (g Growth) TimesPerYear() float64 { return math.Exp(g.PerDayLog * daysPerYear) }

// String writes a growth for people, for example "2.0x/year" or "+50.0/week".
func (g Growth) String() string {
	if g.PerDay != 0 {
		return fmt.Sprintf("%+.1f/week", 7*g.PerDay)
	}
	return fmt.Sprintf("%.2fx/year", g.TimesPerYear())
}

// What a growth that is seen needs at least. Both are our own choice: fewer guests or days tell of chance only.
const (
	leastGuestsToFit = 20
	leastDaysToFit   = 14
	// daysToFit at most: what was longer ago says little of tomorrow.
	daysToFit = 180
)

// GrowthSeen fits a log-linear growth to when guests were created, up to now, and says of what. Guests that were
// deleted again are not seen, so that the past looks smaller than it was and the growth larger. The error
// says that there is too little to go by.
func GrowthSeen(created []time.Time, now time.Time) (growth Growth, basis string, err error) {
	days := make([]float64, 0, len(created)) // before now
	for _, at := range created {
		if !at.IsZero() && !at.After(now) {
			days = append(days, now.Sub(at).Hours()/24)
		}
	}
	if len(days) < leastGuestsToFit {
		return Growth{}, "", fmt.Errorf("%d guests are too few to see a growth in: %d are needed; give one with --growth, for example --growth 2x/year", len(days), leastGuestsToFit)
	}
	slices.Sort(days)
	span := min(math.Floor(days[len(days)-1]), daysToFit)
	if span < leastDaysToFit {
		return Growth{}, "", fmt.Errorf("the oldest guest is %.0f days old: a growth is seen after %d days; give one with --growth, for example --growth 2x/year", span, leastDaysToFit)
	}
	growth.PerDayLog = slope(days, int(span))
	return growth, fmt.Sprintf("%d guests that were created, over the last %.0f days", len(days), span), nil
}

// slope of the logarithm of the number of guests that existed at the end of each of the last days. A count's own
// chance is the smaller the more there are, so each day weighs as much as it has guests.
func slope(sorted []float64, span int) float64 {
	var x, y, weights []float64
	for day := range span + 1 {
		// Older than day: they existed by then.
		younger, _ := slices.BinarySearch(sorted, float64(day))
		if count := float64(len(sorted) - younger); count > 0 {
			x, y, weights = append(x, -float64(day)), append(y, math.Log(count)), append(weights, count)
		}
	}
	_, beta := stat.LinearRegression(x, y, weights, false)
	return beta
}
