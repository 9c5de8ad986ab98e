// The bench command measures a fleet against the same control planes started by hand, side by side
// in one run, and says whether the budgets of docs/benchmarks.md are met.
//
//	make bench
//	go run ./test/bench -run create,memory
//	go run ./test/bench -run placement    # needs neither a distribution nor processes
//
// Benchmarks named lab-* measure guests in the lab of test/lab, which is brought up for them unless it is
// up. They need root.
//
//	make bench-lab
//	go run ./test/bench -run lab-create,lab-delete -runs 1
//
// It exits 0 when everything was measured, whether the budgets are met or not; with -strict it exits
// 1 when one is not.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/internal/distribution"
	"github.com/myriad-fleet/myriad/test/bench/figures"
	"github.com/myriad-fleet/myriad/test/fleet"
)

// upDeadline bounds 'myriad up' and 'myriad down'.
const upDeadline = 5 * time.Minute

// benchmarks by name, in the order in which they run.
var benchmarks = []struct {
	name string
	run  func(context.Context, *bench) ([]figures.Result, error)
}{
	{"create", benchCreate},
	{"burst", benchBurst},
	{"memory", benchMemory},
	{"agents", benchAgents},
	{"agent-load", benchAgentLoad},
	{"placement", benchPlacement},
	{"lab-create", benchLabCreate},
	{"lab-burst", benchLabBurst},
	{"lab-ready-lag", benchLabReadyLag},
	{"lab-delete", benchLabDelete},
	{"lab-agent", benchLabAgent},
}

// withoutFleet run with no fleet at all.
var withoutFleet = []string{"agent-load", "placement"}

// options of a run.
type options struct {
	names  []string
	out    string
	strict bool
	runs   int
	guests int
	settle time.Duration
}

// bench is what benchmarks share.
type bench struct {
	options
	fleet    *fleet.Fleet
	hub      client.WithWatch
	programs *distribution.Set
	// lab that all guests run in; nil without one.
	lab     *laboratory
	scratch string
	// kubernetes and etcd are the versions that both sides run.
	kubernetes, etcd string
}

func main() {
	var o options
	if len(os.Args) == 3 && roles[os.Args[1]] != nil {
		runRole(os.Args[1], os.Args[2])
		return
	}
	names := flag.String("run", "create,burst,memory,agents,agent-load,placement", "benchmarks to run, separated by commas")
	flag.StringVar(&o.out, "out", "out/bench", "directory that <name>.json is written to")
	flag.BoolVar(&o.strict, "strict", false, "exit 1 when a budget is not met")
	flag.IntVar(&o.runs, "runs", 5, "runs of the benchmarks create, lab-create, lab-ready-lag and lab-delete")
	flag.IntVar(&o.guests, "guests", 10, "guests at once of the benchmarks lab-burst and lab-agent")
	flag.DurationVar(&o.settle, "settle", 30*time.Second, "time that guests idle before their memory is read")
	flag.Parse()
	o.names = strings.Split(*names, ",")

	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	missed, err := run(ctx, o, os.Stdout)
	cancel()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	case missed > 0 && o.strict:
		os.Exit(1)
	}
}

// runRole is what other processes of a benchmark do.
func runRole(name, dir string) {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := roles[name](ctx, dir)
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", name+":", err)
		os.Exit(1)
	}
}

// run returns the number of budgets that were missed.
func run(ctx context.Context, o options, out io.Writer) (missed int, err error) {
	if err := checkNames(o.names); err != nil {
		return 0, err
	}
	b, err := newBench(ctx, o)
	if b != nil {
		defer func() { err = errors.Join(err, b.close()) }()
	}
	if err != nil {
		return 0, err
	}
	for _, benchmark := range benchmarks {
		if !slices.Contains(o.names, benchmark.name) {
			continue
		}
		results, err := benchmark.run(ctx, b)
		if err != nil {
			return missed, fmt.Errorf("%s: %w", benchmark.name, err)
		}
		if err := figures.PrintTable(out, benchmark.name, results); err != nil {
			return missed, err
		}
		if err := figures.WriteJSON(filepath.Join(o.out, benchmark.name+".json"), results); err != nil {
			return missed, err
		}
		missed += figures.Missed(results)
	}
	if missed > 0 {
		_, err = fmt.Fprintf(out, "\n%d budgets are NOT met\n", missed)
	}
	return missed, err
}

func checkNames(names []string) error {
	var known []string
	for _, benchmark := range benchmarks {
		known = append(known, benchmark.name)
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return fmt.Errorf("there is no benchmark %q; -run takes %s", name, strings.Join(known, ", "))
		}
	}
	if _, err := needLab(names); err != nil {
		return err
	}
	return nil
}

// needLab tells whether benchmarks run in the lab. Others want a fleet without it, where guests of all
// regions are processes.
func needLab(names []string) (bool, error) {
	count := 0
	for _, name := range names {
		if strings.HasPrefix(name, "lab-") {
			count++
		}
	}
	if count > 0 && count < len(names) {
		return false, errors.New("benchmarks named lab-* and others want different fleets: run them one after the other")
	}
	return count > 0, nil
}

// newBench brings a fleet up, if one is needed. The bench that it returns must be closed, even with an error.
func newBench(ctx context.Context, o options) (*bench, error) {
	if !slices.ContainsFunc(o.names, func(name string) bool { return !slices.Contains(withoutFleet, name) }) {
		return &bench{options: o}, nil
	}
	f, err := fleet.New()
	if err != nil {
		return nil, err
	}
	b := &bench{options: o, fleet: f, scratch: f.Home + "/by-hand"}
	if b.programs, err = distribution.Open(f.Distro); err != nil {
		return b, err
	}
	if b.kubernetes, err = newest(b.programs.KubernetesVersions()); err != nil {
		return b, err
	}
	if b.etcd, err = newest(b.programs.EtcdVersions()); err != nil {
		return b, err
	}
	return b, b.up(ctx)
}

// up brings the fleet up, and the lab first where the benchmarks need it.
func (b *bench) up(ctx context.Context) error {
	flags := []string{"--no-hello"}
	inLab, err := needLab(b.names)
	if err != nil {
		return err
	}
	upCtx, cancel := context.WithTimeout(ctx, upDeadline)
	defer cancel()
	if inLab {
		if b.lab, err = openLab(upCtx, b.fleet.Home); err != nil {
			return err
		}
		if err := b.lab.Admit(upCtx, b.fleet.Run); err != nil {
			return err
		}
		flags = append(flags, b.lab.upFlags()...)
	}
	if _, err := b.fleet.Up(upCtx, flags...); err != nil {
		return err
	}
	if b.hub, err = b.fleet.Hub(); err != nil || !inLab {
		return err
	}
	return b.joinLab(ctx)
}

func newest(versions []string, err error) (string, error) {
	if err != nil {
		return "", err
	}
	if len(versions) == 0 {
		return "", errors.New("the distribution is empty; run 'make distro'")
	}
	return versions[len(versions)-1], nil
}

// close ends the fleet, interrupted or not.
func (b *bench) close() error {
	if b.fleet == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), upDeadline)
	defer cancel()
	err := b.fleet.Remove(ctx)
	if b.lab != nil {
		err = errors.Join(err, b.lab.close(ctx))
	}
	return err
}
