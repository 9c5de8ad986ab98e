package kubernetes_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/objects"
)

// TestLife creates, observes and deletes guests of both kinds.
func TestLife(t *testing.T) {
	for _, availability := range []v1alpha1.Availability{v1alpha1.Single, v1alpha1.Zonal} {
		t.Run(string(availability), func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			began := time.Now()
			order, _ := f.create(availability)
			t.Logf("ready after %s", time.Since(began))
			ids, err := f.List(t.Context())
			if err != nil || len(ids) != 1 || ids[0] != order.ID {
				t.Fatalf("List: %v, %v", ids, err)
			}
			began = time.Now()
			if err := f.Delete(t.Context(), order.ID); err != nil {
				t.Fatal(err)
			}
			t.Logf("deleted after %s", time.Since(began))
			namespace := &corev1.Namespace{}
			if err := f.api.Get(t.Context(), client.ObjectKey{Name: objects.NamespaceName(order.ID)}, namespace); !apierrors.IsNotFound(err) {
				t.Errorf("the namespace is still there: %v", err)
			}
			var volumes corev1.PersistentVolumeList
			if err := f.api.List(t.Context(), &volumes); err != nil {
				t.Fatal(err)
			}
			for _, volume := range volumes.Items {
				if volume.Spec.ClaimRef.Namespace == objects.NamespaceName(order.ID) {
					t.Errorf("volume %s is still there", volume.Name)
				}
			}
			if err := f.Delete(t.Context(), order.ID); err != nil {
				t.Errorf("deleting it once more: %v", err)
			}
			if o, err := f.Observe(t.Context(), order.ID); err != nil || o.Exists {
				t.Errorf("observed after it was deleted: %+v, %v", o, err)
			}
		})
	}
}
