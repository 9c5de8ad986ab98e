// Package load is a steady load of mixed requests and watches against one Kubernetes API server. It
// counts every failed request and proves afterwards that no acknowledged write was lost, no read was
// stale and no watch missed an event.
package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/client-go/rest"
)

// Options of a load. The zero value is the load of the project's budgets: 60 requests a second from
// 12 connections and 3 watches.
type Options struct {
	// Namespace that the ConfigMaps are written to; it must exist. Empty: default.
	Namespace string
	// Seed of everything random. The same seed sends the same mix.
	Seed uint64
	// Rate in requests per second over all workers. 0: 60.
	Rate float64
	// Workers, each with its own connection and one request at a time. 0: 12.
	Workers int
	// Watches, each with its own connection. 0: 3.
	Watches int
	// Timeout of one request. 0: 2 s.
	Timeout time.Duration
	// Ping is how long a connection may be silent before it is asked for a ping, and how long again the
	// answer may take before the connection is given up. 0: three quarters of Timeout. client-go takes
	// 30 s and 15 s.
	Ping time.Duration
	// Keys in use at a time. 0: 24.
	Keys int
	// KeyLife is the number of operations after which a key is replaced by a fresh one, so that
	// every history stays short. 0: 60.
	KeyLife int
	// Drain is how long Stop waits for the watches to deliver what was acknowledged. 0: 10 s.
	Drain time.Duration
}

func (o Options) withDefaults() Options {
	setDefault(&o.Namespace, "default")
	setDefault(&o.Rate, 60)
	setDefault(&o.Workers, 12)
	setDefault(&o.Watches, 3)
	setDefault(&o.Timeout, 2*time.Second)
	setDefault(&o.Ping, o.Timeout*3/4)
	setDefault(&o.Keys, 24)
	setDefault(&o.KeyLife, 60)
	setDefault(&o.Drain, 10*time.Second)
	return o
}

func setDefault[T comparable](value *T, fallback T) {
	if *value == *new(T) {
		*value = fallback
	}
}

// Run is a load that is under way.
type Run struct {
	options  Options
	started  time.Time
	limiter  *rate.Limiter
	keys     *keys
	journal  *journal
	client   *client // prepares and cleans up; workers and watches have their own
	watches  []*watch
	selector string

	stopped sync.Once
	result  Report

	stopWorkers, stopWatches context.CancelFunc
	workers, watchers        sync.WaitGroup
}

// Start begins a load on the API server of config. It fails when the API server does not answer
// within 10 s. The load lasts until ctx is done or Stop is called; Stop must be called in any case.
func Start(ctx context.Context, config *rest.Config, options Options) (*Run, error) {
	options = options.withDefaults()
	first, err := newClient(config, options)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("load-%d", options.Seed)
	run := &Run{
		options:  options,
		started:  time.Now(),
		limiter:  rate.NewLimiter(rate.Limit(options.Rate), 1),
		keys:     newKeys(name, options.Keys, options.KeyLife),
		client:   first,
		selector: runLabel + "=" + name,
	}
	run.journal = &journal{started: run.started}
	revision, err := run.prepare(ctx)
	if err != nil {
		return nil, err
	}
	workerCtx, stopWorkers := context.WithCancel(ctx)
	watchCtx, stopWatches := context.WithCancel(context.WithoutCancel(ctx))
	run.stopWorkers, run.stopWatches = stopWorkers, stopWatches
	for i := range options.Watches {
		w := &watch{run: run, index: i, client: first.fresh(), segments: []Segment{{From: revision, Until: revision}}}
		run.watches = append(run.watches, w)
		run.watchers.Go(func() { w.follow(watchCtx) })
	}
	for i := range options.Workers {
		w := &worker{run: run, process: i, client: first.fresh(), random: rand.New(rand.NewPCG(options.Seed, uint64(i)))}
		run.workers.Go(func() { w.work(workerCtx) })
	}
	return run, nil
}

// prepare removes what an earlier load of the same seed left and returns the revision to watch from.
func (r *Run) prepare(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		err := r.client.deleteAll(ctx, r.selector)
		if err == nil {
			var revision int64
			if _, revision, err = r.client.list(ctx, r.selector); err == nil {
				return revision, nil
			}
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("starting a load on %s: the API server did not answer within 10s: %w", r.client.base, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Mark notes the time of a fault, or of its end, under a name. Call it before the fault is made: what
// fails from then on is the fault's.
func (r *Run) Mark(name string) {
	r.journal.mark(name)
}

// Settle returns once no request has failed for the given time and at least one write has succeeded
// in it, or fails with ctx.
func (r *Run) Settle(ctx context.Context, quiet time.Duration) error {
	since := r.journal.now()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if r.journal.quietSince(since, quiet) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s of load without a failed request: %w; last failure: %s", quiet, ctx.Err(), r.journal.lastFailure())
		case <-tick.C:
		}
	}
}

// Stop ends the load, removes its ConfigMaps, checks what was seen and reports. Requests under way
// are let finish; the watches get Options.Drain to deliver what was acknowledged. Stopping it again
// returns the same report.
func (r *Run) Stop() Report {
	r.stopped.Do(func() { r.result = r.stop() })
	return r.result
}

func (r *Run) stop() Report {
	r.stopWorkers()
	r.workers.Wait()
	ended := r.journal.now()
	r.drain()
	r.stopWatches()
	r.watchers.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), r.options.Drain)
	defer cancel()
	cleanup := r.client.deleteAll(ctx, r.selector)
	r.client.transport.CloseIdleConnections()
	return r.report(ended, cleanup)
}

// drain waits until every watch has delivered all that was acknowledged: up to a last ConfigMap that
// it writes to mark the end.
func (r *Run) drain() {
	ctx, cancel := context.WithTimeout(context.Background(), r.options.Drain)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := r.configMap(r.keys.prefix+"-end", "", "")
	last := int64(0)
	for {
		if last == 0 {
			if result, err := r.client.do(ctx, http.MethodPost, "", nil, end); err == nil && result.status == http.StatusCreated {
				last, _ = revisionOf(result.body) // 0 when it cannot be read: then once more
			}
		}
		behind := func(w *watch) bool { return w.reached() < last }
		if last > 0 && !slices.ContainsFunc(r.watches, behind) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
