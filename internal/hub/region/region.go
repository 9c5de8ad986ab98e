// Package region prepares what a region's gateways may read in the hub: the list of the region's
// cells, in a namespace of its own.
package region

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	applymetav1 "k8s.io/client-go/applyconfigurations/meta/v1"
	applyrbacv1 "k8s.io/client-go/applyconfigurations/rbac/v1"
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

// resync is how often what somebody took away by hand is put back.
const resync = 10 * time.Minute

// Add adds the controller to the manager. The region's gateways are the instances 1 to gateways.
func Add(manager ctrl.Manager, gateways int) error {
	r := &reconciler{client: manager.GetClient(), gateways: gateways}
	err := ctrl.NewControllerManagedBy(manager).
		Named("region").
		For(&v1alpha1.Region{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.Cell{}, handler.EnqueueRequestsFromMapFunc(regionOf), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Complete(r)
	if err != nil {
		return fmt.Errorf("add controller region: %w", err)
	}
	return nil
}

func regionOf(_ context.Context, object client.Object) []reconcile.Request {
	cell, ok := object.(*v1alpha1.Cell)
	if !ok {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: cell.Spec.Region}}}
}

// reconciler prepares one region:
//
//  1. apply its namespace and the rights of its gateways there;
//  2. apply the ConfigMap that lists its cells.
type reconciler struct {
	client   client.Client
	gateways int
}

// Reconcile prepares the region that the request names.
func (r *reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	var region v1alpha1.Region
	if err := r.client.Get(ctx, request.NamespacedName, &region); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	var cells v1alpha1.CellList
	if err := r.client.List(ctx, &cells, client.MatchingFields{index.Region: region.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return reconcile.Result{}, fmt.Errorf("list cells of region %s: %w", region.Name, err)
	}
	if err := write.Apply(ctx, r.client, objects(&region, cells.Items, r.gateways)...); err != nil {
		return reconcile.Result{}, fmt.Errorf("prepare region %s: %w", region.Name, err)
	}
	return reconcile.Result{RequeueAfter: resync}, nil
}

// objects that a region needs. Its rights go when the Region goes; its namespace stays.
func objects(region *v1alpha1.Region, cells []v1alpha1.Cell, gateways int) []runtime.ApplyConfiguration {
	const name = "gateway"
	namespace := v1alpha1.RegionNamespace(region.Name)
	list := map[string]string{}
	for i := range cells {
		list[cells[i].Name] = ""
	}
	owner := applymetav1.OwnerReference().
		WithAPIVersion(v1alpha1.GroupVersion.String()).WithKind("Region").WithName(region.Name).WithUID(region.UID)
	return []runtime.ApplyConfiguration{
		applycorev1.Namespace(namespace),
		applycorev1.ConfigMap(v1alpha1.RegionCellsConfigMap, namespace).WithData(list),
		applyrbacv1.Role(name, namespace).WithOwnerReferences(owner).WithRules(
			applyrbacv1.PolicyRule().WithAPIGroups(corev1.GroupName).WithResources("configmaps").
				WithResourceNames(v1alpha1.RegionCellsConfigMap).WithVerbs("get", "list", "watch")),
		applyrbacv1.RoleBinding(name, namespace).WithOwnerReferences(owner).
			WithRoleRef(applyrbacv1.RoleRef().WithAPIGroup(rbacv1.GroupName).WithKind("Role").WithName(name)).
			WithSubjects(Gateways(region.Name, gateways)...),
	}
}

// Gateways are the users of a region's gateways, as subjects of a binding.
func Gateways(region string, count int) []*applyrbacv1.SubjectApplyConfiguration {
	subjects := make([]*applyrbacv1.SubjectApplyConfiguration, count)
	for i := range subjects {
		subjects[i] = applyrbacv1.Subject().WithAPIGroup(rbacv1.GroupName).WithKind(rbacv1.UserKind).WithName(v1alpha1.GatewayUser(region, i+1))
	}
	return subjects
}
