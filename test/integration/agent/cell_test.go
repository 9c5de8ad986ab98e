package agent_test

import (
	"context"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// fitRuntime is a runtime that judges its cell.
type fitRuntime struct {
	*fakeRuntime
}

func (*fitRuntime) Fitness(context.Context) (*metav1.Condition, error) {
	return &metav1.Condition{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNoStorageClass, Message: "install one"}, nil
}

// TestRuntimeReady: the agent and the hub each write their own condition of the Cell, and neither takes
// the other's away.
func TestRuntimeReady(t *testing.T) {
	f := newFixture(t)
	hubs := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonLeaseFresh}
	write := func() {
		t.Helper()
		f.eventually("write the hub's condition", func() error {
			if err := f.api.Get(t.Context(), client.ObjectKeyFromObject(f.cell), f.cell); err != nil {
				return err
			}
			meta.SetStatusCondition(&f.cell.Status.Conditions, hubs)
			return f.api.Status().Update(t.Context(), f.cell)
		})
	}
	write()
	options := f.options()
	options.Runtime = &fitRuntime{fakeRuntime: f.runtime}
	f.run(options)
	both := func(reason string) func(v1alpha1.CellStatus) bool {
		return func(s v1alpha1.CellStatus) bool {
			ready := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionReady)
			return ready != nil && ready.Reason == reason && meta.IsStatusConditionFalse(s.Conditions, v1alpha1.ConditionRuntimeReady)
		}
	}
	f.awaitCell("RuntimeReady beside Ready", both(v1alpha1.ReasonLeaseFresh))
	hubs.Status, hubs.Reason = metav1.ConditionFalse, v1alpha1.ReasonLeaseExpired
	write()
	f.awaitCell("the hub's change beside RuntimeReady", both(v1alpha1.ReasonLeaseExpired))
	order := f.order() // has the agent report again
	f.awaitReady(order)
	f.awaitCell("both after another report", func(s v1alpha1.CellStatus) bool { return s.Guests == 1 && both(v1alpha1.ReasonLeaseExpired)(s) })
}
