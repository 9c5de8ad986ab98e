package cluster

import (
	"context"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/write"
)

// steps reconciles one Cluster again and again, with one memory.
type steps struct {
	*reconciler
	t     *testing.T
	clock *testingclock.FakePassiveClock
}

func newSteps(t *testing.T, cached client.Client) *steps {
	clock := testingclock.NewFakePassiveClock(now)
	return &steps{t: t, clock: clock, reconciler: &reconciler{client: cached, live: cached, clock: clock, written: &write.Versions{}, memory: newMemory()}}
}

// after some time, reconcile; it returns the time until the next look.
func (s *steps) after(pause time.Duration) time.Duration {
	s.t.Helper()
	s.clock.SetTime(s.clock.Now().Add(pause))
	result, err := s.Reconcile(s.t.Context(), reconcile.Request{NamespacedName: client.ObjectKeyFromObject(bound())})
	if err != nil {
		s.t.Fatal(err)
	}
	return result.RequeueAfter
}

// TestOrderIsWrittenOnce on a cache that does not show it yet; after a minute nobody counts on it any more.
func TestOrderIsWrittenOnce(t *testing.T) {
	creates, shows := 0, false
	cached := apiWith(t, interceptor.Funcs{
		List: func(ctx context.Context, api client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			if _, orders := list.(*v1alpha1.ControlPlaneList); orders && !shows {
				return nil
			}
			return api.List(ctx, list, options...)
		},
		Create: func(ctx context.Context, api client.WithWatch, object client.Object, options ...client.CreateOption) error {
			creates++
			return api.Create(ctx, object, options...)
		},
	}, append(offer(), bound())...)
	s := newSteps(t, cached)
	for i, step := range []struct {
		pause time.Duration
		shows bool
		want  int
		why   string
	}{
		{0, false, 1, "there is none"},
		{time.Second, false, 1, "the first is on its way to the cache"},
		{time.Second, true, 1, "the cache shows it"},
		{time.Second, false, 2, "what the cache has shown and shows no more is gone"},
		{2 * expected, false, 3, "an order that takes so long to show up may be gone"},
	} {
		shows = step.shows
		if s.after(step.pause); creates != step.want {
			t.Fatalf("step %d: %d orders were written, want %d: %s", i, creates, step.want, step.why)
		}
	}
}

// TestWordsWait: a message alone is written when the last write is some time ago, what it is about at once.
func TestWordsWait(t *testing.T) {
	cell := offer()[3].(*v1alpha1.Cell)
	cell.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue}}
	cached := api(t, append(offer()[:3], cell, bound())...)
	s := newSteps(t, cached)
	says := func(reason, message string) {
		t.Helper()
		order, err := readOrder(t, cached)
		if err != nil {
			t.Fatal(err)
		}
		meta.SetStatusCondition(&order.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: reason, Message: message})
		if err := cached.Status().Update(t.Context(), order); err != nil {
			t.Fatal(err)
		}
	}
	s.after(0)
	for i, step := range []struct {
		pause           time.Duration
		reason, message string
		want            string
		lookAgain       time.Duration
		why             string
	}{
		{time.Second, "Starting", "etcd", "etcd", 0, "the first report is news"},
		{4 * time.Second, "Starting", "kube-apiserver", "etcd", 6 * time.Second, "words wait"},
		{6 * time.Second, "Starting", "kube-apiserver", "kube-apiserver", 0, "ten seconds are over"},
		{time.Second, "Blocked", "no room", "no room", 0, "another reason is news"},
	} {
		says(step.reason, step.message)
		again := s.after(step.pause)
		var cluster v1alpha1.Cluster
		if err := cached.Get(t.Context(), client.ObjectKeyFromObject(bound()), &cluster); err != nil {
			t.Fatal(err)
		}
		if ready := meta.FindStatusCondition(cluster.Status.Conditions, v1alpha1.ConditionReady); ready == nil || ready.Message != step.want {
			t.Errorf("step %d: Ready says %+v, want %q: %s", i, ready, step.want, step.why)
		}
		if step.lookAgain > 0 && again != step.lookAgain {
			t.Errorf("step %d: the next look is in %s, want %s", i, again, step.lookAgain)
		}
	}
}

// TestRush: while writes take long, a guest that starts is not told of until there is something else to say, or for long.
func TestRush(t *testing.T) {
	cell := &v1alpha1.Cell{Status: v1alpha1.CellStatus{Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue}}}}
	for name, tc := range map[string]struct {
		why    string
		took   time.Duration
		reason string // that the agent reported; empty: nothing
		age    time.Duration
		want   time.Duration
	}{
		"Silent":         {"the agent reports in a moment", 0, "", time.Second, firstReport - time.Second},
		"SilentForLong":  {"it should have", 0, "", firstReport, 0},
		"SilentInARush":  {"reports take long, too", time.Second, "", firstReport, longestStart - firstReport},
		"Starts":         {"without a rush each state is told", 100 * time.Millisecond, v1alpha1.ReasonStarting, time.Second, 0},
		"StartsInARush":  {"it is Ready in a moment", time.Second, v1alpha1.ReasonStarting, time.Second, longestStart - time.Second},
		"WaitsInARush":   {"the same, in a lesser one", 300 * time.Millisecond, v1alpha1.ReasonWaitingForSlot, time.Second, 5 * time.Second},
		"StartsForLong":  {"somebody may look at it", time.Second, v1alpha1.ReasonStarting, longestStart, 0},
		"BlockedInARush": {"somebody has to act", time.Second, v1alpha1.ReasonBlocked, time.Second, 0},
		"ReadyInARush":   {"that is what is waited for", time.Second, v1alpha1.ReasonReady, time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := &reconciler{clock: testingclock.NewFakePassiveClock(now), memory: newMemory()}
			for range 100 {
				r.memory.tookTo(tc.took)
			}
			order := &v1alpha1.ControlPlane{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(now.Add(-tc.age))}}
			if tc.reason != "" {
				order.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: tc.reason}}
			}
			got := r.agentsTurn(&subject{cluster: &v1alpha1.Cluster{}, order: order, cell: cell})
			if got = max(got, 0).Round(10 * time.Millisecond); got != tc.want {
				t.Errorf("%s: told in %s, want %s", tc.why, got, tc.want)
			}
		})
	}
}

// TestOrderThatNeverShowed: a Cluster whose order was removed by somebody else before the cache showed it still goes.
func TestOrderThatNeverShowed(t *testing.T) {
	cached := apiWith(t, interceptor.Funcs{}, append(offer(), bound())...)
	s := newSteps(t, cached)
	key := client.ObjectKeyFromObject(bound())
	never := &v1alpha1.ControlPlane{ObjectMeta: metav1.ObjectMeta{Namespace: "cell-c", Name: id, ResourceVersion: "7"}}
	never.Spec.ID, never.Spec.Cluster.Namespace, never.Spec.Cluster.Name = id, key.Namespace, key.Name
	s.memory.ordered(key, bound().UID, never, now)
	if err := cached.Delete(t.Context(), bound()); err != nil {
		t.Fatal(err)
	}
	if again := s.after(time.Second); again != staleRetry {
		t.Fatalf("after an order was not found the next look is in %s, want %s", again, staleRetry)
	}
	s.after(staleRetry)
	if err := cached.Get(t.Context(), key, &v1alpha1.Cluster{}); !apierrors.IsNotFound(err) {
		t.Errorf("the Cluster is still there: %v", err)
	}
}
