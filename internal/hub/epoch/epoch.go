// Package epoch keeps one live copy of each guest: where a guest has orders in several cells, it
// tells every cell but that of the highest epoch that its copy is superseded.
package epoch

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/index"
	"github.com/myriad-fleet/myriad/internal/hub/write"
)

// Add adds the controller to the manager.
func Add(manager ctrl.Manager) error {
	err := ctrl.NewControllerManagedBy(manager).
		Named("epoch").
		Watches(&v1alpha1.ControlPlane{}, handler.EnqueueRequestsFromMapFunc(idOf), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Complete(&reconciler{client: manager.GetClient()})
	if err != nil {
		return fmt.Errorf("add controller epoch: %w", err)
	}
	return nil
}

func idOf(_ context.Context, object client.Object) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: object.GetName()}}}
}

// reconciler compares the copies of one guest:
//
//  1. read all orders of the id;
//  2. write spec.supersededBy on those of a lower epoch.
type reconciler struct {
	client client.Client
}

// Reconcile compares the copies of the guest whose id the request names.
func (r *reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	var copies v1alpha1.ControlPlaneList
	if err := r.client.List(ctx, &copies, client.MatchingFields{index.ID: request.Name}); err != nil {
		return reconcile.Result{}, fmt.Errorf("list orders of guest %s: %w", request.Name, err)
	}
	for i := range copies.Items {
		superseded := &copies.Items[i]
		highest := highestEpoch(superseded, copies.Items)
		if highest <= superseded.Spec.Epoch || highest == superseded.Spec.SupersededBy {
			continue
		}
		err := write.Object(ctx, r.client, superseded, func(o *v1alpha1.ControlPlane) { o.Spec.SupersededBy = highest })
		if client.IgnoreNotFound(err) != nil {
			return reconcile.Result{}, fmt.Errorf("supersede guest %s in %s: %w", request.Name, superseded.Namespace, err)
		}
	}
	return reconcile.Result{}, nil
}

// highestEpoch of the copies that are for the same Cluster: nothing is frozen for a stranger.
func highestEpoch(of *v1alpha1.ControlPlane, copies []v1alpha1.ControlPlane) int64 {
	highest := of.Spec.Epoch
	for i := range copies {
		if copies[i].Spec.Cluster.Namespace == of.Spec.Cluster.Namespace && copies[i].Spec.Cluster.Name == of.Spec.Cluster.Name {
			highest = max(highest, copies[i].Spec.Epoch)
		}
	}
	return highest
}
