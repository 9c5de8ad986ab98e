// Package etcd keeps guests' etcds for life: it looks at each about once a minute, at once when one of
// its members is not as it was, does what internal/etcd says is next, and reports.
package etcd

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	plan "github.com/myriad-fleet/myriad/internal/etcd"
	"github.com/myriad-fleet/myriad/internal/pki"
	"github.com/myriad-fleet/myriad/internal/runtime"
	"github.com/myriad-fleet/myriad/internal/snapshot"
)

const (
	// workers bounds how many guests are looked at together. A guest none of whose members answers holds
	// one for six seconds: 250 of them are looked at within 50.
	workers = 32
	// longWorkers bounds how many snapshots and defragmentations go on at once: they are the disk's work.
	longWorkers = 2
	// interval between two looks at a guest that is as it should be, give or take a fifth.
	interval = time.Minute
	// nextLook follows a step that was taken.
	nextLook = time.Second
	// firstSealed is the first revision whose members can be replaced (see controlplane).
	firstSealed = 3
	// firstWait follows a look that found something to wait for, and grows to interval.
	firstWait = 5 * time.Second
)

// Runtime of the cell.
type Runtime interface {
	Observe(ctx context.Context, id string) (runtime.Observation, error)
	Discard(ctx context.Context, id, component string) error
}

// Snapshots is where snapshots are stored.
type Snapshots interface {
	Save(ctx context.Context, from snapshot.Source, stream io.Reader) (snapshot.Object, error)
	Latest(ctx context.Context, id string) (snapshot.Object, bool, error)
	Remove(ctx context.Context, id string) error
}

// Options of a Keeper.
type Options struct {
	Runtime Runtime
	// Snapshots; nil for none: then a lost member is replaced without one, and so it is where an order
	// refuses them.
	Snapshots Snapshots
	// Changed is called when what Starts or Report say of a guest has changed.
	Changed func(id string)
	Clock   clock.WithTicker
	Log     *slog.Logger
}

// Guest whose etcd is to be kept.
type Guest struct {
	// Order in force.
	Order *v1alpha1.ControlPlaneSpec
	// Hosts are the addresses of its components by name.
	Hosts map[string]string
	// Identity that the keeper makes its own client certificate from.
	Identity pki.Identity
	// Observation of the runtime.
	Observation runtime.Observation
	// Starts that the runtime was told last.
	Starts map[string]controlplane.EtcdStart
}

// Report is what there is to tell of a guest's etcd.
type Report struct {
	// Status; nil when the members could not be asked yet.
	Status *v1alpha1.EtcdStatus
	// Condition EtcdHealthy; nil while nothing is known.
	Condition *metav1.Condition
}

// Keeper keeps the etcds of one cell's guests, each by at most one worker.
type Keeper struct {
	Options
	queue workqueue.TypedRateLimitingInterface[string]
	long  chan struct{} // a place for each step that takes long

	mu      sync.Mutex
	records map[string]*record
	running sync.WaitGroup // steps that take long
}

// record is what the keeper knows of a guest. Losing it costs time and nothing else.
type record struct {
	mu     sync.Mutex // held while the guest is looked at or worked on
	guest  Guest
	seen   string // how etcd's components were when Keep was called last
	starts map[string]controlplane.EtcdStart
	report Report
	gone   bool // removed: nothing more is done for it

	credentials *credentials // nil for none yet
	memory      plan.Memory
	snapshot    *v1alpha1.EtcdSnapshot
	asked       bool // the store was asked for the last snapshot
	written     time.Time
	wait        time.Duration
	said        string
}

// New makes a Keeper; Run makes it work.
func New(options Options) *Keeper {
	return &Keeper{
		Options: options, records: map[string]*record{}, long: make(chan struct{}, longWorkers),
		queue: workqueue.NewTypedRateLimitingQueueWithConfig(
			workqueue.NewTypedItemExponentialFailureRateLimiter[string](firstWait, interval),
			workqueue.TypedRateLimitingQueueConfig[string]{Clock: options.Clock}),
	}
}

// Run works until the context ends.
func (k *Keeper) Run(ctx context.Context) {
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for k.next(ctx) {
			}
		})
	}
	<-ctx.Done()
	k.queue.ShutDown()
	all.Wait()
	k.running.Wait()
}

