package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"github.com/myriad-fleet/myriad/test/bench/figures"
	"github.com/myriad-fleet/myriad/test/scale/plots"
)

// budgetGrowth is the most that a cluster may cost in a fleet, as a multiple of the same in a fleet of growthFrom.
const (
	budgetGrowth = 1.2
	growthFrom   = 1000
)

// report writes the table to out, and table and plots to files. It returns how many budgets were missed.
func (w *world) report(out io.Writer) (missed int, err error) {
	r := w.figures
	counts := w.witness.Counts()
	r.bound("promises broken", "", float64(counts.Problems), 0)
	r.value("most of what may be used that a zone had", "%", w.witness.Fullest())
	r.value("requests of the generator that were told to wait", "", float64(r.retries))
	r.run.Problems = w.witness.Problems()
	costs := r.costs()
	reference, err := readReference(w.out)
	if err != nil {
		return 0, err
	}
	for _, c := range costs {
		if before, ok := reference[c.Name]; ok && w.clusters > growthFrom {
			r.add(figures.Compare(c.Name, c.Unit, c.Value, before, budgetGrowth))
			continue
		}
		r.add(c)
	}
	if err := figures.PrintTable(out, "scale", r.run.Figures); err != nil {
		return 0, err
	}
	if err := figures.WriteJSON(filepath.Join(w.out, "scale.json"), r.run.Figures); err != nil {
		return 0, err
	}
	if err := writeRun(w.out, &r.run); err != nil {
		return 0, err
	}
	return figures.Missed(r.run.Figures), plots.Write(plotsDir(w.out))
}

// costs of a cluster: CPU from the first creation until the fleet is calm, its trial and its first gears included, beyond
// what the fleet takes at rest; and memory at most while idle beyond what the part takes without any.
func (r *record) costs() []figures.Result {
	seconds, peaks, lasted := map[string]float64{}, map[string]float64{}, 0.0
	for _, phase := range r.run.Phases[1:] { // without the empty fleet
		if phase.Name == "idle" {
			peaks = phase.PeakMiB
			rested := phase.To - phase.From
			for part, took := range phase.CPUSeconds {
				if rested >= shortest.Seconds() { // a shorter run does not come to rest
					seconds[part] = max(0, seconds[part]-took*lasted/rested)
				}
			}
			break
		}
		lasted += phase.To - phase.From
		for part, took := range phase.CPUSeconds {
			seconds[part] += took
		}
	}
	var results []figures.Result
	for _, part := range []string{plots.PartHub, plots.PartEtcd, plots.PartAPIServer, plots.PartAgents} {
		results = append(results, figures.Report("CPU of "+part+" to take a cluster in", "ms", 1000*seconds[part]/float64(r.run.Clusters)))
	}
	for _, part := range []string{plots.PartHub, plots.PartEtcd, plots.PartAPIServer, plots.PartAgents} {
		results = append(results, figures.Report("memory of "+part+" per cluster", "KiB", 1024*(peaks[part]-r.beforeAny[part])/float64(r.run.Clusters)))
	}
	return results
}

// plotsDir holds what is written of runs, and their plots.
func plotsDir(out string) string { return filepath.Join(out, "scale") }

// runFile of a run.
func runFile(out string, clusters int, seed uint64) string {
	return filepath.Join(plotsDir(out), fmt.Sprintf("%d-%d.json", clusters, seed))
}

func writeRun(out string, run *plots.Run) error {
	text, err := json.Marshal(run)
	if err != nil {
		return fmt.Errorf("write the run: %w", err)
	}
	file := runFile(out, run.Clusters, run.Seed)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("write the run: %w", err)
	}
	if err := renameio.WriteFile(file, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the run: %w", err)
	}
	return nil
}

// readReference is what a cluster costs in a fleet of a thousand, by name; empty when none was measured.
func readReference(out string) (map[string]float64, error) {
	runs, err := plots.Read(plotsDir(out))
	if err != nil {
		return nil, err
	}
	reference := map[string]float64{}
	for _, run := range runs {
		if run.Clusters == growthFrom {
			for _, figure := range run.Figures {
				reference[figure.Name] = figure.Value
			}
		}
	}
	return reference, nil
}
