package cli

import (
	"context"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/suggest"
)

// namesLimit bounds how many objects are read to suggest a name.
const namesLimit = 500

// names lists the names of up to namesLimit objects of a kind.
func names(ctx context.Context, hub client.Client, list client.ObjectList, options ...client.ListOption) ([]string, error) {
	if err := hub.List(ctx, list, append(options, client.Limit(namesLimit))...); err != nil {
		return nil, err
	}
	var found []string
	err := meta.EachListItem(list, func(object runtime.Object) error {
		accessor, err := meta.Accessor(object)
		if err == nil {
			found = append(found, accessor.GetName())
		}
		return err
	})
	return found, err
}

// mustExist fails when no cluster-scoped object of the list's kind has that name, and says what exists.
func mustExist(ctx context.Context, hub client.Client, kind, name string, list client.ObjectList) error {
	existing, err := names(ctx, hub, list)
	if err != nil {
		return explain("list "+kind+"s", err)
	}
	if slices.Contains(existing, name) {
		return nil
	}
	return fail(exitNotFound, "%s", suggest.NotFound(kind, name, existing))
}

// findCluster reads a Cluster of the session's namespace.
func (s *session) findCluster(ctx context.Context, hub client.Client, name string) (*v1alpha1.Cluster, error) {
	cluster := &v1alpha1.Cluster{}
	err := hub.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, cluster)
	if apierrors.IsNotFound(err) && !isUnknownKind(err) {
		return nil, s.clusterNotFound(ctx, hub, name)
	}
	return cluster, explain("read cluster "+name, err)
}

// clusterNotFound says where else a cluster of that name is, or which names are like it.
func (s *session) clusterNotFound(ctx context.Context, hub client.Client, name string) error {
	const missing = "there is no cluster %s in namespace %s"
	var all v1alpha1.ClusterList
	// Tenants may not list other namespaces; then their own must do.
	if err := hub.List(ctx, &all, client.Limit(namesLimit)); err != nil {
		if err := hub.List(ctx, &all, client.InNamespace(s.namespace), client.Limit(namesLimit)); err != nil {
			return fail(exitNotFound, missing+"; run 'myriad cluster list'", name, s.namespace)
		}
	}
	var here []string
	for _, cluster := range all.Items {
		switch {
		case cluster.Namespace == s.namespace:
			here = append(here, cluster.Name)
		case cluster.Name == name:
			return fail(exitNotFound, missing+", but in namespace %s; add '-n %s'", name, s.namespace, cluster.Namespace, cluster.Namespace)
		}
	}
	return fail(exitNotFound, missing+"%s", name, s.namespace, suggest.Among(name, here))
}

// findCell reads a Cell.
func findCell(ctx context.Context, hub client.Client, name string) (*v1alpha1.Cell, error) {
	cell := &v1alpha1.Cell{}
	err := hub.Get(ctx, client.ObjectKey{Name: name}, cell)
	if apierrors.IsNotFound(err) && !isUnknownKind(err) {
		if err := mustExist(ctx, hub, "cell", name, &v1alpha1.CellList{}); err != nil {
			return nil, err
		}
	}
	return cell, explain("read cell "+name, err)
}
