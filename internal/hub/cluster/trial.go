package cluster

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/index"
	"github.com/myriad-fleet/myriad/internal/hub/order"
	"github.com/myriad-fleet/myriad/internal/hub/write"
)

// trialTime is how long an order stays on trial: longer than a DELETE that read the Cluster before
// its bind can be under way. The API server gives a request 60 s (its --request-timeout); the rest is
// for clocks that differ.
const trialTime = 5 * time.Minute

// longestTrial bounds a trial that ends later because there was more urgent work, and busyRetry is the time until the
// next look then.
const longestTrial, busyRetry = 30 * time.Minute, time.Minute

// overdueIn is the time over which a hub that has just begun ends the trials that were over before: all at once they
// held up everything else that it finds.
const overdueIn = 5 * time.Minute

// endTrial of an order that is old enough, when its Cluster still exists.
func (r *reconciler) endTrial(ctx context.Context, s *subject) (bool, error) {
	if s.order == nil {
		return false, nil
	}
	if _, onTrial := order.TrialOf(s.order); !onTrial {
		return false, nil
	}
	now := r.clock.Now()
	age, left := now.Sub(s.order.CreationTimestamp.Time), trialEnd(s.order, r.memory.since(now)).Sub(now)
	switch {
	case left > 0:
		s.lookAgain(left)
		return false, nil
	case r.memory.rush() && age < longestTrial: // Clusters wait for what the API server would do for this
		s.lookAgain(busyRetry)
		return false, nil
	}
	vanished, err := r.vanished(ctx, s.order)
	if err != nil || vanished {
		return vanished, err // the event of its removal brings the Cluster here again
	}
	return false, write.Object(ctx, r.client, s.order, order.EndTrial)
}

// trialEnd is when the trial of an order ends for a hub that began at that time.
func trialEnd(order *v1alpha1.ControlPlane, began time.Time) time.Time {
	end := order.CreationTimestamp.Add(trialTime)
	if !end.Before(began) {
		return end
	}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(order.UID)) // never fails
	return began.Add(time.Duration(hash.Sum32()) * time.Millisecond % overdueIn)
}

func (r *reconciler) clearStrays(ctx context.Context, s *subject) (bool, error) {
	return false, r.clear(ctx, s.strays)
}

// finish off the orders whose Cluster is gone. Every order comes here at least when the hub starts.
func (r *reconciler) finish(ctx context.Context, cluster types.NamespacedName) (reconcile.Result, error) {
	var orders v1alpha1.ControlPlaneList
	if err := r.client.List(ctx, &orders, client.MatchingFields{index.Cluster: cluster.String()}); err != nil {
		return reconcile.Result{}, fmt.Errorf("list orders of Cluster %s: %w", cluster, err)
	}
	err := r.clear(ctx, orders.Items)
	if apierrors.IsConflict(err) {
		return reconcile.Result{RequeueAfter: staleRetry}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("remove what is left of Cluster %s: %w", cluster, err)
	}
	return reconcile.Result{}, nil
}

// clear away orders that have lost their Cluster: those that were tombstoned before, and those on
// trial. All others stay: nothing is deleted because something else is missing. A Cluster of the same
// name that somebody makes again gets them back.
func (r *reconciler) clear(ctx context.Context, orders []v1alpha1.ControlPlane) error {
	for i := range orders {
		if err := r.clearOrder(ctx, &orders[i]); err != nil {
			return err
		}
	}
	return nil
}

func (r *reconciler) clearOrder(ctx context.Context, lost *v1alpha1.ControlPlane) error {
	if lost.Spec.Tombstone != nil {
		return client.IgnoreNotFound(r.removeOrder(ctx, lost))
	}
	trial, onTrial := order.TrialOf(lost)
	if !onTrial {
		ctrl.LoggerFrom(ctx).Info("an order has no Cluster and stays; make the Cluster again to have it back, or to delete it",
			"order", client.ObjectKeyFromObject(lost), "cluster", clusterKey(lost))
		return nil
	}
	vanished, err := r.vanished(ctx, lost)
	if err != nil || !vanished {
		return err
	}
	if trial.Orphan {
		return client.IgnoreNotFound(r.drop(ctx, lost))
	}
	return client.IgnoreNotFound(r.removeOrder(ctx, lost))
}

// vanished asks the API server whether the Cluster of an order on trial is gone for good. It asks
// with a list: "not found" is also what an API server says that does not serve Clusters at present.
func (r *reconciler) vanished(ctx context.Context, onTrial *v1alpha1.ControlPlane) (bool, error) {
	key := clusterKey(onTrial)
	var clusters v1alpha1.ClusterList
	if err := r.live.List(ctx, &clusters, client.InNamespace(key.Namespace), client.MatchingFields{metav1.ObjectNameField: key.Name}); err != nil {
		return false, fmt.Errorf("see whether Cluster %s exists: %w", key, err)
	}
	for i := range clusters.Items {
		if !order.IsStray(onTrial, &clusters.Items[i]) {
			return false, nil
		}
	}
	return true, nil
}

func clusterKey(order *v1alpha1.ControlPlane) types.NamespacedName {
	return types.NamespacedName{Namespace: order.Spec.Cluster.Namespace, Name: order.Spec.Cluster.Name}
}
