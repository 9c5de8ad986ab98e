package cluster

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/index"
	"github.com/myriad-fleet/myriad/internal/hub/order"
	"github.com/myriad-fleet/myriad/internal/hub/write"
)

const id = "abcdefghij"

// now is the time of all tests: whole seconds, as the API keeps them.
var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// indexer lets index.Add add its fields to a fake client.
type indexer struct{ builder *fake.ClientBuilder }

func (i indexer) IndexField(_ context.Context, object client.Object, field string, value client.IndexerFunc) error {
	i.builder.WithIndex(object, field, value)
	return nil
}

func api(t *testing.T, objects ...client.Object) client.Client {
	t.Helper()
	return apiWith(t, interceptor.Funcs{}, objects...)
}

func apiWith(t *testing.T, funcs interceptor.Funcs, objects ...client.Object) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	builder := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&v1alpha1.Cluster{}, &v1alpha1.ControlPlane{}).WithInterceptorFuncs(funcs).
		WithIndex(&v1alpha1.Cluster{}, metav1.ObjectNameField, func(o client.Object) []string { return []string{o.GetName()} })
	if err := index.Add(t.Context(), indexer{builder}); err != nil {
		t.Fatal(err)
	}
	return builder.Build()
}

func bound() *v1alpha1.Cluster {
	cluster := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "prod", UID: "1"}, Spec: v1alpha1.ClusterSpec{Region: "r", Template: "standard"}}
	order.Booking{ID: id, Region: "r", Cell: "c", Zones: []string{"a"}, PlainPort: 20000}.Bind(cluster)
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

func reconcileOnce(t *testing.T, cached client.Client, live client.Reader) reconcile.Result {
	t.Helper()
	result, err := tryReconcile(t, cached, live)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func tryReconcile(t *testing.T, cached client.Client, live client.Reader) (reconcile.Result, error) {
	t.Helper()
	r := &reconciler{client: cached, live: live, clock: testingclock.NewFakePassiveClock(now), written: &write.Versions{}, memory: newMemory()}
	return r.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "team", Name: "prod"}})
}

func readOrder(t *testing.T, from client.Reader) (*v1alpha1.ControlPlane, error) {
	t.Helper()
	var found v1alpha1.ControlPlane
	return &found, from.Get(t.Context(), client.ObjectKey{Namespace: "cell-c", Name: id}, &found)
}
