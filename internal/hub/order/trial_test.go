package order

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/resolve"
)

func TestNewOrdersAreOnTrial(t *testing.T) {
	cluster := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "prod", UID: "1"}}
	orphan := &v1alpha1.Orphan{ID: "abcdefghij", Order: v1alpha1.ControlPlaneSpec{ID: "abcdefghij"}}
	cases := map[string]struct {
		reason string
		order  *v1alpha1.ControlPlane
		orphan bool
	}{
		"New":    {reason: "the order makes the guest", order: New(cluster, resolve.Resolved{}, Booking{ID: "abcdefghij", Cell: "hz-1"}, 1)},
		"Orphan": {reason: "the guest was there before", order: FromOrphan(cluster, "hz-1", orphan), orphan: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if trial, ok := TrialOf(tc.order); !ok || trial != (Trial{Cluster: "1", Orphan: tc.orphan}) {
				t.Errorf("%s: on trial %t, %+v", tc.reason, ok, trial)
			}
			EndTrial(tc.order)
			if trial, ok := TrialOf(tc.order); ok {
				t.Errorf("after its end: %+v", trial)
			}
		})
	}
}

func TestIsStray(t *testing.T) {
	cases := map[string]struct {
		reason string
		trial  string // of the order abcdefghij
		uid    types.UID
		id     string // that the Cluster is bound to
		want   bool
	}{
		"Own":      {reason: "it was written for this very Cluster", trial: "new/1", uid: "1", id: "abcdefghij"},
		"Unbound":  {reason: "it was, and the Cluster has lost its labels", trial: "new/1", uid: "1"},
		"Earlier":  {reason: "it was written for one that vanished", trial: "new/1", uid: "2", want: true},
		"Another":  {reason: "and the Cluster has another guest", trial: "orphan/1", uid: "2", id: "zzzzzzzzzz", want: true},
		"Restored": {reason: "a restored Cluster has another UID and the same labels", trial: "new/1", uid: "2", id: "abcdefghij"},
		"Proven":   {reason: "a Cluster that is made again gets an order back that is not on trial", uid: "2"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			order := &v1alpha1.ControlPlane{ObjectMeta: metav1.ObjectMeta{Name: "abcdefghij", Annotations: map[string]string{annotationTrial: tc.trial}}}
			cluster := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{UID: tc.uid, Labels: map[string]string{v1alpha1.LabelID: tc.id}}}
			if got := IsStray(order, cluster); got != tc.want {
				t.Errorf("%s: stray %t, want %t", tc.reason, got, tc.want)
			}
		})
	}
}
