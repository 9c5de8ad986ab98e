package cluster

import (
	"context"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/index"
	"github.com/myriad-fleet/myriad/internal/hub/order"
)

const id = "abcdefghij"

// indexer lets index.Add add its fields to a fake client.
type indexer struct{ builder *fake.ClientBuilder }

func (i indexer) IndexField(_ context.Context, object client.Object, field string, value client.IndexerFunc) error {
	i.builder.WithIndex(object, field, value)
	return nil
}

func api(t *testing.T, objects ...client.Object) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	builder := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&v1alpha1.Cluster{}, &v1alpha1.ControlPlane{})
	if err := index.Add(t.Context(), indexer{builder}); err != nil {
		t.Fatal(err)
	}
	return builder.Build()
}

func bound() *v1alpha1.Cluster {
	cluster := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "prod", UID: "1"}, Spec: v1alpha1.ClusterSpec{Region: "r", Template: "standard"}}
	order.Booking{ID: id, Cell: "c", Zones: []string{"a"}, PlainPort: 20000}.Bind(cluster)
	return cluster
}

func offer() []client.Object {
	return []client.Object{
		&v1alpha1.Region{ObjectMeta: metav1.ObjectMeta{Name: "r"}},
		&v1alpha1.ClusterTemplate{ObjectMeta: metav1.ObjectMeta{Name: "standard"}, Spec: v1alpha1.ClusterTemplateSpec{Version: "v1.36.3"}},
		&v1alpha1.Release{ObjectMeta: metav1.ObjectMeta{Name: "v1.36.3"}},
		&v1alpha1.Cell{ObjectMeta: metav1.ObjectMeta{Name: "c"}, Spec: v1alpha1.CellSpec{Region: "r"}},
	}
}

func reconcileOnce(t *testing.T, cached client.Client, live client.Reader) {
	t.Helper()
	r := &reconciler{client: cached, live: live, clock: testingclock.NewFakePassiveClock(time.Now())}
	if _, err := r.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "team", Name: "prod"}}); err != nil {
		t.Fatal(err)
	}
}

func readOrder(t *testing.T, from client.Reader) (*v1alpha1.ControlPlane, error) {
	t.Helper()
	var found v1alpha1.ControlPlane
	return &found, from.Get(t.Context(), client.ObjectKey{Namespace: "cell-c", Name: id}, &found)
}

func TestOrderIsTakenBackWhenItsClusterIsGone(t *testing.T) {
	again := bound()
	again.UID = "2"
	cases := map[string]struct {
		reason     string
		live       client.Client
		tombstoned bool
	}{
		"There":      {reason: "the Cluster exists", live: api(t, bound())},
		"Gone":       {reason: "it was deleted while the order was written", live: api(t), tombstoned: true},
		"AnotherOne": {reason: "it was deleted and made again", live: api(t, again), tombstoned: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cached := api(t, append(offer(), bound())...)
			reconcileOnce(t, cached, tc.live)
			found, err := readOrder(t, cached)
			if err != nil {
				t.Fatal(err)
			}
			if tombstoned := found.Spec.Tombstone != nil; tombstoned != tc.tombstoned {
				t.Errorf("%s: tombstoned %t, want %t", tc.reason, tombstoned, tc.tombstoned)
			}
		})
	}
}

func TestOrdersOfAClusterThatIsGone(t *testing.T) {
	deleted := []metav1.Condition{{Type: v1alpha1.ConditionDeleted, Status: metav1.ConditionTrue}}
	cases := map[string]struct {
		reason     string
		tombstone  *v1alpha1.Tombstone
		conditions []metav1.Condition
		gone       bool
	}{
		"Removed":      {reason: "its removal was ordered and is done", tombstone: &v1alpha1.Tombstone{ID: id}, conditions: deleted, gone: true},
		"NotYet":       {reason: "the agent has not removed it yet", tombstone: &v1alpha1.Tombstone{ID: id}},
		"NoTombstone":  {reason: "nothing is deleted because something else is missing"},
		"NothingAsked": {reason: "an agent's word alone removes nothing", conditions: deleted},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			existing := &v1alpha1.ControlPlane{
				ObjectMeta: metav1.ObjectMeta{Namespace: "cell-c", Name: id, Finalizers: []string{v1alpha1.Finalizer}},
				Spec:       v1alpha1.ControlPlaneSpec{ID: id, Cluster: v1alpha1.ClusterReference{Namespace: "team", Name: "prod"}, Tombstone: tc.tombstone},
				Status:     v1alpha1.ControlPlaneStatus{Conditions: tc.conditions},
			}
			server := api(t, existing)
			reconcileOnce(t, server, server)
			if _, err := readOrder(t, server); apierrors.IsNotFound(err) != tc.gone {
				t.Errorf("%s: %v", tc.reason, err)
			}
		})
	}
}
