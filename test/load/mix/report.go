package mix

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/myriad-fleet/myriad/test/load/mix/plan"
)

// Verb of a request, as Kubernetes names it; list-all is a list without a limit.
type Verb string

// The verbs.
const (
	verbCreate  Verb = "create"
	verbDelete  Verb = "delete"
	verbGet     Verb = "get"
	verbList    Verb = "list"
	verbListAll Verb = "list-all"
	verbUpdate  Verb = "update"
	verbPatch   Verb = "patch"
	verbWatch   Verb = "watch"
	verbSweep   Verb = "deletecollection"
)

// Report is what a load did and how it was answered.
type Report struct {
	Mix  string `json:"mix"`
	Seed uint64 `json:"seed"`
	// Seconds from the first phase's begin to the last one's end; Rate is in requests per second of them.
	Seconds float64 `json:"seconds"`
	Rate    float64 `json:"rate"`
	// Requests, Throttled (429) and Failed of all verbs: every transport error, and every status that is no
	// success, that the request did not provoke, and that is not 429. Cleaning up is counted under its verbs.
	Requests  int                `json:"requests"`
	Throttled int                `json:"throttled"`
	Failed    int                `json:"failed"`
	Verbs     map[Verb]VerbStats `json:"verbs"`
	// Failures, the first 20.
	Failures []string `json:"failures,omitempty"`
	// Made and Deleted objects by kind, before cleaning up.
	Made    map[plan.Kind]int `json:"made,omitempty"`
	Deleted map[plan.Kind]int `json:"deleted,omitempty"`
	// WatchEvents that were delivered, by all watches.
	WatchEvents int `json:"watchEvents"`
	// Skipped actions of misbehaving controllers, because the one before was not answered yet.
	Skipped int `json:"skipped"`
	// Phases that were entered, in order.
	Phases []PhaseReport `json:"phases"`
	// LagSeconds is by how much the plan was late at its end: the guest, or the machine, was too slow.
	LagSeconds float64 `json:"lagSeconds"`
	// CPUSeconds of the process that the generator runs in, and Cores that these are on average.
	CPUSeconds float64 `json:"cpuSeconds"`
	Cores      float64 `json:"cores"`
	// Interrupted says why the run ended before its last phase did.
	Interrupted string `json:"interrupted,omitempty"`
	// CleanupError says what may be left over.
	CleanupError string `json:"cleanupError,omitempty"`
}

// VerbStats of the requests of one verb. Latencies are those of requests that were answered, in
// milliseconds, right within 5 %.
type VerbStats struct {
	Requests int `json:"requests"`
	// Conflicts are answers 409, as two controllers that fight for an object get them.
	Conflicts int     `json:"conflicts"`
	Throttled int     `json:"throttled"`
	Failed    int     `json:"failed"`
	P50       float64 `json:"p50Milliseconds"`
	P90       float64 `json:"p90Milliseconds"`
	P99       float64 `json:"p99Milliseconds"`
	Max       float64 `json:"maxMilliseconds"`
}

// PhaseReport of one phase.
type PhaseReport struct {
	Name string `json:"name"`
	// AtSeconds after the start it began.
	AtSeconds float64 `json:"atSeconds"`
	Seconds   float64 `json:"seconds"`
	Requests  int     `json:"requests"`
	Failed    int     `json:"failed"`
}

// Print writes the report as tables for people.
func (r Report) Print(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "mix %s, seed %d: %d requests in %.1f s (%.1f/s), %d throttled, %d failed\n\n",
		r.Mix, r.Seed, r.Requests, r.Seconds, r.Rate, r.Throttled, r.Failed)
	fmt.Fprintln(table, "verb\trequests\tconflicts\tthrottled\tfailed\tp50 ms\tp90 ms\tp99 ms\tmax ms\t")
	for _, verb := range slices.Sorted(maps.Keys(r.Verbs)) {
		s := r.Verbs[verb]
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%.1f\t%.1f\t%.1f\t%.1f\t\n",
			verb, s.Requests, s.Conflicts, s.Throttled, s.Failed, s.P50, s.P90, s.P99, s.Max)
	}
	fmt.Fprintln(table, "\nphase\tat s\tseconds\trequests\tfailed\t")
	for _, phase := range r.Phases {
		fmt.Fprintf(table, "%s\t%.1f\t%.1f\t%d\t%d\t\n", phase.Name, phase.AtSeconds, phase.Seconds, phase.Requests, phase.Failed)
	}
	fmt.Fprintln(table, "\nkind\tmade\tdeleted\t")
	for _, kind := range slices.Sorted(maps.Keys(r.Made)) {
		fmt.Fprintf(table, "%s\t%d\t%d\t\n", kind, r.Made[kind], r.Deleted[kind])
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	fmt.Fprintf(w, "\n%d watch events, %d actions skipped, %.1f s late, %.1f s of CPU (%.2f cores)\n",
		r.WatchEvents, r.Skipped, r.LagSeconds, r.CPUSeconds, r.Cores)
	for _, line := range append(r.Failures, r.Interrupted, r.CleanupError) {
		if line != "" {
			fmt.Fprintln(w, line)
		}
	}
	return nil
}
