// Package scheduling gives waiting Clusters a cell: it resolves what they ask for, places them, books what they
// get in the Ledgers, and binds them. It works region by region, the oldest Cluster first; those that leave the
// region to placement are one more queue, over all regions that their residency allows.
package scheduling

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"reflect"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/index"
	"github.com/myriad-fleet/myriad/internal/hub/ledger"
	"github.com/myriad-fleet/myriad/internal/hub/order"
	"github.com/myriad-fleet/myriad/internal/hub/write"
	"github.com/myriad-fleet/myriad/internal/placement"
)

// regionsAtOnce bounds how many regions are scheduled in parallel.
const regionsAtOnce = 16

// Add adds the controller to the manager. It shares the store of Ledgers with whoever else gives room away.
func Add(manager ctrl.Manager, clock clock.PassiveClock, store *ledger.Store, written *write.Versions) error {
	r := &reconciler{client: manager.GetClient(), live: manager.GetAPIReader(), clock: clock, store: store, written: written}
	err := ctrl.NewControllerManagedBy(manager).
		Named("scheduling").
		WithOptions(controller.Options{MaxConcurrentReconciles: regionsAtOnce}).
		Watches(&v1alpha1.Cluster{}, handler.EnqueueRequestsFromMapFunc(regionOf), builder.WithPredicates(clusterChanged())).
		Watches(&v1alpha1.Cell{}, handler.EnqueueRequestsFromMapFunc(regionOf), builder.WithPredicates(cellChanged())).
		Watches(&v1alpha1.ControlPlane{}, handler.EnqueueRequestsFromMapFunc(regionOf), builder.WithPredicates(freed())).
		Watches(&v1alpha1.Region{}, handler.EnqueueRequestsFromMapFunc(r.allRegions)).
		Watches(&v1alpha1.ClusterTemplate{}, handler.EnqueueRequestsFromMapFunc(r.allRegions)).
		Watches(&v1alpha1.Release{}, handler.EnqueueRequestsFromMapFunc(r.allRegions)).
		Watches(&v1alpha1.Gearbox{}, handler.EnqueueRequestsFromMapFunc(r.allRegions), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Complete(r)
	if err != nil {
		return fmt.Errorf("add controller scheduling: %w", err)
	}
	return nil
}

// clusterChanged passes what may make a Cluster wait, or free what it held; its status does not.
func clusterChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		cluster, ok := e.ObjectNew.(*v1alpha1.Cluster)
		if !ok {
			return false
		}
		_, bound := order.BookingOf(cluster)
		return !bound && (e.ObjectOld.GetGeneration() != cluster.Generation ||
			!maps.Equal(e.ObjectOld.GetLabels(), cluster.Labels) ||
			!maps.Equal(e.ObjectOld.GetAnnotations(), cluster.Annotations))
	}}
}

// cellChanged passes what placement looks at, not every report of an agent.
func cellChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, okBefore := e.ObjectOld.(*v1alpha1.Cell)
		after, okAfter := e.ObjectNew.(*v1alpha1.Cell)
		return okBefore && okAfter && (before.Generation != after.Generation ||
			isReady(before) != isReady(after) ||
			placement.RuntimeProblem(before) != placement.RuntimeProblem(after) ||
			!reflect.DeepEqual(before.Status.Zones, after.Status.Zones) ||
			!reflect.DeepEqual(before.Status.RoundTrips, after.Status.RoundTrips) ||
			!reflect.DeepEqual(before.Status.Versions, after.Status.Versions) ||
			!reflect.DeepEqual(before.Status.Orphans, after.Status.Orphans))
	}}
}

func isReady(cell *v1alpha1.Cell) bool {
	return meta.IsStatusConditionTrue(cell.Status.Conditions, v1alpha1.ConditionReady)
}

// freed passes what frees room and ports: deletions, and guests that were given another size.
func freed() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(event.CreateEvent) bool { return false },
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, okBefore := e.ObjectOld.(*v1alpha1.ControlPlane)
			after, okAfter := e.ObjectNew.(*v1alpha1.ControlPlane)
			return okBefore && okAfter && !equality.Semantic.DeepEqual(before.Spec.Size, after.Spec.Size)
		},
	}
}

// regionOf an object, and the Clusters that leave the region to placement where room may have come free for
// them.
func regionOf(_ context.Context, object client.Object) []reconcile.Request {
	switch o := object.(type) {
	case *v1alpha1.Cluster:
		region := cmp.Or(order.RegionOf(o), index.AnyRegion)
		if o.DeletionTimestamp.IsZero() {
			return request(region)
		}
		return append(request(region), request(index.AnyRegion)...)
	case *v1alpha1.Cell:
		return append(request(o.Spec.Region), request(index.AnyRegion)...)
	case *v1alpha1.ControlPlane:
		return append(request(o.Spec.Region), request(index.AnyRegion)...)
	}
	return nil
}

func request(region string) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: region}}}
}

// allRegions that Clusters ask for, whether they exist or not.
func (r *reconciler) allRegions(ctx context.Context, _ client.Object) []reconcile.Request {
	var clusters v1alpha1.ClusterList
	if err := r.client.List(ctx, &clusters, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "list Clusters to schedule them again")
		return nil
	}
	wanted := map[string]bool{}
	for i := range clusters.Items {
		wanted[cmp.Or(order.RegionOf(&clusters.Items[i]), index.AnyRegion)] = true
	}
	var requests []reconcile.Request
	for region := range wanted {
		requests = append(requests, request(region)...)
	}
	return requests
}

// condition of a Cluster that waits.
func condition(cluster *v1alpha1.Cluster, kind, reason, message string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: metav1.ConditionFalse, Reason: reason, Message: message, ObservedGeneration: cluster.Generation}
}
