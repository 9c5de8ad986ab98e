// Package cell reports how the cell as a whole is: its capacity, its guests, and those of them that
// the hub has forgotten.
package cell

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/agent/orders"
	"github.com/myriad-fleet/myriad/internal/roundtrip"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

const (
	// lookAgain is how often the cell is looked at without any event.
	lookAgain = time.Minute
	// pause after each report and each try.
	pause = time.Second
	// countPause is for how long a report waits that would only change the number of guests: it is for people, and a
	// burst of new guests changes it all the time.
	countPause = 30 * time.Second
)

// Hub holds the Cell and the orders, and takes the report.
type Hub interface {
	Cell() *v1alpha1.Cell
	ControlPlane(id string) (order *v1alpha1.ControlPlane, synced bool)
	ApplyCell(ctx context.Context, status v1alpha1.CellStatus) error
}

// Runtime knows what the cell can carry.
type Runtime interface {
	Capacity(ctx context.Context) (runtime.Capacity, error)
}

// Orders are the orders on disk.
type Orders interface {
	IDs() []string
	Get(id string) orders.Order
}

// Options of a Reporter.
type Options struct {
	Hub Hub
	// Runtime may also be a Watcher, a Judge and Zoned.
	Runtime Runtime
	Orders  Orders
	// Versions of Kubernetes that the cell can run.
	Versions func() ([]string, error)
	// AgentVersion is the version of Myriad that the agent runs.
	AgentVersion string
	// Snapshots says that the agent has a store of snapshots, and SnapshotsRegion in which Region it lies;
	// empty: the cell's own.
	Snapshots       bool
	SnapshotsRegion string
	// Drills in force; false while that is not known.
	Drills func() ([]v1alpha1.Drill, bool)
	// Request (PEM) for the agent's next certificate; empty for none.
	Request func() string
	// RoundTrips between zones as measured lately; nil for none.
	RoundTrips func() []v1alpha1.RoundTrip
	Clock      clock.Clock
	Log        *slog.Logger
}

// Reporter reports on one cell.
type Reporter struct {
	Options
	changed chan struct{}
	since   map[string]metav1.Time // when each orphan was first missed
	failing map[string]bool        // by what was logged, until it works again
	counted time.Time              // when the number of guests was last written
	recount time.Duration          // until it may be written again; 0: it is as it should be

	mu      sync.Mutex
	verdict *verdict // the runtime's last one; nil before the first
}

// New makes a Reporter; Run makes it report.
func New(options Options) *Reporter {
	return &Reporter{Options: options, changed: make(chan struct{}, 1), since: map[string]metav1.Time{}, failing: map[string]bool{}}
}

// Changed says that there may be something new to report.
func (r *Reporter) Changed() {
	select {
	case r.changed <- struct{}{}:
	default: // one is waiting already
	}
}

// Run reports until the context ends: at once when something changed, but not more than once a
// second.
func (r *Reporter) Run(ctx context.Context) {
	var others sync.WaitGroup
	defer others.Wait()
	if watcher, ok := r.Runtime.(Watcher); ok {
		others.Go(func() { r.follow(ctx, watcher.Changed()) })
	}
	if judge, ok := r.Runtime.(Judge); ok {
		others.Go(func() { r.judge(ctx, judge) })
	}
	for {
		again := lookAgain
		if err := r.Report(ctx); err != nil && ctx.Err() == nil {
			r.Log.Debug("the cell's status could not be written; it is tried again", "error", err)
			again = pause
		}
		if r.recount > 0 {
			again = min(again, r.recount)
		}
		if !r.wait(ctx, nil, pause) || !r.wait(ctx, r.changed, again) {
			return
		}
	}
}

// wait returns after the pause or when something changed, and false when the context ended.
func (r *Reporter) wait(ctx context.Context, changed <-chan struct{}, pause time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-changed:
	case <-r.Clock.After(pause):
	}
	return true
}

