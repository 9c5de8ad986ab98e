// Package cell prepares what a cell's agent needs in the hub: its namespace, its rights, and its
// own share of the API server.
package cell

import (
	"context"
	"fmt"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/write"
)

// resync is how often what somebody took away by hand is put back.
const resync = 10 * time.Minute

// Add adds the controller to the manager. The gateways of a cell's region are the instances 1 to
// gateways.
func Add(manager ctrl.Manager, gateways int) error {
	r := &reconciler{client: manager.GetClient(), gateways: gateways}
	err := ctrl.NewControllerManagedBy(manager).
		Named("cell").
		For(&v1alpha1.Cell{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Complete(r)
	if err != nil {
		return fmt.Errorf("add controller cell: %w", err)
	}
	return nil
}

// reconciler prepares one cell:
//
//  1. apply its namespace;
//  2. apply the rights of its agent and of its region's gateways: a higher credential generation
//     binds another user name, which revokes every earlier certificate;
//  3. apply its priority level, and that of people, which all cells share.
//
// The rights and its level are owned by the Cell and go with it. The namespace stays: it may hold orders, and
// nothing is deleted because something else is missing.
type reconciler struct {
	client   client.Client
	gateways int
}

// Reconcile prepares the cell that the request names.
func (r *reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	var cell v1alpha1.Cell
	if err := r.client.Get(ctx, request.NamespacedName, &cell); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	objects := namespace(&cell)
	objects = append(objects, agentRights(&cell)...)
	objects = append(objects, gatewayRights(&cell, r.gateways)...)
	objects = append(objects, priority(&cell)...)
	objects = append(objects, people()...)
	if err := write.Apply(ctx, r.client, objects...); err != nil {
		return reconcile.Result{}, fmt.Errorf("prepare cell %s: %w", cell.Name, err)
	}
	return reconcile.Result{RequeueAfter: resync}, nil
}
