package e2e

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// TestSupersededCopyFreezes orders a second copy of a guest, of a higher epoch, in the region's other
// cell. The first copy stops serving and keeps its data.
func TestSupersededCopyFreezes(t *testing.T) {
	s := sharedFleet(t)
	region := "cn-hangzhou"
	if s.lab != nil {
		region = "eu-frankfurt" // from the lab to processes
	}
	g := s.create(t, "mover", "--region", region)
	other := map[string]string{"hz-1": "hz-2", "hz-2": "hz-1", s.labCell(): "fra-1"}[g.cell]
	first, err := g.controlPlane(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second := &v1alpha1.ControlPlane{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: v1alpha1.CellNamespace(other), Name: g.id,
			Labels: maps.Clone(first.Labels), Annotations: maps.Clone(first.Annotations), Finalizers: slices.Clone(first.Finalizers),
		},
		Spec: *first.Spec.DeepCopy(),
	}
	second.Spec.Epoch++
	if err := s.hub.Create(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	eventually(t, healBudget, "the first copy to be frozen", func(ctx context.Context) (string, bool) {
		plane, err := g.controlPlane(ctx)
		if err != nil {
			return err.Error(), false
		}
		frozen := meta.FindStatusCondition(plane.Status.Conditions, v1alpha1.ConditionFrozen)
		return fmt.Sprintf("%+v", plane.Status.Conditions), frozen != nil && frozen.Status == metav1.ConditionTrue && plane.Spec.SupersededBy == second.Spec.Epoch
	})
	eventually(t, healBudget, "only etcd to be left of the first copy", func(context.Context) (string, bool) {
		var names []string
		for component := range g.instances(t) {
			names = append(names, component)
		}
		return fmt.Sprint(names), cmp.Equal(names, []string{"etcd-" + first.Spec.Zones[0]}) || len(names) == 0
	})
	directory, err := g.ground.data(t.Context(), g, "etcd-"+first.Spec.Zones[0])
	if err != nil {
		t.Fatal(err)
	}
	if data, err := os.Stat(filepath.Join(directory, "etcd", "member")); err != nil || !data.IsDir() {
		t.Errorf("the frozen copy keeps its data: %v", err)
	}

	// Deleting the cluster removes both copies.
	s.deleteCluster(t, "default", "mover")
	g.gone(t)
	(&guest{suite: s, ground: s.groundOf(other), name: "mover (second copy)", cell: other, id: g.id}).gone(t)
}
