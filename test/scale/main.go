// The scale command runs a whole fleet of thousands of clusters through the real hub: its etcd, kube-apiserver and
// controllers, real agents with an identity and connections each, and simulated cells in place of the guests'
// processes. It creates all, idles, drifts a day's load, fails zones, agents and hubs, deletes all, and watches
// through it all that the fleet keeps its promises (package witness).
//
//	make bench-scale
//	go run ./test/scale -clusters 1000 -seed 2     # needs MYRIAD_BIN and MYRIAD_DISTRO, as the Makefile sets them
//
// It exits 1 when a promise was broken, whatever the budgets say; with -strict also when a budget is not met.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

// hostRole as the first argument makes this a process that hosts agents.
const hostRole = "host"

// options of a run.
type options struct {
	clusters, cells, regions int
	seed                     uint64
	rate                     float64
	idle, away, day, zone    time.Duration
	deaths                   float64
	out                      string
	profiles                 string
	strict                   bool
}

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx)
	cancel()
	os.Exit(code)
}

func run(ctx context.Context) int {
	if len(os.Args) == 3 && os.Args[1] == hostRole {
		if err := runHost(ctx, os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, "scale: host:", err)
			return 1
		}
		return 0
	}
	// Failed requests are counted, not logged: what client libraries say of them would bury the progress.
	klog.SetLogger(logr.Discard())
	ctrl.SetLogger(logr.Discard())
	var o options
	flag.IntVar(&o.clusters, "clusters", 10000, "clusters of the fleet")
	flag.IntVar(&o.cells, "cells", 40, "cells of the fleet")
	flag.IntVar(&o.regions, "regions", 20, "regions of the fleet; the first has 30 % of the clusters")
	flag.Uint64Var(&o.seed, "seed", 1, "seed of everything that is random")
	flag.Float64Var(&o.rate, "rate", 100, "clusters that are created per second")
	flag.DurationVar(&o.zone, "zone", 30*time.Second, "how long a zone of a cell is lost")
	flag.DurationVar(&o.idle, "idle", 5*time.Minute, "how long the fleet idles while its costs are read")
	flag.DurationVar(&o.away, "away", 10*time.Minute, "how long a cell's agent is away")
	flag.DurationVar(&o.day, "day", 5*time.Minute, "time in which a day's load drifts by")
	flag.Float64Var(&o.deaths, "deaths", 1, "deaths of a component per year")
	flag.StringVar(&o.out, "out", "out/bench", "directory for scale.json, and scale/ with what is plotted")
	flag.StringVar(&o.profiles, "profiles", "", "directory for profiles of hub and agents while clusters are created, idle and drift; empty: none")
	flag.BoolVar(&o.strict, "strict", false, "exit 1 when a budget is not met, too")
	flag.Parse()
	broken, missed, err := bench(ctx, o)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "scale:", err)
		return 2
	case broken > 0 || missed > 0 && o.strict:
		return 1
	}
	return 0
}

// bench returns how many promises were broken and how many budgets missed.
func bench(ctx context.Context, o options) (broken, missed int, err error) {
	w, err := newWorld(ctx, o)
	if w != nil {
		defer func() { err = errors.Join(err, w.close()) }()
	}
	if err != nil {
		return 0, 0, err
	}
	if err := w.live(ctx); err != nil {
		return 0, 0, err
	}
	for _, problem := range w.witness.Problems() {
		fmt.Println("BROKEN:", problem)
	}
	missed, err = w.report(os.Stdout)
	return w.witness.Counts().Problems, missed, err
}
