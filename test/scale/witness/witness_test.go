package witness

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

var (
	noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	key  = types.NamespacedName{Namespace: "team-a", Name: "web"}
)

// seen is a Cluster as a watch shows it.
func seen(id, cell string, ready metav1.ConditionStatus, reason string) *v1alpha1.Cluster {
	c := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
	if id != "" {
		c.Labels = map[string]string{v1alpha1.LabelID: id, v1alpha1.LabelCell: cell}
	}
	if ready != "" {
		c.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: ready, Reason: reason}}
	}
	return c
}

// placed is an order of the Cluster web, whose components take so many cores each.
func placed(id, cell, cores string, change ...func(*v1alpha1.ControlPlaneSpec)) *v1alpha1.ControlPlane {
	part := v1alpha1.ComponentSize{CPU: resource.MustParse(cores), Memory: resource.MustParse("1Gi")}
	o := &v1alpha1.ControlPlane{ObjectMeta: metav1.ObjectMeta{Namespace: "cell-" + cell, Name: id}, Spec: v1alpha1.ControlPlaneSpec{
		ID: id, Availability: v1alpha1.Zonal, Zones: []string{"a", "b", "c"}, Epoch: 1,
		Cluster: v1alpha1.ClusterReference{Namespace: key.Namespace, Name: key.Name},
		Size:    v1alpha1.ControlPlaneSize{Etcd: part, APIServer: part, ControllerManager: part, Scheduler: part},
	}}
	for _, c := range change {
		c(&o.Spec)
	}
	return o
}

func TestPromises(t *testing.T) {
	late := noon.Add(patience + time.Second)
	for _, c := range []struct {
		reason string
		tell   func(w *Witness)
		want   string // part of the only problem; empty: none
	}{
		{"a life as it should be", func(w *Witness) {
			w.Cluster(seen("", "", "", ""), noon)
			w.Cluster(seen("g1", "x", "", ""), noon)
			w.Order(placed("g1", "x", "1"))
			w.Cluster(seen("g1", "x", metav1.ConditionFalse, "Starting"), noon)
			w.Cluster(seen("g1", "x", metav1.ConditionTrue, "Ready"), noon)
			w.Look(late)
			w.Deleted(key)
			w.OrderGone(placed("g1", "x", "1"))
			w.ClusterGone(key)
			w.Look(late)
		}, ""},
		{"one that goes by itself is lost", func(w *Witness) {
			w.Cluster(seen("", "", "", ""), noon)
			w.ClusterGone(key)
		}, "is lost"},
		{"one that was acknowledged and never seen", func(w *Witness) { w.Look(late) }, "has not been seen"},
		{"another guest for the same Cluster", func(w *Witness) {
			w.Cluster(seen("g1", "x", "True", "Ready"), noon)
			w.Cluster(seen("g2", "x", "True", "Ready"), noon)
		}, "was guest g1"},
		{"a bind that is taken back", func(w *Witness) {
			w.Cluster(seen("g1", "x", "True", "Ready"), noon)
			w.Cluster(seen("", "", "True", "Ready"), noon)
		}, "lost its bind"},
		{"two live orders of one guest", func(w *Witness) {
			w.Order(placed("g1", "x", "1"))
			w.Order(placed("g1", "y", "1"))
		}, "live orders"},
		{"a copy that is superseded is not live", func(w *Witness) {
			w.Order(placed("g1", "x", "1", func(s *v1alpha1.ControlPlaneSpec) { s.SupersededBy = 2 }))
			w.Order(placed("g1", "y", "1", func(s *v1alpha1.ControlPlaneSpec) { s.Epoch = 2 }))
		}, ""},
		{"an order for another guest of the Cluster", func(w *Witness) {
			w.Cluster(seen("g1", "x", "True", "Ready"), noon)
			w.Order(placed("g2", "y", "1"))
		}, "guests g1 and g2"},
		{"an order that goes by itself", func(w *Witness) {
			w.Cluster(seen("g1", "x", "True", "Ready"), noon)
			w.Order(placed("g1", "x", "1"))
			w.OrderGone(placed("g1", "x", "1"))
		}, "the order of Cluster"},
		{"a bind whose order never comes", func(w *Witness) {
			w.Cluster(seen("g1", "x", "True", "Ready"), noon)
			w.Look(late)
		}, "has no order"},
		{"one that is not Ready and does not say why", func(w *Witness) {
			w.Cluster(seen("", "", metav1.ConditionFalse, ""), noon)
			w.Look(late)
		}, "has not said why"},
		{"60 % of each zone is used: no more", func(w *Witness) { w.Order(placed("g1", "x", "1500m")) }, ""},
		{"more than 60 % of a zone", func(w *Witness) { w.Order(placed("g1", "x", "1501m")) }, "over its reserve"},
		{"what is given back is free", func(w *Witness) {
			w.Order(placed("g1", "x", "1500m"))
			w.Order(placed("g1", "x", "500m"))
			w.Order(placed("g2", "x", "1", func(s *v1alpha1.ControlPlaneSpec) { s.Cluster.Name = "other" }))
		}, ""},
	} {
		w := New([]Capacity{
			{Cell: "x", Zones: []string{"a", "b", "c"}, MilliCPU: 10000, Memory: 100 << 30},
			{Cell: "y", Zones: []string{"a", "b", "c"}, MilliCPU: 10000, Memory: 100 << 30},
		})
		w.Asked(key, noon)
		w.Created(key)
		c.tell(w)
		got := strings.Join(w.Problems(), "; ")
		if c.want == "" && got != "" || c.want != "" && !strings.Contains(got, c.want) {
			t.Errorf("%s: the witness says %q, want %q", c.reason, got, c.want)
		}
	}
}

func TestCounts(t *testing.T) {
	w := New(nil)
	w.Asked(key, noon)
	w.Created(key)
	w.Created(key)
	w.Cluster(seen("g1", "x", "True", "Ready"), noon.Add(time.Second))
	if got := w.Counts(); got != (Counts{Created: 1, Bound: 1, Ready: 1}) {
		t.Errorf("after a bind: %+v", got)
	}
	if got := w.Times(); len(got) != 1 || got[0] != (Times{Asked: noon, Bound: noon.Add(time.Second), Ready: noon.Add(time.Second), ID: "g1"}) {
		t.Errorf("times: %+v", got)
	}
	w.Deleted(key)
	w.ClusterGone(key)
	if got := w.Counts(); got != (Counts{Gone: 1}) {
		t.Errorf("at the end: %+v", got)
	}
}

// TestManyOfAKind do not hide the one of another.
func TestManyOfAKind(t *testing.T) {
	w := New(nil)
	for i := range 3 * mostOfAKind {
		lost := types.NamespacedName{Namespace: "many", Name: fmt.Sprint(i)}
		w.Created(lost)
		w.ClusterGone(lost)
	}
	w.Created(key)
	w.Cluster(seen("g1", "x", "True", "Ready"), noon)
	w.Cluster(seen("", "", "True", "Ready"), noon)
	got := w.Problems()
	if len(got) != mostOfAKind+2 || !strings.Contains(got[mostOfAKind], "lost its bind") || !strings.HasPrefix(got[mostOfAKind+1], "60 in all: ") {
		t.Errorf("%d texts, the last of them %q", len(got), got[max(0, len(got)-2):])
	}
	if w.Counts().Problems != 3*mostOfAKind+1 {
		t.Errorf("%d are counted", w.Counts().Problems)
	}
}
