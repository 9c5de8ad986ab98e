// Package plotstest makes up runs of the scale command, for tests of their plots.
package plotstest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/myriad-fleet/myriad/test/bench/figures"
	"github.com/myriad-fleet/myriad/test/scale/plots"
)

// Sizes of the fleets that Runs makes up, in clusters.
var Sizes = []int{1000, 3000, 10000}

// Seeds of the runs of each size that Runs makes up.
const Seeds = 3

// began is when the first run did.
var began = time.Date(2026, 11, 28, 6, 0, 0, 0, time.UTC)

// cost of a part.
type cost struct {
	part string
	// create a cluster in CPU milliseconds, and hold it in KiB.
	create, hold float64
	// idle cores of a thousand clusters, and MiB without any cluster.
	idle, empty float64
}

var costs = []cost{
	{"hub", 11, 28, 0.011, 90},
	{"etcd", 24, 61, 0.035, 70},
	{"kube-apiserver", 63, 214, 0.09, 340},
	{"kube-controller-manager", 6, 12, 0.012, 60},
	{"agents", 48, 75, 0.07, 400},
	{"agent", 2, 2, 0.004, 60},
	{"generator", 14, 20, 0.05, 120},
}

// Runs of all Sizes, with all Seeds, in the order in which plots.Read returns them.
func Runs() []plots.Run {
	var runs []plots.Run
	for _, size := range Sizes {
		for seed := range uint64(Seeds) {
			runs = append(runs, Run(size, seed+1))
		}
	}
	return runs
}

// Run of a size. Costs grow a little with the size, and differ by a few percent from seed to seed.
func Run(clusters int, seed uint64) plots.Run {
	random := rand.New(rand.NewPCG(seed, uint64(clusters)))
	run := plots.Run{
		Clusters: clusters, Cells: max(3, clusters/250), Seed: seed, Began: began.Add(time.Duration(seed) * time.Hour).Add(time.Duration(clusters) * time.Second),
		Phases: phases(clusters),
	}
	for at := 2.0; at <= run.Phases[len(run.Phases)-1].To; at += 2 {
		run.Samples = append(run.Samples, sample(run, at, random))
	}
	run.Figures = table(run, func(value float64) float64 { return value * (0.96 + 0.08*random.Float64()) })
	return run
}

// phases of a run, as long as they are told to be or as their size makes them.
func phases(clusters int) []plots.Phase {
	create := float64(clusters) / 95
	var all []plots.Phase
	at := 0.5
	for _, p := range []struct {
		name string
		took float64
	}{
		{"empty", 4},
		{"create", create},
		{"settle", 31},
		{"zone lost", 44},
		{"hub restarted", 9},
		{"hub killed", 24},
		{"agents reconnect", 27},
		{"calm down", 190},
		{"idle", 320},
		{"a day", 301},
		{"agent back", 12},
		{"delete", 1.2 * create},
	} {
		phase := plots.Phase{Name: p.name, From: at, To: at + p.took, CPUSeconds: map[string]float64{}, PeakMiB: map[string]float64{}}
		for _, c := range costs {
			phase.CPUSeconds[c.part], phase.PeakMiB[c.part] = c.idle*p.took, c.empty+c.hold*float64(clusters)/1024
		}
		all, at = append(all, phase), phase.To
	}
	return all
}

// sample of a run at a time: busy while clusters are created, pass a day or are deleted, and without the hub while
// another takes its place.
func sample(run plots.Run, at float64, random *rand.Rand) plots.Sample {
	s := plots.Sample{At: at, Cores: map[string]float64{}, MiB: map[string]float64{}}
	name, share := "", 0.0
	for _, phase := range run.Phases {
		if at >= phase.From {
			name, share = phase.Name, min(1, (at-phase.From)/(phase.To-phase.From))
		}
	}
	busy, there := 0.0, 1.0
	switch name {
	case "empty":
		there = 0
	case "create":
		busy, there = 1, share
	case "a day":
		busy = 0.2
	case "delete":
		busy, there = 0.7, 1-share
	}
	s.Created = int(there * float64(run.Clusters))
	s.Bound, s.Ready = s.Created, s.Created
	switch name {
	case "create":
		s.Bound, s.Ready = int(0.99*float64(s.Created)), int(0.9*float64(s.Created))
	case "zone lost":
		s.Ready -= run.Clusters / 40
	}
	for _, c := range costs {
		s.Cores[c.part] = (busy*c.create*95/1000 + there*c.idle*float64(run.Clusters)/1000) * (0.7 + 0.6*random.Float64())
		if c.part != "hub" || name != "hub restarted" {
			s.MiB[c.part] = c.empty + there*c.hold*float64(run.Clusters)/1024*(0.95+0.1*random.Float64())
		}
	}
	return s
}

// table of figures, as package main of test/scale names them.
func table(run plots.Run, vary func(float64) float64) []figures.Result {
	growth := 1 + 0.1*float64(run.Clusters)/10000
	results := []figures.Result{
		figures.Floor("binds, sustained", "/s", vary(98-float64(run.Clusters)/2000), 100),
		figures.Report("create to Ready beyond the simulated start, p50", "s", vary(0.4*growth)),
		figures.Bound("create to Ready beyond the simulated start, p99", "s", vary(2.1*growth), 30),
		figures.Bound("promises broken", "", 0, 0),
	}
	for _, c := range costs[:5] {
		results = append(results,
			figures.Report(c.part+" idle", "cores", vary(c.idle*float64(run.Clusters)/1000)),
			figures.Report(c.part+" idle, memory", "MiB", vary(c.empty+c.hold*float64(run.Clusters)/1024)),
			figures.Report("CPU of "+c.part+" to take a cluster in", "ms", vary(c.create*growth)),
			figures.Report("memory of "+c.part+" per cluster", "KiB", vary(c.hold*growth)),
		)
	}
	return results
}

// Write runs to a directory, each under the name that the scale command gives it.
func Write(t *testing.T, dir string, runs ...plots.Run) {
	t.Helper()
	for _, run := range runs {
		text, err := json.Marshal(run)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d-%d.json", run.Clusters, run.Seed)), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