// Report writes the status of the Cell if it differs from what the hub has.
func (r *Reporter) Report(ctx context.Context) error {
	cell := r.Hub.Cell()
	if cell == nil {
		return nil
	}
	status := r.status(ctx, cell)
	r.hold(&status, cell)
	if equality.Semantic.DeepEqual(status, cell.Status) {
		return nil
	}
	recounted := status.Guests != cell.Status.Guests
	if err := r.Hub.ApplyCell(ctx, status); err != nil {
		return err
	}
	if recounted {
		r.counted = r.Clock.Now()
	}
	return nil
}

// hold back a new number of guests that comes too soon after the last one.
func (r *Reporter) hold(status *v1alpha1.CellStatus, cell *v1alpha1.Cell) {
	r.recount = 0
	if status.Guests == cell.Status.Guests {
		return
	}
	if since := r.Clock.Since(r.counted); since >= 0 && since < countPause {
		status.Guests, r.recount = cell.Status.Guests, countPause-since
	}
}

// status is what the Cell's should be. What cannot be found out now stays as it is.
func (r *Reporter) status(ctx context.Context, cell *v1alpha1.Cell) v1alpha1.CellStatus {
	status := *cell.Status.DeepCopy()
	status.AgentVersion, status.CertificateRequest, status.SnapshotRegion = r.AgentVersion, r.Request(), ""
	if r.Snapshots {
		status.SnapshotRegion = cmp.Or(r.SnapshotsRegion, cell.Spec.Region)
	}
	r.tellZones(cell)
	if capacity, err := r.Runtime.Capacity(ctx); r.worked("the cell's capacity", err) {
		status.Zones = capacity
	}
	if versions, err := r.Versions(); r.worked("the versions that the cell can run", err) {
		status.Versions = slices.Sorted(slices.Values(versions))
	}
	if drills, known := r.Drills(); known {
		status.Drills = drills
	}
	status.Guests, status.Orphans = r.guests(cell)
	status.Conditions = r.conditions(cell)
	if r.RoundTrips != nil {
		status.RoundTrips = roundtrip.Settle(cell.Spec.Zones, cell.Status.RoundTrips, r.RoundTrips())
	}
	return status
}

// guests counts the guests and lists the orphans: those that the hub is known to have no order for.
func (r *Reporter) guests(cell *v1alpha1.Cell) (int32, []v1alpha1.Orphan) {
	var guests int32
	var orphans []v1alpha1.Orphan
	since := map[string]metav1.Time{}
	for _, id := range r.Orders.IDs() {
		order := r.Orders.Get(id)
		if order.Spec == nil {
			continue
		}
		guests++
		wanted, synced := r.Hub.ControlPlane(id)
		if !synced {
			orphans = append(orphans, reported(cell, id)...)
			continue
		}
		if wanted != nil || order.Entombed {
			continue
		}
		since[id] = r.firstMissed(cell, id)
		orphans = append(orphans, v1alpha1.Orphan{ID: id, Since: since[id], Order: *order.Spec})
	}
	r.since = since
	return guests, orphans
}

// firstMissed is when an orphan was first missed: as reported before, or now.
func (r *Reporter) firstMissed(cell *v1alpha1.Cell, id string) metav1.Time {
	if since, known := r.since[id]; known {
		return since
	}
	for _, orphan := range reported(cell, id) {
		return orphan.Since
	}
	r.Log.Warn("the hub has no order for a guest that lives here; it keeps running and is reported as an orphan", "guest", id)
	return metav1.NewTime(r.Clock.Now()).Rfc3339Copy()
}

func reported(cell *v1alpha1.Cell, id string) []v1alpha1.Orphan {
	i := slices.IndexFunc(cell.Status.Orphans, func(o v1alpha1.Orphan) bool { return o.ID == id })
	if i < 0 {
		return nil
	}
	return cell.Status.Orphans[i : i+1]
}

// worked tells whether something could be found out, and logs once when it could not.
func (r *Reporter) worked(what string, err error) bool {
	if err != nil && !r.failing[what] {
		r.Log.Warn("something about the cell cannot be found out; what was reported last stays", "what", what, "error", err)
	}
	r.failing[what] = err != nil
	return err == nil
}
