package cluster

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// Priorities in the queue. Clusters whose tenant has not been told anything yet go first: when the API server is slow
// thousands of others may have news, and new ones came after all of them (docs/scale.md). What the caches find when
// they begin has -100 (handler.LowPriority).
const (
	ordinary  = 0
	firstWord = 1
)

// unheard tells whether the tenant has not been told how the guest of a Cluster is.
func unheard(cluster *v1alpha1.Cluster) bool {
	return meta.FindStatusCondition(cluster.Status.Conditions, v1alpha1.ConditionReady) == nil
}

// priority of a Cluster's next look.
func (s *subject) priority() *int {
	if unheard(s.cluster) {
		return new(firstWord)
	}
	return new(ordinary)
}

// firstWords enqueues Clusters, those first whose tenant has not been told anything. One that is in the queue keeps its
// priority when it is added for another reason.
func firstWords() handler.EventHandler {
	var pass handler.EnqueueRequestForObject
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	first := func(object client.Object, q queue) bool {
		cluster, ok := object.(*v1alpha1.Cluster)
		p, hasPriorities := q.(priorityqueue.PriorityQueue[reconcile.Request])
		if !ok || !hasPriorities || !unheard(cluster) {
			return false
		}
		p.AddWithOpts(priorityqueue.AddOpts{Priority: new(firstWord)}, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(cluster)})
		return true
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) {
			if !first(e.Object, q) {
				pass.Create(ctx, e, q)
			}
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			if !first(e.ObjectNew, q) {
				pass.Update(ctx, e, q)
			}
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { pass.Delete(ctx, e, q) },
	}
}
