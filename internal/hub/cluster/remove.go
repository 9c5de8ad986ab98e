package cluster

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/order"
	"github.com/myriad-fleet/myriad/internal/hub/write"
)

// removalNews is for how long a removal may last before that is reported, or longer in a rush (longestStart): the deletion
// itself is on the Cluster.
const removalNews = time.Second

// remove the guest of a deleted Cluster: every copy of it, in whatever cells they lie.
func (r *reconciler) remove(ctx context.Context, s *subject) (bool, error) {
	if s.cluster.DeletionTimestamp.IsZero() {
		return false, nil
	}
	for i := range s.orders {
		err := r.removeOrder(ctx, &s.orders[i])
		if apierrors.IsNotFound(err) { // no event may come of an order that the cache never showed
			r.memory.shown(client.ObjectKeyFromObject(s.cluster))
			s.lookAgain(staleRetry)
		}
		if err != nil {
			return true, client.IgnoreNotFound(err)
		}
	}
	if len(s.orders) > 0 {
		return true, r.reportRemoval(ctx, s)
	}
	written, err := r.orderWritten(ctx, s)
	if err != nil || written {
		return true, err
	}
	return true, client.IgnoreNotFound(write.Object(ctx, r.client, s.cluster, func(c *v1alpha1.Cluster) {
		controllerutil.RemoveFinalizer(c, v1alpha1.Finalizer)
	}))
}

// removeOrder tombstones an order; once the agent has reported that nothing remains of the guest,
// the order itself goes.
func (r *reconciler) removeOrder(ctx context.Context, order *v1alpha1.ControlPlane) error {
	if order.Spec.Tombstone == nil {
		return write.Object(ctx, r.client, order, entomb)
	}
	if !meta.IsStatusConditionTrue(order.Status.Conditions, v1alpha1.ConditionDeleted) {
		return nil
	}
	return r.drop(ctx, order)
}

// drop an order itself. What its agent runs is its agent's affair: without a tombstone it becomes an
// orphan. The finalizer goes first: an object without one is gone with its deletion, which otherwise would be a
// change that the agent reports on once more.
func (r *reconciler) drop(ctx context.Context, order *v1alpha1.ControlPlane) error {
	err := write.Object(ctx, r.client, order, func(o *v1alpha1.ControlPlane) {
		controllerutil.RemoveFinalizer(o, v1alpha1.Finalizer)
	})
	if err != nil || !order.DeletionTimestamp.IsZero() { // then it is gone by now
		return err
	}
	if err := r.client.Delete(ctx, order, client.Preconditions{UID: &order.UID}); err != nil {
		return fmt.Errorf("delete order %s: %w", client.ObjectKeyFromObject(order), err)
	}
	return nil
}

func entomb(order *v1alpha1.ControlPlane) {
	order.Spec.Tombstone = &v1alpha1.Tombstone{ID: order.Spec.ID}
}

// orderWritten asks the API server whether there is an order after all: the cache may not show one
// that was written a moment ago. The order's own event brings the Cluster back here.
func (r *reconciler) orderWritten(ctx context.Context, s *subject) (bool, error) {
	if s.booking.ID == "" {
		return false, nil
	}
	var written v1alpha1.ControlPlane
	key := client.ObjectKey{Namespace: v1alpha1.CellNamespace(s.booking.Cell), Name: s.booking.ID}
	if err := r.live.Get(ctx, key, &written); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	return order.BelongsTo(&written, s.cluster), nil
}

func (r *reconciler) reportRemoval(ctx context.Context, s *subject) error {
	if left := r.memory.patience(removalNews, longestStart) - r.clock.Since(s.cluster.DeletionTimestamp.Time); left > 0 && s.cell != nil && isReachable(s.cell) {
		s.again = left // mostly it is gone by then
		return nil
	}
	reason, message := v1alpha1.ReasonDeleting, fmt.Sprintf("cell %s is removing guest %s", s.booking.Cell, s.booking.ID)
	if s.cell == nil || !isReachable(s.cell) {
		reason, message = v1alpha1.ReasonCellUnreachable, fmt.Sprintf("cell %s does not report; the guest is removed when it does", s.booking.Cell)
	}
	return client.IgnoreNotFound(write.Status(ctx, r.client, s.cluster, func(c *v1alpha1.Cluster) {
		write.Condition(&c.Status.Conditions, r.clock.Now(), metav1.Condition{
			Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: reason, Message: message, ObservedGeneration: c.Generation,
		})
	}))
}