// Keep takes over a guest that has been bootstrapped, or what is new of it. It is looked at
// without delay when it is new, or a member is not as it was.
func (k *Keeper) Keep(guest Guest) {
	k.mu.Lock()
	defer k.mu.Unlock()
	known, ok := k.records[guest.Order.ID]
	if !ok {
		known = &record{}
		k.records[guest.Order.ID] = known
	}
	seen := guest.seen()
	known.guest = guest
	if known.seen != seen {
		known.seen = seen
		k.queue.Add(guest.Order.ID)
	}
}

// seen is how the members are, as far as that calls for a look.
func (g Guest) seen() string {
	var text strings.Builder
	text.WriteString(strconv.FormatInt(g.Order.Epoch, 10))
	for _, instance := range members(g.Order) {
		c, _ := g.Observation.Component(instance.Name)
		fmt.Fprintf(&text, " %s:%s:%t:%s:%s", c.Name, c.State, c.Ready, c.Message, g.Starts[instance.Name])
	}
	return text.String()
}

// Starts says, by the name of the instance, what a member of a bootstrapped guest does that finds its
// data directory empty: until etcd has been asked it refuses, which is always safe.
func (k *Keeper) Starts(order *v1alpha1.ControlPlaneSpec) map[string]controlplane.EtcdStart {
	k.mu.Lock()
	defer k.mu.Unlock()
	if order.RenderRevision < firstSealed {
		return nil
	}
	if known, ok := k.records[order.ID]; ok && known.starts != nil {
		return maps.Clone(known.starts)
	}
	starts := map[string]controlplane.EtcdStart{}
	for _, instance := range members(order) {
		starts[instance.Name] = controlplane.EtcdSealed
	}
	return starts
}

// Report says how a guest's etcd is.
func (k *Keeper) Report(id string) Report {
	k.mu.Lock()
	defer k.mu.Unlock()
	if known, ok := k.records[id]; ok {
		return known.report
	}
	return Report{}
}

// Remove forgets a guest and removes its snapshots. It waits for what is being done. It may be called
// again.
func (k *Keeper) Remove(ctx context.Context, id string) error {
	k.mu.Lock()
	known := k.records[id]
	delete(k.records, id)
	k.mu.Unlock()
	if known != nil {
		known.mu.Lock()
		known.gone = true
		known.mu.Unlock()
	}
	if k.Snapshots == nil {
		return nil
	}
	return k.Snapshots.Remove(ctx, id)
}

// Snapshot stores a copy of the guest's database now, before a step of somebody else's. Without a store
// it is an error, and so it is where the order refuses snapshots.
func (k *Keeper) Snapshot(ctx context.Context, id string) error {
	known := k.record(id)
	if known == nil || k.Snapshots == nil {
		return fmt.Errorf("guest %s: no snapshot can be taken: the guest is not kept yet, or there is no store (--snapshots)", id)
	}
	if refused := k.refused(known); refused != "" {
		return fmt.Errorf("guest %s: no snapshot may be taken: %s", id, refused)
	}
	known.mu.Lock()
	defer known.mu.Unlock()
	defer k.again(id, nextLook) // a look that came meanwhile was dropped
	l, err := k.open(ctx, id, known)
	if err != nil {
		return err
	}
	defer l.close()
	for _, zone := range l.facts.Zones {
		if zone.Status == nil || zone.Status.Leader == 0 {
			continue
		}
		return l.act(ctx, plan.Step{Kind: plan.Snapshot, Zone: zone.Name, Reason: "asked for"})
	}
	return fmt.Errorf("guest %s: no snapshot can be taken: no member serves", id)
}

// refused says why no snapshot of a guest may be stored; empty: they may.
func (k *Keeper) refused(known *record) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return known.guest.Order.SnapshotsRefused
}

func (k *Keeper) record(id string) *record {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.records[id]
}

func (k *Keeper) next(ctx context.Context) bool {
	id, shutdown := k.queue.Get()
	if shutdown {
		return false
	}
	defer k.queue.Done(id)
	if known := k.record(id); known != nil && known.mu.TryLock() {
		k.look(ctx, id, known) // unlocks it, after a step that takes long when that has ended
	}
	return true
}

// again has the guest looked at after a while, with some jitter so that looks spread.
func (k *Keeper) again(id string, after time.Duration) {
	k.queue.AddAfter(id, wait.Jitter(after*9/10, 0.2))
}

// members are the instances of etcd that an order has.
func members(order *v1alpha1.ControlPlaneSpec) []controlplane.Instance {
	return slices.DeleteFunc(controlplane.Instances(order, controlplane.Guest), func(i controlplane.Instance) bool {
		return i.Kind != controlplane.Etcd
	})
}
