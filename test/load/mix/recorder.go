package mix

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/myriad-fleet/myriad/test/load/mix/plan"
)

// shown failures of a report: the first ones tell the most.
const shown = 20

// recorder counts what a run does.
type recorder struct {
	mu      sync.Mutex
	verbs   map[Verb]*tally
	report  Report    // its counters and lists
	started time.Time // the first phase
}

// tally of one verb.
type tally struct {
	VerbStats
	latencies histogram
}

func newRecorder() *recorder {
	return &recorder{
		verbs:  map[Verb]*tally{},
		report: Report{Made: map[plan.Kind]int{}, Deleted: map[plan.Kind]int{}},
	}
}

// request that was answered with a status, or failed.
func (r *recorder) request(q request, took time.Duration, status int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.verbs[q.verb]
	if t == nil {
		t = &tally{}
		r.verbs[q.verb] = t
	}
	t.Requests++
	r.report.Requests++
	if err == nil {
		t.latencies.add(took)
	}
	switch {
	case err != nil:
		r.fail(t, fmt.Sprintf("%s %s: %v", q.verb, q.path, err))
	case status == http.StatusTooManyRequests:
		t.Throttled++
		r.report.Throttled++
	case status == http.StatusConflict && slices.Contains(q.expected, status):
		t.Conflicts++
	case status/100 != 2 && !slices.Contains(q.expected, status):
		r.fail(t, fmt.Sprintf("%s %s: the API server answers %d", q.verb, q.path, status))
	default:
	}
}

// broken is a watch that did not end cleanly. It was counted when it was opened.
func (r *recorder) broken(q request, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.verbs[q.verb]; t != nil {
		r.fail(t, fmt.Sprintf("%s %s: %v", q.verb, q.path, err))
	}
}

func (r *recorder) fail(t *tally, message string) {
	t.Failed++
	r.report.Failed++
	if len(r.report.Failures) < shown {
		r.report.Failures = append(r.report.Failures, message)
	}
}

// object that was made or deleted.
func (r *recorder) object(kind plan.Kind, made bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if made {
		r.report.Made[kind]++
	} else {
		r.report.Deleted[kind]++
	}
}

func (r *recorder) skip() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Skipped++
}

func (r *recorder) events(count int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.WatchEvents += count
}

// phase begins; the one before ends. An empty name ends the last one.
func (r *recorder) phase(name string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.report.Phases) == 0 {
		r.started = now // of the first phase
	}
	at := now.Sub(r.started).Seconds()
	if n := len(r.report.Phases); n > 0 {
		last := &r.report.Phases[n-1]
		last.Seconds = at - last.AtSeconds
		last.Requests += r.report.Requests
		last.Failed += r.report.Failed
	}
	if name != "" {
		r.report.Phases = append(r.report.Phases, PhaseReport{Name: name, AtSeconds: at, Requests: -r.report.Requests, Failed: -r.report.Failed})
		return
	}
	r.report.Seconds = at
	r.report.Rate = float64(r.report.Requests) / max(at, plan.Tick.Seconds())
}

// result is the report so far.
func (r *recorder) result() Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	report := r.report
	report.Failures = slices.Clone(report.Failures)
	report.Phases = slices.Clone(report.Phases)
	report.Made, report.Deleted = maps.Clone(report.Made), maps.Clone(report.Deleted)
	report.Verbs = map[Verb]VerbStats{}
	for verb, t := range r.verbs {
		stats := t.VerbStats
		stats.P50, stats.P90 = milliseconds(t.latencies.quantile(0.5)), milliseconds(t.latencies.quantile(0.9))
		stats.P99, stats.Max = milliseconds(t.latencies.quantile(0.99)), milliseconds(t.latencies.most)
		report.Verbs[verb] = stats
	}
	return report
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
