package load

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// checkTimeout is what the history of one key may take to check; it takes milliseconds.
const checkTimeout = 20 * time.Second

// Report is what a load saw.
type Report struct {
	Seed uint64 `json:"seed"`
	// Seconds that requests were sent for. Rate is how many a second were, Asked how many should have been.
	Seconds float64 `json:"seconds"`
	Rate    float64 `json:"rate"`
	Asked   float64 `json:"asked"`
	// Requests and Failed count all verbs. Every transport error, every timeout and every status but
	// success, 404 and 409 is a failure; so is a watch that breaks.
	Requests int                `json:"requests"`
	Failed   int                `json:"failed"`
	Verbs    map[Verb]VerbStats `json:"verbs"`
	// Failures in the order of their start.
	Failures []Failure `json:"failures,omitempty"`
	// Marks in the order they were made.
	Marks []MarkReport `json:"marks,omitempty"`
	// LongestWriteGapSeconds is the longest time between two successful writes.
	LongestWriteGapSeconds float64 `json:"longestWriteGapSeconds"`
	// Histories is the verdict of the linearizability checker.
	Histories Verdict `json:"histories"`
	// BrokenWatches lists events that a watch missed, or delivered twice or out of order.
	BrokenWatches []string `json:"brokenWatches,omitempty"`
	// CleanupError says why the load's ConfigMaps may be left over.
	CleanupError string `json:"cleanupError,omitempty"`
}

// VerbStats of the requests of one verb. Latencies are those of requests that succeeded.
type VerbStats struct {
	Requests        int     `json:"requests"`
	Failed          int     `json:"failed"`
	P50Milliseconds float64 `json:"p50Milliseconds"`
	P99Milliseconds float64 `json:"p99Milliseconds"`
}

// Failure of one request.
type Failure struct {
	// AtSeconds after the start of the run the request was sent; it failed after TookSeconds.
	AtSeconds   float64 `json:"atSeconds"`
	TookSeconds float64 `json:"tookSeconds"`
	Verb        Verb    `json:"verb"`
	Key         string  `json:"key,omitempty"`
	Error       string  `json:"error"`
}

// MarkReport tells what happened from a mark to the next, or to the end of the run. Every failed
// request belongs to one mark: the last one before it failed. What was under way when the next mark
// was made and failed after it was cut by the next fault, not left broken by the one before.
type MarkReport struct {
	Name      string  `json:"name"`
	AtSeconds float64 `json:"atSeconds"`
	// Failed requests that were sent after the mark, or were under way when it was made.
	Failed int `json:"failed"`
	// WritesBackSeconds: every write that started later than this after the mark succeeded, or was
	// under way at the next mark.
	WritesBackSeconds float64 `json:"writesBackSeconds"`
}

// Consistent is nil when no acknowledged write was lost, no read was stale and no watch missed an
// event. Failed requests do not matter to it.
func (r Report) Consistent() error {
	err := r.Histories.Err()
	if len(r.BrokenWatches) > 0 {
		err = errors.Join(err, fmt.Errorf("%d broken promises of watches, such as: %s", len(r.BrokenWatches), r.BrokenWatches[0]))
	}
	return err
}

// Flawless is nil when the run was consistent and no request failed.
func (r Report) Flawless() error {
	err := r.Consistent()
	if r.Failed > 0 {
		first := r.Failures[0]
		err = errors.Join(err, fmt.Errorf("%d of %d requests failed, first a %s at %.1fs: %s", r.Failed, r.Requests, first.Verb, first.AtSeconds, first.Error))
	}
	return err
}

func (r *Run) report(ended time.Duration, cleanup error) Report {
	j := r.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	slices.SortStableFunc(j.requests, func(a, b record) int { return int(a.call - b.call) })
	streams := make([][]Segment, len(r.watches))
	for i, w := range r.watches {
		streams[i] = w.segments
	}
	report := Report{
		Seed:                   r.options.Seed,
		Seconds:                ended.Seconds(),
		Requests:               len(j.requests),
		Rate:                   float64(len(j.requests)) / ended.Seconds(),
		Asked:                  r.options.Rate,
		Verbs:                  verbStats(j.requests),
		Failures:               failures(j.requests),
		Marks:                  markReports(j.marks, j.requests),
		LongestWriteGapSeconds: longestWriteGap(j.requests, ended).Seconds(),
		Histories:              CheckHistories(j.operations, checkTimeout),
		BrokenWatches:          CheckWatches(j.operations, streams),
	}
	report.Failed = len(report.Failures)
	if cleanup != nil {
		report.CleanupError = cleanup.Error()
	}
	return report
}

func verbStats(requests []record) map[Verb]VerbStats {
	took := map[Verb][]time.Duration{}
	stats := map[Verb]VerbStats{}
	for _, q := range requests {
		s := stats[q.verb]
		s.Requests++
		if q.err != nil {
			s.Failed++
		} else {
			took[q.verb] = append(took[q.verb], q.end-q.call)
		}
		stats[q.verb] = s
	}
	for verb, times := range took {
		slices.Sort(times)
		s := stats[verb]
		s.P50Milliseconds = milliseconds(times[len(times)/2])
		s.P99Milliseconds = milliseconds(times[len(times)*99/100])
		stats[verb] = s
	}
	return stats
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func failures(requests []record) []Failure {
	var list []Failure
	for _, q := range requests {
		if q.err != nil {
			list = append(list, Failure{
				AtSeconds: q.call.Seconds(), TookSeconds: (q.end - q.call).Seconds(), Verb: q.verb, Key: q.key, Error: q.err.Error(),
			})
		}
	}
	return list
}

func markReports(marks []moment, requests []record) []MarkReport {
	reports := make([]MarkReport, len(marks))
	for i, mark := range marks {
		reports[i] = MarkReport{Name: mark.name, AtSeconds: mark.at.Seconds()}
	}
	for _, q := range requests {
		if q.err == nil {
			continue
		}
		last := lastMark(marks, q.end)
		if last < 0 {
			continue
		}
		reports[last].Failed++
		if q.verb.Write() {
			reports[last].WritesBackSeconds = max(reports[last].WritesBackSeconds, (q.call - marks[last].at).Seconds())
		}
	}
	return reports
}

// lastMark that was made by then, or -1 for none.
func lastMark(marks []moment, by time.Duration) int {
	last := -1
	for i, mark := range marks {
		if mark.at <= by {
			last = i
		}
	}
	return last
}

// longestWriteGap is the longest time without the end of a successful write, the start and the end
// of the run counted in.
func longestWriteGap(requests []record, ended time.Duration) time.Duration {
	ends := []time.Duration{0, ended}
	for _, q := range requests {
		if q.err == nil && q.verb.Write() {
			ends = append(ends, q.end)
		}
	}
	slices.Sort(ends)
	var gap time.Duration
	for i := 1; i < len(ends); i++ {
		gap = max(gap, ends[i]-ends[i-1])
	}
	return gap
}
