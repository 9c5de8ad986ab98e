// Package mix is a load generator: it drives a guest through a mix, a file that says how many objects
// of which kinds exist, how many watches are open and how many requests are sent in which phase, and it
// plays controllers that misbehave. It is bounded in rate, objects and time, goes to loopback addresses only
// unless it is told otherwise, and removes what it made. What happens is planned by package plan.
package mix

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/client-go/rest"

	"github.com/myriad-fleet/myriad/test/load/mix/plan"
)

// slack is what a run may take beyond the durations of its phases, cleaning up not included.
const slack = time.Minute

// Options of a run.
type Options struct {
	// Mix to carry out; see Embedded and plan.Decode.
	Mix plan.Mix
	// Seed of everything random, and of the names of all objects: two runs on one guest need different ones.
	// A run starts by removing what an earlier one of the same seed left.
	Seed uint64
	// Length of every phase instead of the mix's own; 0: the mix's own. See plan.Mix.Stretch.
	Length time.Duration
	// Hold every phase until Next is called, for its duration at most, and not only those that the mix holds.
	Hold bool
	// Allow further networks as targets, besides 127.0.0.0/8 and ::1.
	Allow []netip.Prefix
	// Kwok is the path of the program of distro/kwok, which then keeps the fake nodes and runs their pods.
	// Empty: the run itself renews the nodes' Leases, and their pods stay Pending.
	Kwok string
	// OnPhase is called when a phase begins. Nil: nobody is told.
	OnPhase func(name string)
}

// Run is a load that is under way.
type Run struct {
	options Options
	scope   plan.Scope
	started time.Time
	cpu     time.Duration // of this process at the start
	record  *recorder
	planner *plan.Planner
	workers *workers
	sweeper *client
	kwok    *kwok

	cancel context.CancelFunc
	done   chan struct{}
	result Report

	mu    sync.Mutex
	phase string
	ready bool // the phase's targets are reached
	told  bool // that the phase need not be held any more
}

// Start begins a run on the API server of config, after removing what an earlier run of the same seed
// left. It fails when the mix is out of bounds, the target is not allowed, or the API server does not
// answer. The run ends with its last phase, with ctx, or by Stop, and removes what it made.
func Start(ctx context.Context, config *rest.Config, options Options) (*Run, error) {
	options.Mix = options.Mix.Stretch(options.Length, options.Hold)
	if err := options.Mix.Validate(); err != nil {
		return nil, fmt.Errorf("start mix %q: %w", options.Mix.Name, err)
	}
	r := &Run{
		options: options, scope: plan.Scope{Seed: options.Seed}, started: time.Now(), cpu: processorTime(), done: make(chan struct{}),
		planner: plan.NewPlanner(options.Mix, options.Seed, options.Kwok == ""),
	}
	r.record = newRecorder()
	limit := rate.Limit(options.Mix.Rate())
	limiter := rate.NewLimiter(limit, burst)
	connect := func(record *recorder) (*client, error) {
		return newClient(config, append(loopback, options.Allow...), limiter, record)
	}
	var err error
	if r.sweeper, err = connect(newRecorder()); err != nil { // cleaning up is not reported
		return nil, err
	}
	if err := r.prepare(ctx); err != nil {
		return nil, fmt.Errorf("start mix %q on %s: %w", options.Mix.Name, r.sweeper.base, err)
	}
	if options.Kwok != "" {
		if r.kwok, err = startKwok(options.Kwok, config, r.scope); err != nil {
			return nil, errors.Join(err, r.finish(ctx))
		}
	}
	bounded, cancel := context.WithTimeout(ctx, 2*options.Mix.Duration()+slack)
	r.cancel = cancel
	if r.workers, err = startWorkers(bounded, r.scope, r.record, connect); err != nil {
		cancel()
		return nil, errors.Join(err, r.finish(ctx))
	}
	go r.carryOut(bounded)
	return r, nil
}

// Phase that is under way, and whether its targets are reached. After the last one it has no name.
func (r *Run) Phase() (name string, reached bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.phase, r.ready
}

// Next lets a phase that is held end, once its targets are reached. It does nothing to another one.
func (r *Run) Next() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = true
}

// Done is closed when the run is over and has cleaned up.
func (r *Run) Done() <-chan struct{} { return r.done }

// Stop ends the run, if it does not itself, waits until it has cleaned up, and reports.
func (r *Run) Stop() Report {
	r.cancel()
	<-r.done
	return r.result
}

// carryOut is the whole life of a run once it has started.
func (r *Run) carryOut(ctx context.Context) {
	defer close(r.done)
	defer r.cancel()
	late, err := r.drive(ctx)
	r.workers.stop(err != nil)
	r.enter("")
	r.result = r.record.result()
	r.result.Mix, r.result.Seed = r.options.Mix.Name, r.options.Seed
	r.result.LagSeconds = late.Seconds()
	r.result.CPUSeconds = (processorTime() - r.cpu).Seconds()
	r.result.Cores = r.result.CPUSeconds / time.Since(r.started).Seconds()
	if err != nil {
		r.result.Interrupted = err.Error()
	}
	if err := r.finish(ctx); err != nil {
		r.result.CleanupError = err.Error()
	}
}

// drive hands the workers what the planner plans, when its time has come, until the last phase is over.
// It returns by how much the plan was late at its end.
func (r *Run) drive(ctx context.Context) (late time.Duration, err error) {
	phase, _ := r.planner.Phase()
	r.enter(phase.Name)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for due := time.Now(); ; due = due.Add(plan.Tick) {
		timer.Reset(time.Until(due))
		select {
		case <-ctx.Done():
			return max(0, time.Since(due)), fmt.Errorf("the run was ended in phase %s: %w", phase.Name, ctx.Err())
		case <-timer.C:
		}
		for _, operation := range r.planner.Tick() {
			r.workers.dispatch(ctx, operation)
		}
		if !r.phaseOver() {
			continue
		}
		if !r.planner.Advance() {
			return max(0, time.Since(due)), nil
		}
		phase, _ = r.planner.Phase()
		r.enter(phase.Name)
	}
}

// phaseOver is true when the next phase may begin.
func (r *Run) phaseOver() bool {
	phase, _ := r.planner.Phase()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ready = r.planner.Ramped()
	return r.planner.Over() || phase.Hold && r.told && r.ready
}

func (r *Run) enter(phase string) {
	r.record.phase(phase, time.Now())
	r.mu.Lock()
	r.phase, r.ready, r.told = phase, false, false
	r.mu.Unlock()
	if r.options.OnPhase != nil && phase != "" {
		r.options.OnPhase(phase)
	}
}

// processorTime that this process has used.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0 // Linux knows it always
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
