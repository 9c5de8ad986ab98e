package capacity

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var today = time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)

func TestParseGrowth(t *testing.T) {
	cases := map[string]struct {
		reason string
		// after is what 1,000 guests are after a year.
		after  float64
		refuse string
	}{
		"2x/year":       {reason: "a factor", after: 2000},
		"0.5x/year":     {reason: "a factor below 1 shrinks", after: 500},
		"+10%/month":    {reason: "compounds", after: 1000 * math.Pow(1.1, 12)},
		"10 % / month":  {reason: "a plus and spaces may be left out or in", after: 1000 * math.Pow(1.1, 12)},
		"-5%/year":      {reason: "negative growth is no mistake", after: 950},
		"−5%/year":      {reason: "a typographer's minus is one, too", after: 950},
		"+50/week":      {reason: "guests are added", after: 1000 + 50*365.2425/7},
		"50/week":       {reason: "guests are added without a plus", after: 1000 + 50*365.2425/7},
		"-1000000/week": {reason: "as many go every day as no fleet has", refuse: "guests a day"},
		"0%/year":       {reason: "no growth is one", after: 1000},
		"-100%/month":   {reason: "nothing is left", refuse: `leaves no guest after one month: a fleet shrinks by less than 100 %; write for example -5%/month`},
		"-150%/year":    {reason: "less than nothing is left", refuse: "leaves no guest"},
		"0x/year":       {reason: "the same in another form", refuse: "leaves no guest"},
		"-2x/year":      {reason: "a factor is positive", refuse: "leaves no guest"},
		"2x":            {reason: "of what time", refuse: "names no period: add /day, /week, /month or /year, as in 2x/month"},
		"2x/decade":     {reason: "an unknown period", refuse: "is not understood: write for example 2x/year"},
		"fast":          {reason: "nonsense", refuse: `growth "fast" is not understood: write for example 2x/year (twice as many after a year), +10%/month or +50/week`},
		"":              {reason: "nothing", refuse: "is not understood"},
		"1e9x/year":     {reason: "no such form", refuse: "is not understood"},
		"2x/day":        {reason: "a slip of the pen", refuse: "write at most 1000x/year"},
		"99999999/week": {reason: "a slip of the pen", refuse: "is more than 10000 guests a day"},
		"9" + strings.Repeat("9", 400) + "x/year": {reason: "no float", refuse: "no number that can be counted with"},
	}
	for text, tc := range cases {
		growth, err := ParseGrowth(text)
		switch {
		case tc.refuse != "":
			if err == nil || !strings.Contains(err.Error(), tc.refuse) {
				t.Errorf("%q (%s): error %v, must contain %q", text, tc.reason, err, tc.refuse)
			}
		case err != nil:
			t.Errorf("%q (%s): %v", text, tc.reason, err)
		default:
			if got := growth.Guests(1000, 365.2425); math.Abs(got-tc.after) > 1e-6*tc.after {
				t.Errorf("%q (%s): %g guests after a year, want %g", text, tc.reason, got, tc.after)
			}
		}
	}
}

func TestParseGrowthNeverPanics(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[+-]?[0-9]{1,4}(\.[0-9])?(x|%)?/(day|week|month|year)`)).Draw(t, "text")
		growth, err := ParseGrowth(text)
		if guests := growth.Guests(100, 365); err == nil && (math.IsNaN(guests) || math.IsInf(guests, 0) || guests < 0) {
			t.Fatalf("%q: %g guests after a year", text, guests)
		}
	})
}

// createdBy are the days on which n guests came that became so many times as many in each year.
func createdBy(n int, timesPerYear float64) []time.Time {
	created := make([]time.Time, 0, n)
	for i := 1; i <= n; i++ {
		years := math.Log(float64(n)/float64(i)) / math.Log(timesPerYear)
		created = append(created, today.Add(-time.Duration(years*365.2425*24*float64(time.Hour))))
	}
	return created
}

// TestGrowthSeen: the growth that a fleet had is found again.
func TestGrowthSeen(t *testing.T) {
	for _, times := range []float64{1.1, 1.5, 2, 4, 12} {
		for _, guests := range []int{100, 1000, 10_000} {
			growth, basis, err := GrowthSeen(createdBy(guests, times), today)
			if err != nil {
				t.Fatalf("%d guests, %gx a year: %v", guests, times, err)
			}
			if got := growth.TimesPerYear(); math.Abs(got-times) > 0.03*times {
				t.Errorf("%d guests that became %gx as many a year: seen %gx (%s)", guests, times, got, basis)
			}
		}
	}
}

func TestGrowthSeenNeedsEnough(t *testing.T) {
	at := func(days, n int) (created []time.Time) {
		for range n {
			created = append(created, today.AddDate(0, 0, -days))
		}
		return created
	}
	cases := map[string]struct {
		reason  string
		created []time.Time
		refuse  string
	}{
		"None":        {reason: "nothing is known", refuse: "0 guests are too few to see a growth in: 20 are needed; give one with --growth"},
		"Few":         {reason: "chance only", created: at(100, 19), refuse: "19 guests are too few"},
		"Imported":    {reason: "a fleet that was imported yesterday tells nothing", created: at(1, 5000), refuse: "the oldest guest is 1 days old: a growth is seen after 14 days"},
		"Unknown":     {reason: "times that are not known do not count", created: make([]time.Time, 100), refuse: "0 guests are too few"},
		"Tomorrow":    {reason: "nor those of a clock that is ahead", created: at(-1, 100), refuse: "0 guests are too few"},
		"StandsStill": {reason: "all came long ago: no growth is one, too", created: at(300, 50)},
	}
	for name, tc := range cases {
		growth, _, err := GrowthSeen(tc.created, today)
		switch {
		case tc.refuse == "":
			if err != nil || math.Abs(growth.PerDayLog) > 1e-12 {
				t.Errorf("%s (%s): growth %v, error %v", name, tc.reason, growth, err)
			}
		case err == nil || !strings.Contains(err.Error(), tc.refuse):
			t.Errorf("%s (%s): error %v, must contain %q", name, tc.reason, err, tc.refuse)
		}
	}
}
