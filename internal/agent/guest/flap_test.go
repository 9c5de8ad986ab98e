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

// TestRuntimeBack: a runtime that was away and is back may need a moment to see its guests. How long it was away does
// not count against them, and what stays worse is reported however the reasons change.
func TestRuntimeBack(t *testing.T) {
	w := newWorld(t)
	w.hub.orders[testID] = testOrder()
	r := w.boot()
	if err := w.settle(r); err != nil {
		t.Fatal(err)
	}
	away, ready := map[string]error{"Observe": errors.New("connection refused")}, func(is bool) {
		w.runtime.set("kube-apiserver-a", func(c *runtime.Component) { c.Ready = is })
	}
	steps := []struct {
		reason string
		after  time.Duration
		fail   map[string]error
		ready  bool
		want   string
	}{
		{"it goes", 0, away, true, v1alpha1.ReasonReady},
		{"it is back, and does not see the guest yet", 20 * time.Second, nil, false, v1alpha1.ReasonReady},
		{"it sees the guest", grace / 2, nil, true, v1alpha1.ReasonReady},
		{"the guest is down", time.Minute, nil, false, v1alpha1.ReasonReady},
		{"it goes once more", grace / 2, away, false, v1alpha1.ReasonReady},
		{"it is back, and the guest has been down all along", grace / 2, nil, false, v1alpha1.ReasonUnavailable},
	}
	for _, step := range steps {
		w.clock.Step(step.after)
		w.runtime.fail = step.fail
		ready(step.ready)
		if _, err := r.Reconcile(t.Context(), testID); (err != nil) != (step.fail != nil) {
			t.Fatalf("%s: %v", step.reason, err)
		}
		if got := w.condition(v1alpha1.ConditionReady); got.Reason != step.want {
			t.Errorf("%s: Ready is %s (%s), want %s", step.reason, got.Reason, got.Message, step.want)
		}
	}
}
