// Package gears shifts the gears of guests: it asks the pure package gear which gear each guest of a cell
// should have, and writes that into its order. It works cell by cell, because room belongs to a cell and must
// not be given away twice.
package gears

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/ledger"
	"github.com/myriad-fleet/myriad/internal/hub/write"
)

const (
	// cellsAtOnce bounds how many cells are looked at in parallel.
	cellsAtOnce = 4
	// gather is how long what happens in a cell is collected before it is looked at, so that 250 agents'
	// reports that come together cost one pass and not 250. It is short beside every delay of a Gearbox in
	// use: 30 s up is the shortest one published (HyperShift).
	gather = time.Second
)

// Add adds the controller to the manager. It shares the store of Ledgers with whoever else gives room away.
func Add(manager ctrl.Manager, clock clock.PassiveClock, store *ledger.Store, written *write.Versions) error {
	blocked, err := register(metrics.Registry)
	if err != nil {
		return fmt.Errorf("add controller gears: %w", err)
	}
	r := &reconciler{
		client: manager.GetClient(), live: manager.GetAPIReader(), clock: clock,
		store: store, written: written, restarts: newRestarts(), quiet: newQuiet(), blocked: blocked, idle: &atomic.Bool{},
	}
	err = ctrl.NewControllerManagedBy(manager).
		Named("gears").
		WithOptions(controller.Options{MaxConcurrentReconciles: cellsAtOnce}).
		Watches(&v1alpha1.Cell{}, gathered(cellOf), builder.WithPredicates(cellChanged())).
		Watches(&v1alpha1.ControlPlane{}, gathered(cellOf), builder.WithPredicates(orderChanged())).
		Watches(&v1alpha1.Cluster{}, gathered(cellOf), builder.WithPredicates(clusterChanged())).
		Watches(&v1alpha1.ClusterTemplate{}, gathered(r.allCells), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.Gearbox{}, gathered(r.allCells), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Complete(r)
	if err != nil {
		return fmt.Errorf("add controller gears: %w", err)
	}
	return nil
}

// gathered enqueues the cells of an object, each after the time to gather.
func gathered(cells handler.MapFunc) handler.EventHandler {
	enqueue := func(ctx context.Context, object client.Object, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		for _, request := range cells(ctx, object) {
			queue.AddAfter(request, gather)
		}
	}
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { enqueue(ctx, e.Object, q) },
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { enqueue(ctx, e.Object, q) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			enqueue(ctx, e.ObjectOld, q)
			enqueue(ctx, e.ObjectNew, q)
		},
	}
}

// cellOf an order, a bound Cluster, or a Cell itself.
func cellOf(_ context.Context, object client.Object) []reconcile.Request {
	name := ""
	switch o := object.(type) {
	case *v1alpha1.Cell:
		name = o.Name
	case *v1alpha1.ControlPlane:
		name = strings.TrimPrefix(o.Namespace, v1alpha1.CellNamespace(""))
	case *v1alpha1.Cluster:
		name = o.Labels[v1alpha1.LabelCell]
	}
	if name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: name}}}
}

func (r *reconciler) allCells(ctx context.Context, _ client.Object) []reconcile.Request {
	var cells v1alpha1.CellList
	if err := r.client.List(ctx, &cells, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "list Cells to look at their gears again")
		return nil
	}
	requests := make([]reconcile.Request, len(cells.Items))
	for i := range cells.Items {
		requests[i].Name = cells.Items[i].Name
	}
	return requests
}

// cellChanged passes what shifts depend on, not every report of an agent.
func cellChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, okBefore := e.ObjectOld.(*v1alpha1.Cell)
		after, okAfter := e.ObjectNew.(*v1alpha1.Cell)
		return okBefore && okAfter && (before.Generation != after.Generation ||
			isReachable(before) != isReachable(after) ||
			!reflect.DeepEqual(before.Status.Zones, after.Status.Zones) ||
			!reflect.DeepEqual(before.Status.Orphans, after.Status.Orphans))
	}}
}

func isReachable(cell *v1alpha1.Cell) bool {
	return meta.IsStatusConditionTrue(cell.Status.Conditions, v1alpha1.ConditionReady)
}

// orderChanged passes what a gear follows from: the order itself, the load, and whether the guest is as
// ordered.
func orderChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, okBefore := e.ObjectOld.(*v1alpha1.ControlPlane)
		after, okAfter := e.ObjectNew.(*v1alpha1.ControlPlane)
		return okBefore && okAfter && (before.Generation != after.Generation ||
			before.Status.ObservedGeneration != after.Status.ObservedGeneration ||
			!sameCondition(before, after, v1alpha1.ConditionReady) ||
			!sameCondition(before, after, v1alpha1.ConditionProgressing) ||
			!reflect.DeepEqual(before.Status.Load, after.Status.Load))
	}}
}

func sameCondition(a, b *v1alpha1.ControlPlane, kind string) bool {
	var none metav1.Condition
	before, after := meta.FindStatusCondition(a.Status.Conditions, kind), meta.FindStatusCondition(b.Status.Conditions, kind)
	if before == nil {
		before = &none
	}
	if after == nil {
		after = &none
	}
	return before.Status == after.Status && before.Reason == after.Reason
}

// clusterChanged passes what a user or the bind changes; what the hub reports in the status does not
// matter, for it reports the gear there itself.
func clusterChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() ||
			!reflect.DeepEqual(e.ObjectOld.GetLabels(), e.ObjectNew.GetLabels()) ||
			e.ObjectOld.GetDeletionTimestamp().IsZero() != e.ObjectNew.GetDeletionTimestamp().IsZero()
	}}
}
