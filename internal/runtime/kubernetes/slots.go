package kubernetes

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// slotTime bounds how long a guest holds a start slot: one that cannot start must not hold up others.
const slotTime = 60 * time.Second

// slots pace the start-ups of guests: those that start at once share the cores, and are all slower.
type slots struct {
	mu      sync.Mutex
	holders map[string]time.Time // by guest: until when
	waiting []string
}

// acquire asks for a slot, and tells whether it is had and until when. Who does not get one is looked at
// again when one is free.
func (r *Runtime) acquire(ctx context.Context, id string) (time.Time, bool) {
	limit := r.slotLimit(ctx)
	r.slots.mu.Lock()
	defer r.slots.mu.Unlock()
	if until, held := r.slots.holders[id]; held {
		return until, true
	}
	at := slices.Index(r.slots.waiting, id)
	if at < 0 {
		r.slots.waiting = append(r.slots.waiting, id)
		at = len(r.slots.waiting) - 1
	}
	if len(r.slots.holders)+at >= limit {
		return time.Time{}, false
	}
	r.slots.waiting = slices.Delete(r.slots.waiting, at, at+1)
	if r.slots.holders == nil {
		r.slots.holders = map[string]time.Time{}
	}
	until := r.Clock.Now().Add(slotTime)
	r.slots.holders[id] = until
	return until, true
}

// slot tells whether a guest holds a slot, and until when.
func (r *Runtime) slot(id string) (time.Time, bool) {
	r.slots.mu.Lock()
	defer r.slots.mu.Unlock()
	until, held := r.slots.holders[id]
	return until, held
}

// release gives a slot back, or the place in the queue, and has those looked at that wait.
func (r *Runtime) release(id string) {
	r.slots.mu.Lock()
	delete(r.slots.holders, id)
	r.slots.waiting = slices.DeleteFunc(r.slots.waiting, func(w string) bool { return w == id })
	waiting := slices.Clone(r.slots.waiting)
	r.slots.mu.Unlock()
	for _, id := range waiting {
		r.queue.Add(id)
	}
}

// leave gives up a guest's place in the queue, if it has one: from where nobody asks any more it would keep
// everybody behind it waiting.
func (r *Runtime) leave(id string) {
	r.slots.mu.Lock()
	waits := slices.Contains(r.slots.waiting, id)
	r.slots.mu.Unlock()
	if waits {
		r.release(id)
	}
}

// slotsPerCore is how many guests may start per core: much of a start is waiting for volumes, sandboxes and
// probes. Ten at once took 63 s with one, 55 s with two, and the same pods by hand 54 to 56 s
// (docs/benchmarks.md, lab-burst).
const slotsPerCore = 2

// slotLimit is how many guests may start at once, by the ready nodes.
func (r *Runtime) slotLimit(ctx context.Context) int {
	if r.Slots > 0 {
		return r.Slots
	}
	var nodes corev1.NodeList
	if err := r.cache.List(ctx, &nodes); err != nil {
		return 1 // the caches are being closed
	}
	// A Zonal guest starts in every zone at once, and zones may share a machine: the smallest counts.
	cores := map[string]int64{}
	for i := range nodes.Items {
		if node := &nodes.Items[i]; nodeReady(node) {
			cores[node.Labels[corev1.LabelTopologyZone]] += node.Status.Allocatable.Cpu().MilliValue()
		}
	}
	smallest := slices.Sorted(maps.Values(cores))
	if len(smallest) == 0 {
		return 1
	}
	// Rounded up: a node that keeps a little of its cores for itself still has them.
	return max(1, int((smallest[0]+999)/1000)*slotsPerCore)
}

func nodeReady(node *corev1.Node) bool {
	return slices.ContainsFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}
