package cluster

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// TestFirstWordsFirst: Clusters of which nothing has been said overtake all others, also those that came first and when
// something else adds them again.
func TestFirstWordsFirst(t *testing.T) {
	q := priorityqueue.New[reconcile.Request]("test")
	defer q.ShutDown()
	named := func(name string, conditions ...metav1.Condition) *v1alpha1.Cluster {
		c := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name}}
		c.Status.Conditions = conditions
		return c
	}
	ready := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue}
	scheduled := metav1.Condition{Type: v1alpha1.ConditionScheduled, Status: metav1.ConditionTrue}
	events := firstWords()
	events.Create(t.Context(), event.CreateEvent{Object: named("listed", ready), IsInInitialList: true}, q)
	events.Update(t.Context(), event.UpdateEvent{ObjectOld: named("told"), ObjectNew: withVersion(named("told", ready))}, q)
	events.Update(t.Context(), event.UpdateEvent{ObjectOld: named("bound"), ObjectNew: withVersion(named("bound", scheduled))}, q)
	events.Create(t.Context(), event.CreateEvent{Object: named("unheard"), IsInInitialList: true}, q)
	for _, request := range clusterOf(t.Context(), &v1alpha1.ControlPlane{
		Spec: v1alpha1.ControlPlaneSpec{Cluster: v1alpha1.ClusterReference{Namespace: "n", Name: "unheard"}},
	}) {
		q.Add(request)
	}
	var got []string
	for range 4 {
		request, _ := q.Get()
		got = append(got, request.Name)
		q.Done(request)
	}
	if first := slices.Sorted(slices.Values(got[:2])); !slices.Equal(first, []string{"bound", "unheard"}) || !slices.Equal(got[2:], []string{"told", "listed"}) {
		t.Errorf("order %q, want bound and unheard, then told, then listed", got)
	}
}

func withVersion(c *v1alpha1.Cluster) *v1alpha1.Cluster {
	c.ResourceVersion = "2"
	return c
}

// TestPriorityOfTheNextLook: what is told falls back behind what is not.
func TestPriorityOfTheNextLook(t *testing.T) {
	s := &subject{cluster: &v1alpha1.Cluster{}}
	if got := *s.priority(); got != firstWord {
		t.Errorf("nothing is told: %d", got)
	}
	s.cluster.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse}}
	if got := *s.priority(); got != ordinary {
		t.Errorf("something is told: %d", got)
	}
}
