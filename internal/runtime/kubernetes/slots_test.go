package kubernetes

import (
	"testing"
	"time"

	"k8s.io/client-go/util/workqueue"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/roll"
)

// TestPace: the only slot goes to who still wants it, in the order in which they came.
func TestPace(t *testing.T) {
	needs, done, idle := roll.Plan{NeedSlot: true}, roll.Plan{DropSlot: true}, roll.Plan{}
	type look struct {
		id   string
		plan roll.Plan
	}
	cases := map[string]struct {
		reason string
		looks  []look
		holder string
	}{
		"First":   {"who comes first has it", []look{{"a", needs}, {"b", needs}}, "a"},
		"Next":    {"who waits gets it when it is given back", []look{{"a", needs}, {"b", needs}, {"a", done}, {"b", needs}}, "b"},
		"InOrder": {"who came later does not overtake", []look{{"a", needs}, {"b", needs}, {"c", needs}, {"a", done}, {"c", needs}}, ""},
		"Leaves":  {"who needs none any more holds up nobody behind it", []look{{"a", needs}, {"b", needs}, {"c", needs}, {"b", idle}, {"a", done}, {"c", needs}}, "c"},
		"Holds":   {"who has it and needs nothing right now keeps it", []look{{"a", needs}, {"a", idle}, {"b", needs}}, "a"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			clock := clocktesting.NewFakeClock(time.Now())
			r := &Runtime{
				Options: Options{Slots: 1, Clock: clock},
				queue: workqueue.NewTypedRateLimitingQueueWithConfig(
					workqueue.DefaultTypedControllerRateLimiter[string](), workqueue.TypedRateLimitingQueueConfig[string]{Clock: clock}),
			}
			for _, look := range tc.looks {
				g := newGuest(r, look.id)
				s := &scope{plan: look.plan}
				s.view.Components = []roll.Component{{Name: "etcd-a", Kind: controlplane.Etcd, Workload: &roll.Workload{Replicas: 1}}} // starts
				_, s.view.Slot = r.slot(look.id)
				g.pace(t.Context(), s)
			}
			for _, id := range []string{"a", "b", "c"} {
				if _, holds := r.slot(id); holds != (id == tc.holder) {
					t.Errorf("%s: %s holds the slot: %t", tc.reason, id, holds)
				}
			}
		})
	}
}
