package plots

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/myriad-fleet/myriad/test/bench/figures"
)

// Run is what is written of a run, for plots.
type Run struct {
	Clusters int       `json:"clusters"`
	Cells    int       `json:"cells"`
	Seed     uint64    `json:"seed"`
	Began    time.Time `json:"began"`
	Phases   []Phase   `json:"phases"`
	Samples  []Sample  `json:"samples"`
	// Figures are the table.
	Figures []figures.Result `json:"figures"`
	// Problems are promises that were broken.
	Problems []string `json:"problems"`
}

// Phase of a run.
type Phase struct {
	Name string `json:"name"`
	// From and To in seconds since the run began.
	From float64 `json:"from"`
	To   float64 `json:"to"`
	// CPUSeconds and PeakMiB by part.
	CPUSeconds map[string]float64 `json:"cpuSeconds"`
	PeakMiB    map[string]float64 `json:"peakMiB"`
}

// Sample of a run.
type Sample struct {
	// At in seconds since the run began.
	At    float64 `json:"at"`
	Bound int     `json:"bound"`
	Ready int     `json:"ready"`
	// Created and not gone.
	Created int `json:"created"`
	// Cores and MiB by part.
	Cores map[string]float64 `json:"cores"`
	MiB   map[string]float64 `json:"mib"`
}

// Read the runs that were written to a directory, by clusters, then seed. There are none where there is no directory.
func Read(dir string) ([]Run, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*-*.json"))
	if err != nil {
		return nil, fmt.Errorf("read earlier runs: %w", err)
	}
	var runs []Run
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read earlier runs: %w", err)
		}
		var run Run
		if err := json.Unmarshal(text, &run); err != nil {
			return nil, fmt.Errorf("read earlier runs: %s: %w; remove it", file, err)
		}
		runs = append(runs, run)
	}
	slices.SortFunc(runs, func(a, b Run) int { return cmp.Or(cmp.Compare(a.Clusters, b.Clusters), cmp.Compare(a.Seed, b.Seed)) })
	return runs, nil
}

// value of a figure of the run.
func (r *Run) value(name string) (float64, bool) {
	for _, figure := range r.Figures {
		if figure.Name == name {
			return figure.Value, true
		}
	}
	return 0, false
}

// broken promises of a run: the figure counts them all, Problems are the first of them.
func broken(r Run) int {
	if count, ok := r.value("promises broken"); ok {
		return int(count)
	}
	return len(r.Problems)
}
