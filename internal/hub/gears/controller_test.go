package gears

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// TestWhatIsLookedAt: the passes that an event costs are the price of 10,000 guests.
func TestWhatIsLookedAt(t *testing.T) {
	ready := func(message string) v1alpha1.ControlPlaneStatus {
		return v1alpha1.ControlPlaneStatus{Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady, Message: message}}}
	}
	cases := map[string]struct {
		reason        string
		predicate     predicate.Predicate
		before, after client.Object
		want          bool
	}{
		"Load":            {reason: "a gear follows from it", predicate: orderChanged(), before: &v1alpha1.ControlPlane{}, after: &v1alpha1.ControlPlane{Status: v1alpha1.ControlPlaneStatus{Load: &v1alpha1.Load{}}}, want: true},
		"Order":           {reason: "its room may have changed", predicate: orderChanged(), before: &v1alpha1.ControlPlane{}, after: &v1alpha1.ControlPlane{ObjectMeta: metav1.ObjectMeta{Generation: 2}}, want: true},
		"Observed":        {reason: "the agent has the order", predicate: orderChanged(), before: &v1alpha1.ControlPlane{}, after: &v1alpha1.ControlPlane{Status: v1alpha1.ControlPlaneStatus{ObservedGeneration: 2}}, want: true},
		"Ready":           {reason: "the guest is back", predicate: orderChanged(), before: &v1alpha1.ControlPlane{}, after: &v1alpha1.ControlPlane{Status: ready("")}, want: true},
		"Words":           {reason: "in other words the same", predicate: orderChanged(), before: &v1alpha1.ControlPlane{Status: ready("a")}, after: &v1alpha1.ControlPlane{Status: ready("b")}},
		"Snapshot":        {reason: "etcd's affairs are none of a gear's", predicate: orderChanged(), before: &v1alpha1.ControlPlane{}, after: &v1alpha1.ControlPlane{Status: v1alpha1.ControlPlaneStatus{Etcd: &v1alpha1.EtcdStatus{}}}},
		"ClusterSpec":     {reason: "bounds or a window", predicate: clusterChanged(), before: &v1alpha1.Cluster{}, after: &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Generation: 2}}, want: true},
		"ClusterStatus":   {reason: "the hub's own report", predicate: clusterChanged(), before: &v1alpha1.Cluster{}, after: &v1alpha1.Cluster{Status: v1alpha1.ClusterStatus{Gear: &v1alpha1.ClusterGear{}}}},
		"ClusterBound":    {reason: "it lives here now", predicate: clusterChanged(), before: &v1alpha1.Cluster{}, after: &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{v1alpha1.LabelCell: "c"}}}, want: true},
		"CellCapacity":    {reason: "room for others", predicate: cellChanged(), before: &v1alpha1.Cell{}, after: cell("c", 1), want: true},
		"CellAgent":       {reason: "an agent's own report", predicate: cellChanged(), before: &v1alpha1.Cell{}, after: &v1alpha1.Cell{Status: v1alpha1.CellStatus{AgentVersion: "v1", Guests: 3}}},
		"CellGearsFitOwn": {reason: "the hub's own report", predicate: cellChanged(), before: &v1alpha1.Cell{}, after: &v1alpha1.Cell{Status: v1alpha1.CellStatus{Conditions: []metav1.Condition{{Type: v1alpha1.ConditionGearsFit}}}}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := tc.predicate.Update(event.UpdateEvent{ObjectOld: tc.before, ObjectNew: tc.after}); got != tc.want {
				t.Errorf("%s: looked at: %t, want %t", tc.reason, got, tc.want)
			}
		})
	}
}
