package roundtrip

import (
	"slices"
	"time"
)

const (
	// Keep is how long samples count.
	Keep = 10 * time.Minute
	// enough samples between two zones to speak of a 99th percentile at all; one guest gives 8 a minute.
	enough = 8
)

// Reading is the page of one member.
type Reading struct {
	// Guest that the member belongs to, by id.
	Guest string
	// Zone that the member runs in.
	Zone string
	// Page of its metrics.
	Page Page
}

// Window holds what members have counted in the last ten minutes. Only what came after the first
// page of a member counts: before its peers have started, a member observes round trips of no time.
type Window struct {
	zones  map[member]string
	series map[link][]state
}

type member struct{ guest, id string }

// link from one member to another.
type link struct{ from, to member }

// state of a link's histogram at a time, oldest first in the series.
type state struct {
	at        time.Time
	histogram Histogram
}

// Take adds a round of readings and drops what is older than Keep.
func (w *Window) Take(now time.Time, readings []Reading) {
	if w.zones == nil {
		w.zones, w.series = map[member]string{}, map[link][]state{}
	}
	for _, reading := range readings {
		from := member{reading.Guest, reading.Page.Member}
		w.zones[from] = reading.Zone
		for peer, histogram := range reading.Page.Peers {
			l := link{from: from, to: member{reading.Guest, peer}}
			w.series[l] = extend(w.series[l], state{at: now, histogram: histogram})
		}
	}
	w.prune(now)
}

// extend a series. A counter that started anew starts the series anew.
func extend(series []state, next state) []state {
	if n := len(series); n > 0 {
		if _, ok := next.histogram.Since(series[n-1].histogram); !ok {
			series = nil
		}
	}
	return append(series, next)
}

func (w *Window) prune(now time.Time) {
	known := map[member]bool{}
	for l, series := range w.series {
		series = slices.DeleteFunc(series, func(s state) bool { return now.Sub(s.at) > Keep })
		if len(series) == 0 {
			delete(w.series, l)
			continue
		}
		w.series[l] = series
		known[l.from], known[l.to] = true, true
	}
	for m := range w.zones {
		if !known[m] {
			delete(w.zones, m)
		}
	}
}

// Between returns the samples between two zones, in both directions.
func (w *Window) Between(a, b string) Histogram {
	var sum Histogram
	for l, series := range w.series {
		from, to := w.zones[l.from], w.zones[l.to]
		if from != a || to != b {
			if from != b || to != a {
				continue
			}
		}
		if since, ok := series[len(series)-1].histogram.Since(series[0].histogram); ok {
			sum = sum.Plus(since)
		}
	}
	if sum.Samples() < enough {
		return nil
	}
	return sum
}
