package heartbeat

import (
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// bench is a cell under a clock that only the test moves.
type bench struct {
	t     *testing.T
	clock *testingclock.FakePassiveClock
	api   client.Client
	r     *reconciler
	start time.Time
}

func newBench(t *testing.T) *bench {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, coordinationv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	clock := testingclock.NewFakePassiveClock(start)
	api := fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.Cell{}).
		WithObjects(&v1alpha1.Cell{ObjectMeta: metav1.ObjectMeta{Name: "hz-1"}}).Build()
	return &bench{t: t, clock: clock, api: api, start: start, r: &reconciler{client: api, clock: clock, renewals: map[string]renewal{}}}
}

// renew the Lease with the stamp that the agent's clock shows.
func (b *bench) renew(stamp time.Time, seconds *int32) {
	b.t.Helper()
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "cell-hz-1", Name: v1alpha1.AgentLease},
		Spec:       coordinationv1.LeaseSpec{RenewTime: new(metav1.NewMicroTime(stamp)), LeaseDurationSeconds: seconds},
	}
	if err := b.api.Delete(b.t.Context(), lease.DeepCopy()); client.IgnoreNotFound(err) != nil {
		b.t.Fatal(err)
	}
	if err := b.api.Create(b.t.Context(), lease); err != nil {
		b.t.Fatal(err)
	}
}

// look reconciles at that time after the start and expects the condition and the time of the next look.
func (b *bench) look(after time.Duration, status metav1.ConditionStatus, reason string, next time.Duration) {
	b.t.Helper()
	b.clock.SetTime(b.start.Add(after))
	result, err := b.r.Reconcile(b.t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: "hz-1"}})
	if err != nil {
		b.t.Fatal(err)
	}
	var cell v1alpha1.Cell
	if err := b.api.Get(b.t.Context(), client.ObjectKey{Name: "hz-1"}, &cell); err != nil {
		b.t.Fatal(err)
	}
	condition := meta.FindStatusCondition(cell.Status.Conditions, v1alpha1.ConditionReady)
	if condition == nil || condition.Status != status || condition.Reason != reason {
		b.t.Errorf("after %s: %+v, want %s (%s)", after, condition, status, reason)
	}
	if result.RequeueAfter != next {
		b.t.Errorf("after %s: looks again in %s, want %s", after, result.RequeueAfter, next)
	}
}

func TestLeaseExpiresAndComesBack(t *testing.T) {
	b := newBench(t)
	b.look(0, metav1.ConditionFalse, v1alpha1.ReasonNeverJoined, 0)
	b.renew(b.start, nil)
	b.look(0, metav1.ConditionTrue, v1alpha1.ReasonLeaseFresh, Grace)
	b.look(30*time.Second, metav1.ConditionTrue, v1alpha1.ReasonLeaseFresh, 10*time.Second)
	b.look(40*time.Second, metav1.ConditionFalse, v1alpha1.ReasonLeaseExpired, 0)
	b.renew(b.start.Add(41*time.Second), nil)
	b.look(42*time.Second, metav1.ConditionTrue, v1alpha1.ReasonLeaseFresh, Grace)
}

func TestClocksMayDiffer(t *testing.T) {
	for name, skew := range map[string]time.Duration{"agent an hour behind": -time.Hour, "agent an hour ahead": time.Hour} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.renew(b.start.Add(skew), nil)
			b.look(0, statusOf(skew > 0), reasonOf(skew > 0), graceIf(skew > 0))
			b.renew(b.start.Add(skew+10*time.Second), nil)
			b.look(10*time.Second, metav1.ConditionTrue, v1alpha1.ReasonLeaseFresh, Grace)
			b.look(50*time.Second, metav1.ConditionFalse, v1alpha1.ReasonLeaseExpired, 0)
		})
	}
}

func statusOf(fresh bool) metav1.ConditionStatus {
	if fresh {
		return metav1.ConditionTrue
	}
	return metav1.ConditionFalse
}

func reasonOf(fresh bool) string {
	if fresh {
		return v1alpha1.ReasonLeaseFresh
	}
	return v1alpha1.ReasonLeaseExpired
}

func graceIf(fresh bool) time.Duration {
	if fresh {
		return Grace
	}
	return 0
}

func TestLeaseMayAskForLessNotForMore(t *testing.T) {
	b := newBench(t)
	b.renew(b.start, ptr.To[int32](5))
	b.look(0, metav1.ConditionTrue, v1alpha1.ReasonLeaseFresh, 5*time.Second)
	b.renew(b.start.Add(time.Second), ptr.To[int32](3600))
	b.look(time.Second, metav1.ConditionTrue, v1alpha1.ReasonLeaseFresh, Grace)
}

func TestRenewalsWriteNothing(t *testing.T) {
	b := newBench(t)
	b.renew(b.start, nil)
	b.look(0, metav1.ConditionTrue, v1alpha1.ReasonLeaseFresh, Grace)
	var before, after v1alpha1.Cell
	if err := b.api.Get(t.Context(), client.ObjectKey{Name: "hz-1"}, &before); err != nil {
		t.Fatal(err)
	}
	b.renew(b.start.Add(10*time.Second), nil)
	b.look(10*time.Second, metav1.ConditionTrue, v1alpha1.ReasonLeaseFresh, Grace)
	if err := b.api.Get(t.Context(), client.ObjectKey{Name: "hz-1"}, &after); err != nil || after.ResourceVersion != before.ResourceVersion {
		t.Errorf("a renewal was written to the Cell: %v", err)
	}
}
