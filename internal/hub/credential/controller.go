// Package credential carries tenants' requests for certificates to the cells of their guests, and
// the answers back. It trusts neither side: a tenant reaches only Clusters of its own namespace,
// and a cell's answer is checked before the tenant sees it.
package credential

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/index"
)

// credentialsAtOnce bounds how many requests are carried in parallel.
const credentialsAtOnce = 4

// Add adds the controller to the manager.
func Add(manager ctrl.Manager, clock clock.PassiveClock) error {
	r := &reconciler{client: manager.GetClient(), clock: clock}
	err := ctrl.NewControllerManagedBy(manager).
		Named("credential").
		WithOptions(controller.Options{MaxConcurrentReconciles: credentialsAtOnce}).
		Watches(&v1alpha1.ClusterCredential{}, handler.EnqueueRequestsFromMapFunc(sourceOf)).
		Watches(&v1alpha1.ControlPlane{}, handler.EnqueueRequestsFromMapFunc(r.waiting)).
		Watches(&v1alpha1.Cluster{}, handler.EnqueueRequestsFromMapFunc(r.waiting)).
		Complete(r)
	if err != nil {
		return fmt.Errorf("add controller credential: %w", err)
	}
	return nil
}

// sourceOf is the tenant's request, for itself and for its mirror.
func sourceOf(_ context.Context, object client.Object) []reconcile.Request {
	if source := object.GetAnnotations()[v1alpha1.AnnotationSource]; isCellNamespace(object.GetNamespace()) && source != "" {
		namespace, name, _ := strings.Cut(source, "/")
		return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}}
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKeyFromObject(object)}}
}

// isCellNamespace tells the mirrors' namespaces from those of tenants.
func isCellNamespace(namespace string) bool {
	return strings.HasPrefix(namespace, v1alpha1.CellNamespace(""))
}

// waiting requests for a guest whose Cluster or order changed.
func (r *reconciler) waiting(ctx context.Context, object client.Object) []reconcile.Request {
	key := client.ObjectKeyFromObject(object)
	if controlPlane, ok := object.(*v1alpha1.ControlPlane); ok {
		key = types.NamespacedName{Namespace: controlPlane.Spec.Cluster.Namespace, Name: controlPlane.Spec.Cluster.Name}
	}
	var credentials v1alpha1.ClusterCredentialList
	if err := r.client.List(ctx, &credentials, client.MatchingFields{index.Cluster: key.String()}, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "list ClusterCredentials of a Cluster", "cluster", key)
		return nil
	}
	var requests []reconcile.Request
	for i := range credentials.Items {
		if credentials.Items[i].Status.Certificate == "" {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&credentials.Items[i])})
		}
	}
	return requests
}
