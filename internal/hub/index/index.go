// Package index names the fields by which the hub's cache finds objects.
package index

import (
	"cmp"
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/order"
)

// The indexed fields.
const (
	// Region of Cells and ControlPlanes, and of Clusters the one that they ask for or are bound in; those that
	// wait for any have AnyRegion.
	Region = "spec.region"
	// AnyRegion is the value of Region for Clusters that leave it to placement and are not bound.
	AnyRegion = "*"
	// Cell that a Cluster is bound to.
	Cell = "cell"
	// Cluster, as <namespace>/<name>, that a ControlPlane is an order for or that a tenant's
	// ClusterCredential asks for.
	Cluster = "cluster"
	// Tenant is the namespace of the Cluster that a ControlPlane is an order for.
	Tenant = "tenant"
	// ID of a ControlPlane.
	ID = "spec.id"
	// Source, as <namespace>/<name>, that a mirrored ClusterCredential comes from.
	Source = "source"
)

// field is one index.
type field struct {
	object client.Object
	name   string
	value  func(client.Object) []string
}

var fields = []field{
	{object: &v1alpha1.Cluster{}, name: Region, value: of(func(c *v1alpha1.Cluster) string { return cmp.Or(order.RegionOf(c), AnyRegion) })},
	{object: &v1alpha1.Cluster{}, name: Cell, value: of(func(c *v1alpha1.Cluster) string { return c.Labels[v1alpha1.LabelCell] })},
	{object: &v1alpha1.Cell{}, name: Region, value: of(func(c *v1alpha1.Cell) string { return c.Spec.Region })},
	{object: &v1alpha1.ControlPlane{}, name: Region, value: of(func(c *v1alpha1.ControlPlane) string { return c.Spec.Region })},
	{object: &v1alpha1.ControlPlane{}, name: ID, value: of(func(c *v1alpha1.ControlPlane) string { return c.Spec.ID })},
	{object: &v1alpha1.ControlPlane{}, name: Tenant, value: of(func(c *v1alpha1.ControlPlane) string { return c.Spec.Cluster.Namespace })},
	{object: &v1alpha1.ControlPlane{}, name: Cluster, value: of(func(c *v1alpha1.ControlPlane) string {
		return c.Spec.Cluster.Namespace + "/" + c.Spec.Cluster.Name
	})},
	{object: &v1alpha1.ClusterCredential{}, name: Cluster, value: of(func(c *v1alpha1.ClusterCredential) string {
		return c.Namespace + "/" + c.Spec.Cluster
	})},
	{object: &v1alpha1.ClusterCredential{}, name: Source, value: of(func(c *v1alpha1.ClusterCredential) string {
		return c.Annotations[v1alpha1.AnnotationSource]
	})},
}

// Add adds every index to the cache.
func Add(ctx context.Context, indexer client.FieldIndexer) error {
	for _, f := range fields {
		if err := indexer.IndexField(ctx, f.object, f.name, f.value); err != nil {
			return fmt.Errorf("index %T by %s: %w", f.object, f.name, err)
		}
	}
	return nil
}

func of[T client.Object](value func(T) string) func(client.Object) []string {
	return func(object client.Object) []string {
		typed, ok := object.(T)
		if !ok || value(typed) == "" {
			return nil
		}
		return []string{value(typed)}
	}
}
