package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/internal/runtime"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/objects"
)

const (
	// workers that realise guests. They mostly wait for the cell's API server.
	workers = 8
	// firstRetry and lastRetry bound the pause after a guest could not be made what it should be.
	firstRetry = 250 * time.Millisecond
	lastRetry  = 30 * time.Second
	// qps and burst of requests to the cell's API server, whose own fairness is what protects it. The
	// client's default of 5/s would have a new guest wait for seconds.
	qps, burst = 200, 400
)

// Options of a Runtime.
type Options struct {
	// Config for the cell's API server.
	Config *rest.Config
	// Cell that guests' objects are made for.
	Cell objects.Cell
	// Zones of the cell, in the order in which Capacity tells of them. Empty: those of its nodes.
	Zones []string
	// Slots is how many guests may start at once; 0 for slotsPerCore per core of the ready nodes of the
	// smallest zone.
	Slots int
	// DrillsFile keeps the drills in force over a restart of the agent; empty: a restart ends them.
	DrillsFile string
	// Identity of this agent in the cell's Lease: one that restarts under the same identity goes on at
	// once. No two that may run at the same time share one. Empty: the host's name and a random part.
	Identity string
	Clock    clock.WithTicker
	Log      *slog.Logger
}

// Runtime realises guests' manifests in one cell. Its methods mean what those of process.Client mean.
type Runtime struct {
	Options
	cache   cache.Cache
	client  client.WithWatch // reads and writes past the cache
	lease   *lease
	slots   slots
	changes runtime.Changes
	usages  usages
	nodes   chan struct{} // one message when nodes have changed
	queue   workqueue.TypedRateLimitingInterface[string]

	mu     sync.Mutex
	synced bool
	// trouble is why the caches cannot be filled; nil for nothing known.
	trouble error
	guests  map[string]*guest
	drills  drillsByZone // replaced as a whole, never changed
	unkept  bool         // DrillsFile says something else than drills
	classes bool         // PriorityClasses have been put in place
}

// New makes a Runtime; Run makes it work.
func New(options Options) (*Runtime, error) {
	if options.Cell.Name == "" {
		return nil, errors.New("kubernetes runtime: Cell.Name is empty: name the cell")
	}
	config := rest.CopyConfig(options.Config)
	if config.QPS == 0 {
		config.QPS, config.Burst = qps, burst
	}
	options.Config = config
	r := &Runtime{
		Options: options, nodes: make(chan struct{}, 1), guests: map[string]*guest{}, drills: options.keptDrills(),
		queue: workqueue.NewTypedRateLimitingQueueWithConfig(
			workqueue.NewTypedItemExponentialFailureRateLimiter[string](firstRetry, lastRetry),
			workqueue.TypedRateLimitingQueueConfig[string]{Clock: options.Clock}),
	}
	var err error
	if r.client, err = client.NewWithWatch(config, client.Options{Scheme: scheme}); err != nil {
		return nil, r.wrap("make a client", err)
	}
	if r.cache, err = r.newCache(); err != nil {
		return nil, r.wrap("make caches", err)
	}
	if r.lease, err = newLease(r); err != nil {
		return nil, r.wrap("make the cell's Lease", err)
	}
	return r, nil
}

// Run works until the context ends: it fills the caches, takes the cell's Lease whenever that is free,
// and makes guests what their manifests say while it holds it.
func (r *Runtime) Run(ctx context.Context) error {
	life, end := context.WithCancel(ctx)
	defer end()
	var all sync.WaitGroup
	defer func() {
		r.queue.ShutDown()
		r.setSynced(false)
		r.changes.Close()
		end()
		all.Wait()
	}()
	ended := make(chan error, 1)
	if err := r.follow(life); err != nil {
		return r.wrap("watch", err)
	}
	all.Go(func() { ended <- r.cache.Start(life) })
	if !r.cache.WaitForCacheSync(life) {
		return r.stopped(ctx, ended)
	}
	r.setSynced(true)
	all.Go(func() { r.lease.run(life) })
	for range workers {
		all.Go(func() {
			for r.next(life) {
			}
		})
	}
	<-life.Done()
	return r.stopped(ctx, ended)
}

// stopped is what Run returns.
func (r *Runtime) stopped(ctx context.Context, ended <-chan error) error {
	if ctx.Err() != nil {
		return nil
	}
	return r.wrap("fill caches", <-ended)
}

func (r *Runtime) setSynced(synced bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.synced = synced
}

// readable is an error until the caches are filled.
func (r *Runtime) readable() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.synced:
		return nil
	case r.trouble != nil:
		return r.wrap("the cell's objects cannot be watched yet", r.trouble)
	}
	return fmt.Errorf("kubernetes runtime: cell %s: its objects are not read yet: it is tried again", r.Cell.Name)
}

// writable is an error unless this agent may write: its caches are filled and it holds the Lease.
func (r *Runtime) writable() error {
	if err := r.readable(); err != nil {
		return err
	}
	return r.lease.err()
}

func (r *Runtime) wrap(what string, err error) error {
	return fmt.Errorf("kubernetes runtime: cell %s: %s: %w", r.Cell.Name, what, err)
}

// next has one guest worked on; false when there is no more work.
func (r *Runtime) next(ctx context.Context) bool {
	id, shutdown := r.queue.Get()
	if shutdown {
		return false
	}
	defer r.queue.Done(id)
	g := r.known(id)
	if g == nil || r.writable() != nil {
		r.queue.Forget(id)
		r.changes.Notify(id)
		return true
	}
	after, err := g.reconcile(r.lease.writing(ctx))
	switch {
	case ctx.Err() != nil:
	case err != nil:
		g.complain(err)
		r.queue.AddRateLimited(id)
	default:
		g.complain(nil)
		r.queue.Forget(id)
		if after > 0 {
			r.queue.AddAfter(id, after)
		}
	}
	return true
}

// known returns a guest that has a manifest; nil for none.
func (r *Runtime) known(id string) *guest {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.guests[id]
}

// ensure returns a guest, made if need be.
func (r *Runtime) ensure(id string) *guest {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.guests[id]
	if g == nil {
		g = newGuest(r, id)
		r.guests[id] = g
	}
	return g
}

func (r *Runtime) forget(id string) {
	r.mu.Lock()
	delete(r.guests, id)
	r.mu.Unlock()
	r.release(id)
}

// ids of the guests that have a manifest, in their order.
func (r *Runtime) ids() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := make([]string, 0, len(r.guests))
	for id := range r.guests {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// enqueueAll has every guest looked at.
func (r *Runtime) enqueueAll() {
	for _, id := range r.ids() {
		r.queue.Add(id)
	}
}
