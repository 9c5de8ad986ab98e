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
