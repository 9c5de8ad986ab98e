package main

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/myriad-fleet/myriad/test/bench/figures"
	"github.com/myriad-fleet/myriad/test/scale/plots"
	"github.com/myriad-fleet/myriad/test/scale/witness"
)

// Budgets of a fleet of 10,000 clusters (DESIGN.md §9).
const (
	budgetBinds       = 100  // per second
	budgetBeyondStart = 30   // seconds from create to Ready beyond the simulated start, p99
	budgetHubCores    = 0.2  // of the hub's controllers, idle
	budgetHubMemory   = 1024 // MiB
	budgetAgentCores  = 0.1  // of an agent with 250 guests, idle
	budgetAgentMemory = 150  // MiB
	budgetWrites      = 1    // to the hub per guest and ten minutes, Leases apart
	progressPeriod    = 10 * time.Second
	mostFailures      = 5
)

// record keeps what is measured.
type record struct {
	mu         sync.Mutex
	run        plots.Run
	before     reading // at the begin of the phase
	last       reading
	shown      time.Time
	retries    int
	createdAt  time.Time // the last creation
	awaySince  time.Time
	beforeAny  map[string]float64 // MiB by part before there was a cluster
	onTerminal bool
}

func newRecord(o options) *record {
	return &record{
		run:        plots.Run{Clusters: o.clusters, Cells: o.cells, Seed: o.seed, Began: time.Now()},
		onTerminal: term.IsTerminal(int(os.Stdout.Fd())),
	}
}

func (r *record) begin(name string, at reading) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.before = at
	r.run.Phases = append(r.run.Phases, plots.Phase{Name: name, From: at.at.Sub(r.run.Began).Seconds()})
	r.sayf("--- %s", name)
}

func (r *record) end(at reading, peaks map[string]float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := &r.run.Phases[len(r.run.Phases)-1]
	p.To, p.PeakMiB, p.CPUSeconds = at.at.Sub(r.run.Began).Seconds(), peaks, map[string]float64{}
	for _, part := range plots.Parts {
		p.CPUSeconds[part] = at.seconds[part] - r.before.seconds[part]
	}
	switch p.Name {
	case "empty":
		r.beforeAny = peaks
	case "create":
		r.createdAt = time.Now()
	}
	r.sayf("%s took %.0f s: cores %s", p.Name, p.To-p.From, inParts(at.cores(r.before), "%.2f"))
}

func inParts(values map[string]float64, format string) string {
	var texts []string
	for _, part := range plots.Parts {
		texts = append(texts, part+" "+fmt.Sprintf(format, values[part]))
	}
	return strings.Join(texts, ", ")
}

// sayf shows a line for people, with the time since the run began.
func (r *record) sayf(format string, arguments ...any) {
	if r.onTerminal {
		fmt.Print("\r\x1b[K")
	}
	fmt.Printf("%5.0f s  %s\n", time.Since(r.run.Began).Seconds(), fmt.Sprintf(format, arguments...))
}

// sample is one reading. On a terminal each is shown in place of the one before; elsewhere some are, as lines.
func (r *record) sample(at reading, counts witness.Counts) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last.seconds == nil {
		r.last = at
		return
	}
	cores := at.cores(r.last)
	r.last = at
	r.run.Samples = append(r.run.Samples, plots.Sample{
		At: at.at.Sub(r.run.Began).Seconds(), Bound: counts.Bound, Ready: counts.Ready, Created: counts.Created, Cores: cores, MiB: at.mebibytes,
	})
	line := fmt.Sprintf("%d created, %d bound, %d ready, %d gone, %d shifts, %d broken; cores %s", counts.Created, counts.Bound, counts.Ready, counts.Gone,
		counts.Shifts, counts.Problems, inParts(cores, "%.2f"))
	switch {
	case r.onTerminal:
		fmt.Printf("\r\x1b[K%5.0f s  %s", time.Since(r.run.Began).Seconds(), line)
	case time.Since(r.shown) >= progressPeriod:
		r.shown = time.Now()
		r.sayf("%s", line)
	}
}

func (r *record) add(results ...figures.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.run.Figures = append(r.run.Figures, results...)
}

func (r *record) value(name, unit string, value float64) { r.add(figures.Report(name, unit, value)) }

func (r *record) bound(name, unit string, value, budget float64) {
	r.add(figures.Bound(name, unit, value, budget))
}

func (r *record) retried() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.retries++
}

func (r *record) away(cell string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.awaySince = time.Now()
	r.sayf("the agent of %s goes away", cell)
}

// failures of users are shown, some of them.
func (r *record) failures(texts []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, text := range texts[:min(len(texts), mostFailures)] {
		r.sayf("a user's request failed: %s", text)
	}
}

// created notes how fast clusters were bound, and how long they took beyond what the simulation says.
func (r *record) created(times []witness.Times, started map[string]float64) {
	var asked, bound []time.Time
	var untilBound, beyond []float64
	for _, t := range times {
		asked, bound = append(asked, t.Asked), append(bound, t.Bound)
		untilBound = append(untilBound, t.Bound.Sub(t.Asked).Seconds())
		if simulated, ok := started[t.ID]; ok {
			beyond = append(beyond, t.Ready.Sub(t.Asked).Seconds()-simulated)
		}
	}
	r.add(
		figures.Report("clusters asked for, sustained", "/s", sustained(asked)),
		figures.Floor("binds, sustained", "/s", sustained(bound), budgetBinds),
		figures.Report("create to bound, p50", "s", percentile(untilBound, 50)),
		figures.Report("create to bound, p99", "s", percentile(untilBound, 99)),
		figures.Report("create to Ready beyond the simulated start, p50", "s", percentile(beyond, 50)),
		figures.Bound("create to Ready beyond the simulated start, p99", "s", percentile(beyond, 99), budgetBeyondStart),
	)
}

// sustained rate per second between the first and the last tenth.
func sustained(times []time.Time) float64 {
	slices.SortFunc(times, time.Time.Compare)
	from, to := len(times)/10, len(times)*9/10
	if to <= from || !times[to].After(times[from]) {
		return 0
	}
	return float64(to-from) / times[to].Sub(times[from]).Seconds()
}

// percentile of values by nearest rank; 0 of none.
func percentile(values []float64, percent float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(0, int(math.Ceil(percent/100*float64(len(sorted))))-1)]
}

// idle notes what the parts took while nothing happened.
func (r *record) idle(cores, peaks map[string]float64, guests int) {
	r.add(
		figures.Bound("hub idle", "cores", cores[plots.PartHub], budgetHubCores),
		figures.Bound("hub idle, memory", "MiB", peaks[plots.PartHub], budgetHubMemory),
		figures.Bound(fmt.Sprintf("agent with %d guests idle", guests), "cores", cores[plots.PartAgent], budgetAgentCores),
		figures.Bound(fmt.Sprintf("agent with %d guests idle, memory", guests), "MiB", peaks[plots.PartAgent], budgetAgentMemory),
	)
	for _, part := range []string{plots.PartEtcd, plots.PartAPIServer, plots.PartControllers, plots.PartAgents} {
		r.add(figures.Report(part+" idle", "cores", cores[part]), figures.Report(part+" idle, memory", "MiB", peaks[part]))
	}
}

// writes notes how often the hub is written to.
func (r *record) writes(rate float64, by map[string]float64) {
	r.add(figures.Bound("writes to the hub per guest and 10 min, idle", "", rate, budgetWrites))
	r.mu.Lock()
	defer r.mu.Unlock()
	for resource, count := range by {
		r.sayf("writes while idle: %s %.0f", resource, count)
	}
}
