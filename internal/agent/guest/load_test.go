package guest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// TestLoad: the guest's load goes to the hub as it was sampled; while none was, the hub's stays.
func TestLoad(t *testing.T) {
	w := newWorld(t)
	w.load = fakeLoad{}
	order := testOrder()
	before := &v1alpha1.Load{SampledAt: metav1.NewTime(w.clock.Now().Add(-time.Hour)), Missing: []v1alpha1.LoadMetricName{v1alpha1.LoadNodes}}
	order.Status.Load = before
	w.hub.orders[testID] = order
	r := w.boot()
	if err := w.settle(r); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, w.hub.reports[testID].Load); diff != "" {
		t.Errorf("what the hub had (-want +got):\n%s", diff)
	}
	w.load[testID] = &v1alpha1.Load{SampledAt: metav1.NewTime(w.clock.Now())}
	if _, err := r.Reconcile(t.Context(), testID); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(w.load[testID], w.hub.reports[testID].Load); diff != "" {
		t.Errorf("what was sampled (-want +got):\n%s", diff)
	}
}

// TestOlderBootstrap: a guest that an older agent has set up gets what has come since, and serves meanwhile.
func TestOlderBootstrap(t *testing.T) {
	w := newWorld(t)
	w.hub.orders[testID] = testOrder()
	w.inside.notes[testID] = true
	w.inside.older = map[string]bool{testID: true}
	r := w.boot()
	if err := w.settle(r); err != nil {
		t.Fatal(err)
	}
	w.want(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady, "")
	if w.inside.runs != 1 || w.inside.older[testID] {
		t.Errorf("bootstrapped %d times, want once more", w.inside.runs)
	}
}
