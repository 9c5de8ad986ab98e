package gears

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/gear"
)

// TestFirstLoadIsAwaited: that a guest which has just become ready has no load yet is no news.
func TestFirstLoadIsAwaited(t *testing.T) {
	b := newBench(t, cell("c", 100_000))
	b.guest("c", "team", "shop", fitsNano, func(_ *v1alpha1.Cluster, o *v1alpha1.ControlPlane) {
		o.Status.Load = nil
		o.Status.Conditions[0].LastTransitionTime = metav1.NewTime(b.clock.Now())
	})
	for i, step := range []struct {
		pause time.Duration
		want  string
	}{{0, ""}, {firstLoad - time.Second, ""}, {time.Second, gear.ReasonNoLoad}} {
		b.pass(step.pause, "c")
		if got := b.reason("shop"); got != step.want {
			t.Errorf("step %d: reported %q, want %q", i, got, step.want)
		}
	}
}

// TestStaleClusterIsLeftAlone: what this hub, by whatever controller, has written since would only conflict.
func TestStaleClusterIsLeftAlone(t *testing.T) {
	b := newBench(t, cell("c", 100_000))
	b.guest("c", "team", "shop", fitsNano)
	later := b.clusterOf("shop")
	seen := later.ResourceVersion
	later.ResourceVersion = "1" + seen
	b.hub.written.Wrote(later)
	if b.pass(0, "c"); b.reason("shop") != "" {
		t.Errorf("a Cluster that the cache shows as it was before was reported on: %q", b.reason("shop"))
	}
	b.hub.written.Forget(client.ObjectKeyFromObject(later))
	if b.pass(0, "c"); b.reason("shop") == "" {
		t.Error("nothing is reported on a Cluster that is not stale")
	}
}

// TestPassingReasonsWait: that a guest settles after a move, or waits for another one of its tenant, is said when it
// lasts; whatever else there is to say is said at once.
func TestPassingReasonsWait(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	ago := func(age time.Duration) metav1.Time { return metav1.NewTime(now.Add(-age)) }
	said := func(reason, toward string, moved time.Duration) *v1alpha1.ClusterGear {
		gear := &v1alpha1.ClusterGear{Reason: reason, Toward: toward, Size: "small", Moves: []v1alpha1.GearMove{{Time: ago(moved), To: "small"}}}
		if toward != "" {
			since := ago(moved)
			gear.TowardSince = &since
		}
		return gear
	}
	for name, tc := range map[string]struct {
		why        string
		last, next *v1alpha1.ClusterGear
		want       time.Duration // until it is said
	}{
		"Settles":        {"it has just moved", said(gear.ReasonShiftedUp, "", time.Minute), said(gear.ReasonSettling, "", time.Minute), passing - time.Minute},
		"SettlesForLong": {"it should be healthy by now", said(gear.ReasonShiftedUp, "", passing), said(gear.ReasonSettling, "", passing), 0},
		"Busy":           {"its tenant's other guest is ready in a moment", said(gear.ReasonWaiting, "medium", time.Second), said(gear.ReasonTenantBusy, "medium", time.Second), passing - time.Second},
		"NoRoom":         {"somebody has to act", said(gear.ReasonWaiting, "medium", time.Second), said(gear.ReasonNoRoom, "medium", time.Second), 0},
		"OtherGear":      {"it moves elsewhere", said(gear.ReasonWaiting, "medium", time.Second), said(gear.ReasonTenantBusy, "large", time.Second), 0},
		"First":          {"nothing was said yet", nil, said(gear.ReasonSettling, "", time.Second), 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := &pass{now: now}
			waits := p.passes(&guest{cluster: &v1alpha1.Cluster{Status: v1alpha1.ClusterStatus{Gear: tc.last}}}, tc.next)
			if waits != (tc.want > 0) || p.again != tc.want {
				t.Errorf("%s: waits %t, looks again in %s; want %s", tc.why, waits, p.again, tc.want)
			}
		})
	}
}
