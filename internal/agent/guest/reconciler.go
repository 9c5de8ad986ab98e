// Package guest makes the guests of a cell what their orders say. It works from the orders on disk:
// the hub only changes those.
package guest

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/agent/bootstrap"
	"github.com/myriad-fleet/myriad/internal/agent/certificates"
	"github.com/myriad-fleet/myriad/internal/agent/etcd"
	"github.com/myriad-fleet/myriad/internal/agent/orders"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/pki"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

const (
	// workers bounds how many guests are worked on at once; a removal holds one for seconds.
	workers = 8
	// firstRetry and lastRetry bound the pause before a guest is tried again after an error.
	firstRetry, lastRetry = 100 * time.Millisecond, 30 * time.Second
	// lookAgain is how often every guest is looked at without any event: it finds certificates that
	// are due although the clock jumped.
	lookAgain = 10 * time.Minute
	// watchRetry is the pause before the runtime is watched again.
	watchRetry = 500 * time.Millisecond
)

// Runtime realises manifests in the cell.
type Runtime interface {
	Reserve(ctx context.Context, id string, names []string) (map[string]string, error)
	Apply(ctx context.Context, manifest controlplane.Manifest) error
	Observe(ctx context.Context, id string) (runtime.Observation, error)
	Delete(ctx context.Context, id string) error
	Watch(ctx context.Context) (<-chan string, error)
}

// Hub is what the hub asks for as last seen, and where reports go. Neither call waits for the hub.
type Hub interface {
	// ControlPlane returns nil when the hub has no order; that it has none is known only when synced.
	ControlPlane(id string) (order *v1alpha1.ControlPlane, synced bool)
	Report(id string, status v1alpha1.ControlPlaneStatus)
	// Forget drops the report of a guest that is gone.
	Forget(id string)
}

// Orders are the orders on disk.
type Orders interface {
	Get(id string) orders.Order
	Put(spec *v1alpha1.ControlPlaneSpec) error
	Entomb(id string) error
	Remove(id string) error
	Forget(id string) error
}

// Identities are the guests' identities on disk.
type Identities interface {
	Load(id string) (pki.Identity, error)
	Create(id string) (pki.Identity, error)
	Escrow(id string, identity pki.Identity, recipient string) (string, error)
	Remove(id string) error
}

// Certificates are the guests' leaf certificates on disk.
type Certificates interface {
	Issue(manifest controlplane.Manifest, identity pki.Identity) (certificates.Set, error)
	Remove(id string) error
}

// Bootstrap does what is needed inside a new guest.
type Bootstrap interface {
	Done(id string) bool
	// Current is false where an older agent did less than is done now.
	Current(id string) bool
	Run(ctx context.Context, guest bootstrap.Guest) error
	Remove(id string) error
}

// Etcd keeps the guests' etcds once they are bootstrapped.
type Etcd interface {
	// Starts says, by instance, what a member does that finds its data directory empty.
	Starts(order *v1alpha1.ControlPlaneSpec) map[string]controlplane.EtcdStart
	Keep(guest etcd.Guest)
	Report(id string) etcd.Report
	// Remove forgets a guest and removes its snapshots.
	Remove(ctx context.Context, id string) error
}

// Load is what guests carry, as it was sampled.
type Load interface {
	// Load that the hub should have; nil for none known: the hub's stays.
	Load(id string) *v1alpha1.Load
}

// Options of a Reconciler.
type Options struct {
	Runtime Runtime
	// AnyAddress: the runtime's addresses only lead to components, which listen on all of theirs.
	AnyAddress   bool
	Hub          Hub
	Orders       Orders
	Identities   Identities
	Certificates Certificates
	Bootstrap    Bootstrap
	Etcd         Etcd
	Load         Load
	Clock        clock.WithTicker
	Log          *slog.Logger
}

// Reconciler works on the guests of one cell, each by at most one worker.
type Reconciler struct {
	Options
	queue workqueue.TypedRateLimitingInterface[string]

	mu      sync.Mutex
	records map[string]*record
	running sync.WaitGroup // bootstraps
}

// New makes a Reconciler; Run makes it work.
func New(options Options) *Reconciler {
	return &Reconciler{
		Options: options, records: map[string]*record{},
		queue: workqueue.NewTypedRateLimitingQueueWithConfig(
			workqueue.NewTypedItemExponentialFailureRateLimiter[string](firstRetry, lastRetry),
			workqueue.TypedRateLimitingQueueConfig[string]{Clock: options.Clock}),
	}
}

// Enqueue has a guest looked at soon.
func (r *Reconciler) Enqueue(id string) { r.queue.Add(id) }

// Run works until the context ends. It starts with the guests that known lists, and lists them again
// whenever the runtime came back.
func (r *Reconciler) Run(ctx context.Context, known func() []string) {
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for r.next(ctx) {
			}
		})
	}
	r.watch(ctx, known)
	r.queue.ShutDown()
	all.Wait()
	r.running.Wait()
}

// watch turns the runtime's events into work until the context ends.
func (r *Reconciler) watch(ctx context.Context, known func() []string) {
	away := false
	for ctx.Err() == nil {
		for _, id := range known() {
			r.queue.Add(id)
		}
		events, err := r.Runtime.Watch(ctx)
		if err == nil {
			away = false
			for id := range events {
				r.queue.Add(id)
			}
		} else if !away {
			away = true
			r.Log.Warn("the runtime cannot be watched; it is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-r.Clock.After(watchRetry):
		}
	}
}

func (r *Reconciler) next(ctx context.Context) bool {
	id, shutdown := r.queue.Get()
	if shutdown {
		return false
	}
	defer r.queue.Done(id)
	after, err := r.Reconcile(ctx, id)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		r.queue.AddRateLimited(id)
	default:
		r.queue.Forget(id)
		if after > 0 {
			r.queue.AddAfter(id, after)
		}
	}
	return true
}
