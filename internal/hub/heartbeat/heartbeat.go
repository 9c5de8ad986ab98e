// Package heartbeat tells from a cell's Lease whether its agent is alive, and writes that into the
// Ready condition of the Cell. Nobody else writes that condition: what an agent puts there is
// overwritten.
package heartbeat

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/write"
)

// Grace is how long a cell counts as alive after its Lease was last renewed: four renewals. A
// Lease may ask for less by its duration, never for more.
const Grace = 40 * time.Second

// staleRetry is how long a reconciliation that ran on a stale cache waits for the cache.
const staleRetry = 50 * time.Millisecond

// Add adds the controller to the manager.
func Add(manager ctrl.Manager, clock clock.PassiveClock) error {
	r := &reconciler{client: manager.GetClient(), clock: clock, renewals: map[string]renewal{}}
	err := ctrl.NewControllerManagedBy(manager).
		Named("heartbeat").
		For(&v1alpha1.Cell{}).
		Watches(&coordinationv1.Lease{}, handler.EnqueueRequestsFromMapFunc(cellOf)).
		Complete(r)
	if err != nil {
		return fmt.Errorf("add controller heartbeat: %w", err)
	}
	return nil
}

func cellOf(_ context.Context, lease client.Object) []reconcile.Request {
	cell, ok := strings.CutPrefix(lease.GetNamespace(), v1alpha1.CellNamespace(""))
	if !ok {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: cell}}}
}

// reconciler watches over one cell:
//
//  1. read the Cell and its Lease;
//  2. note when the Lease was renewed;
//  3. write the Ready condition if it changed, and come back when the Lease would expire.
type reconciler struct {
	client client.Client
	clock  clock.PassiveClock

	mutex    sync.Mutex
	renewals map[string]renewal
}

// renewal is what was last seen of a Lease, and when by the hub's own clock.
type renewal struct {
	stamp time.Time
	seen  time.Time
}

// Reconcile watches over the cell that the request names.
func (r *reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	var cell v1alpha1.Cell
	if err := r.client.Get(ctx, request.NamespacedName, &cell); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	var lease *coordinationv1.Lease
	found := &coordinationv1.Lease{}
	err := r.client.Get(ctx, client.ObjectKey{Namespace: v1alpha1.CellNamespace(cell.Name), Name: v1alpha1.AgentLease}, found)
	if client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, fmt.Errorf("read Lease of cell %s: %w", cell.Name, err)
	}
	if err == nil {
		lease = found
	}
	now := r.clock.Now()
	condition, left := judge(lease, r.note(cell.Name, lease, now), now)
	condition.ObservedGeneration = cell.Generation
	err = write.Status(ctx, r.client, &cell, func(c *v1alpha1.Cell) { write.Condition(&c.Status.Conditions, now, condition) })
	if apierrors.IsConflict(err) {
		return reconcile.Result{RequeueAfter: staleRetry}, nil
	}
	return reconcile.Result{RequeueAfter: left}, client.IgnoreNotFound(err)
}

// note when the Lease was renewed, by the hub's clock: the clocks of hub and cell may differ. Only
// the first sight of a Lease has nothing but its own stamp to go by.
func (r *reconciler) note(cell string, lease *coordinationv1.Lease, now time.Time) time.Time {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if lease == nil || lease.Spec.RenewTime == nil {
		delete(r.renewals, cell)
		return time.Time{}
	}
	stamp := lease.Spec.RenewTime.Time
	last, known := r.renewals[cell]
	switch {
	case !known && stamp.Before(now):
		last = renewal{stamp: stamp, seen: stamp}
	case !known || !last.stamp.Equal(stamp):
		last = renewal{stamp: stamp, seen: now}
	}
	r.renewals[cell] = last
	return last.seen
}

// judge says how a cell is whose Lease was renewed then, and how long that can last.
func judge(lease *coordinationv1.Lease, renewed, now time.Time) (metav1.Condition, time.Duration) {
	condition := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse}
	if renewed.IsZero() {
		condition.Reason, condition.Message = v1alpha1.ReasonNeverJoined, "no agent has reported for this cell yet"
		return condition, 0
	}
	grace := Grace
	if seconds := lease.Spec.LeaseDurationSeconds; seconds != nil && *seconds > 0 {
		grace = min(grace, time.Duration(*seconds)*time.Second)
	}
	left := renewed.Add(grace).Sub(now)
	if left <= 0 {
		condition.Reason = v1alpha1.ReasonLeaseExpired
		condition.Message = fmt.Sprintf("the agent has not renewed its Lease since %s", renewed.UTC().Format(time.RFC3339))
		return condition, 0
	}
	condition.Status, condition.Reason = metav1.ConditionTrue, v1alpha1.ReasonLeaseFresh
	condition.Message = "the agent renews its Lease"
	return condition, left
}
