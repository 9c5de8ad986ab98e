package guest

import (
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// TestFlap: what looks worse for a moment is not reported, what stays worse is.
func TestFlap(t *testing.T) {
	w := newWorld(t)
	w.hub.orders[testID] = testOrder()
	r := w.boot()
	if err := w.settle(r); err != nil {
		t.Fatal(err)
	}
	written := w.hub.written
	w.runtime.set("kube-apiserver-a", func(c *runtime.Component) { c.Ready, c.State = false, runtime.BackOff })
	after, err := r.Reconcile(t.Context(), testID)
	if err != nil || after != grace || w.hub.written != written {
		t.Fatalf("bad news of a moment: looks again after %s, error %v, %d reports", after, err, w.hub.written-written)
	}
	w.clock.Step(grace)
	if _, err := r.Reconcile(t.Context(), testID); err != nil {
		t.Fatal(err)
	}
	w.want(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonUnavailable, "kube-apiserver-a (BackOff)")
	w.clock.Step(time.Minute)
	w.runtime.set("kube-apiserver-a", func(c *runtime.Component) { c.Ready, c.State = true, runtime.Running })
	if _, err := r.Reconcile(t.Context(), testID); err != nil {
		t.Fatal(err)
	}
	w.want(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady, "")
}

// TestRuntimeAway: a supervisor that is being restarted changes nothing that is reported.
func TestRuntimeAway(t *testing.T) {
	w := newWorld(t)
	w.hub.orders[testID] = testOrder()
	r := w.boot()
	if err := w.settle(r); err != nil {
		t.Fatal(err)
	}
	w.runtime.fail = map[string]error{"Observe": errors.New("connection refused")}
	if _, err := r.Reconcile(t.Context(), testID); err == nil {
		t.Error("a runtime that is away is not tried again")
	}
	w.want(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady, "")
	w.clock.Step(awayGrace)
	if _, err := r.Reconcile(t.Context(), testID); err == nil {
		t.Error("a runtime that is away is not tried again")
	}
	w.want(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonApplyFailed, "connection refused")
	if len(w.hub.reports[testID].Endpoints) != 1 {
		t.Error("what the gateways route by was taken away")
	}
}
