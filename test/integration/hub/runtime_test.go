package hub_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/placement"
)

// fit reports RuntimeReady of a cell as its agent would.
func (f *fleet) fit(cell *v1alpha1.Cell, status metav1.ConditionStatus, reason, message string) {
	f.t.Helper()
	f.report(cell, func(c *v1alpha1.Cell) {
		meta.SetStatusCondition(&c.Status.Conditions, metav1.Condition{
			Type: v1alpha1.ConditionRuntimeReady, Status: status, Reason: reason, Message: message,
		})
	})
}

// TestRuntimeNotReady: a cell whose runtime cannot run control planes gets no new guests and keeps
// those that it has; the waiting one is told the agent's own words, and bound when the cell is mended.
func TestRuntimeNotReady(t *testing.T) {
	f := newFleet(t)
	cell := f.cell("c1")
	namespace := f.namespace("team")
	first := f.cluster(namespace, "first")
	f.order(first)
	f.fit(cell, metav1.ConditionFalse, v1alpha1.ReasonNoStorageClass, "install a volume provisioner")
	second := f.cluster(namespace, "second")
	f.awaitCondition(second, v1alpha1.ConditionScheduled, metav1.ConditionFalse, v1alpha1.ReasonNoRoom,
		cell.Name, placement.ReasonRuntimeNotReady, v1alpha1.ReasonNoStorageClass, "install a volume provisioner")
	if len(f.orders()) != 1 {
		t.Errorf("there are %d orders, want the one that was there before", len(f.orders()))
	}
	f.awaitCondition(cell, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonLeaseFresh)
	f.fit(cell, metav1.ConditionTrue, v1alpha1.ReasonRuntimeReady, "control planes can be run here")
	f.order(second)
}
