// Package cluster looks after bound Clusters: it writes their order into the cell, tells tenants how
// their guests are, and removes guests whose Cluster is deleted.
package cluster

import (
	"context"
	"fmt"
	"reflect"

	"k8s.io/apimachinery/pkg/api/meta"
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
	"github.com/myriad-fleet/myriad/internal/hub/write"
)

// clustersAtOnce bounds how many Clusters are reconciled in parallel. Each waits for the API server most of the time:
// with 8 a busy one, whose answers took 400 ms, got six Clusters a second out of us (docs/scale.md).
const clustersAtOnce = 64

// Add adds the controller to the manager. New orders get the given render revision.
func Add(manager ctrl.Manager, clock clock.PassiveClock, renderRevision int64, written *write.Versions) error {
	r := &reconciler{client: manager.GetClient(), live: manager.GetAPIReader(), clock: clock, renderRevision: renderRevision, written: written, memory: newMemory()}
	err := ctrl.NewControllerManagedBy(manager).
		Named("cluster").
		WithOptions(controller.Options{MaxConcurrentReconciles: clustersAtOnce}).
		Watches(&v1alpha1.Cluster{}, firstWords()).
		Watches(&v1alpha1.ControlPlane{}, handler.EnqueueRequestsFromMapFunc(clusterOf)).
		Watches(&v1alpha1.Cell{}, handler.EnqueueRequestsFromMapFunc(r.clustersIn), builder.WithPredicates(reachChanged())).
		Watches(&v1alpha1.Region{}, handler.EnqueueRequestsFromMapFunc(r.residentsOf), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Complete(r)
	if err != nil {
		return fmt.Errorf("add controller cluster: %w", err)
	}
	return nil
}

func clusterOf(_ context.Context, object client.Object) []reconcile.Request {
	controlPlane, ok := object.(*v1alpha1.ControlPlane)
	if !ok {
		return nil
	}
	reference := controlPlane.Spec.Cluster
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: reference.Namespace, Name: reference.Name}}}
}

// reachChanged passes when a cell comes, goes, or changes what it can be relied on for.
func reachChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, okBefore := e.ObjectOld.(*v1alpha1.Cell)
		after, okAfter := e.ObjectNew.(*v1alpha1.Cell)
		return okBefore && okAfter && (isReachable(before) != isReachable(after) ||
			before.Status.SnapshotRegion != after.Status.SnapshotRegion ||
			!reflect.DeepEqual(before.Status.Orphans, after.Status.Orphans))
	}}
}

func isReachable(cell *v1alpha1.Cell) bool {
	return meta.IsStatusConditionTrue(cell.Status.Conditions, v1alpha1.ConditionReady)
}

// residentsOf a region are the Clusters there that ask for a residency: what it holds may have changed.
func (r *reconciler) residentsOf(ctx context.Context, region client.Object) []reconcile.Request {
	var clusters v1alpha1.ClusterList
	if err := r.client.List(ctx, &clusters, client.MatchingFields{index.Region: region.GetName()}, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "list Clusters of a region", "region", region.GetName())
		return nil
	}
	var requests []reconcile.Request
	for i := range clusters.Items {
		if clusters.Items[i].Spec.Residency != nil {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&clusters.Items[i])})
		}
	}
	return requests
}

func (r *reconciler) clustersIn(ctx context.Context, cell client.Object) []reconcile.Request {
	var clusters v1alpha1.ClusterList
	if err := r.client.List(ctx, &clusters, client.MatchingFields{index.Cell: cell.GetName()}, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "list Clusters of a cell", "cell", cell.GetName())
		return nil
	}
	requests := make([]reconcile.Request, len(clusters.Items))
	for i := range clusters.Items {
		requests[i].NamespacedName = client.ObjectKeyFromObject(&clusters.Items[i])
	}
	return requests
}
