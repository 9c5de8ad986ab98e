// Package reports carries the status of guests to the hub: only the latest, only when it differs
// from what the hub has, and again until it is written. Nobody waits for it.
package reports

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

const (
	// writers bounds how many statuses are written at once.
	writers = 4
	// firstRetry and lastRetry bound the pause before a status that could not be written is tried again.
	firstRetry, lastRetry = 200 * time.Millisecond, 20 * time.Second
	// wordsEvery is how often a status is written at most of which only words are new: messages, and single
	// components on their way. A guest that starts changes them several times a second, and most have started by then.
	wordsEvery = 10 * time.Second
	// behind is for how long the agent's cache may show an order as it was before a status was written. A hub that was
	// restored from an older copy shows it for longer.
	behind = 10 * time.Second
	// passingNews is for how long a state that passes by itself may last before it is worth a write of its own.
	passingNews = 2 * time.Second
)

// Hub is where reports go.
type Hub interface {
	ControlPlane(id string) (*v1alpha1.ControlPlane, bool)
	ReportControlPlane(ctx context.Context, seen *v1alpha1.ControlPlane, status v1alpha1.ControlPlaneStatus) error
}

// Queue holds the latest status of each guest.
type Queue struct {
	hub   Hub
	log   *slog.Logger
	clock clock.Clock
	queue workqueue.TypedRateLimitingInterface[string]

	mu      sync.Mutex
	latest  map[string]v1alpha1.ControlPlaneStatus
	written map[string]written
}

// written is the last write of a status.
type written struct {
	at     time.Time
	seen   string // resourceVersion of the order that it was written on
	status v1alpha1.ControlPlaneStatus
}

// NewQueue makes a Queue; Run makes it write.
func NewQueue(hub Hub, clk clock.WithTicker, log *slog.Logger) *Queue {
	return &Queue{
		hub: hub, log: log, clock: clk, latest: map[string]v1alpha1.ControlPlaneStatus{}, written: map[string]written{},
		queue: workqueue.NewTypedRateLimitingQueueWithConfig(
			workqueue.NewTypedItemExponentialFailureRateLimiter[string](firstRetry, lastRetry),
			workqueue.TypedRateLimitingQueueConfig[string]{Clock: clk}),
	}
}

// Report takes the status of a guest, which must not be changed any more.
func (q *Queue) Report(id string, status v1alpha1.ControlPlaneStatus) {
	q.mu.Lock()
	q.latest[id] = status
	q.mu.Unlock()
	if isBeingRemoved(status) || isUpdating(status) {
		q.queue.AddAfter(id, passingNews) // mostly it is over by then, which is told at once
		return
	}
	q.queue.Add(id)
}

// isBeingRemoved tells whether a status says that its guest is being removed, and nothing else.
func isBeingRemoved(status v1alpha1.ControlPlaneStatus) bool {
	return len(status.Conditions) == 1 && status.Conditions[0].Reason == v1alpha1.ReasonDeleting
}

// isUpdating tells whether a status says that its guest, which is well, is not yet as its order says.
func isUpdating(status v1alpha1.ControlPlaneStatus) bool {
	ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady)
	progressing := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionProgressing)
	return ready != nil && ready.Reason == v1alpha1.ReasonReady && progressing != nil && progressing.Reason == v1alpha1.ReasonUpdating
}

// Check compares what the hub has with the latest report, for when the hub's copy changed.
func (q *Queue) Check(id string) { q.queue.Add(id) }

// Forget drops what is known of a guest that is gone.
func (q *Queue) Forget(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.latest, id)
	delete(q.written, id)
}

// Run writes until the context ends.
func (q *Queue) Run(ctx context.Context) {
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for q.next(ctx) {
			}
		})
	}
	<-ctx.Done()
	q.queue.ShutDown()
	all.Wait()
}

func (q *Queue) next(ctx context.Context) bool {
	id, shutdown := q.queue.Get()
	if shutdown {
		return false
	}
	defer q.queue.Done(id)
	if err := q.write(ctx, id); err != nil {
		q.log.Debug("a report could not be written; it is tried again", "guest", id, "error", err)
		q.queue.AddRateLimited(id)
		return true
	}
	q.queue.Forget(id)
	return true
}

func (q *Queue) write(ctx context.Context, id string) error {
	q.mu.Lock()
	status, known := q.latest[id]
	last := q.written[id]
	q.mu.Unlock()
	order, _ := q.hub.ControlPlane(id)
	if !known || order == nil {
		return nil // the order's coming will call Check
	}
	now := q.clock.Now()
	if age := now.Sub(last.at); age >= 0 && age < behind && last.seen == order.ResourceVersion {
		q.queue.AddAfter(id, behind-age) // if it was not behind, nothing else calls
		ahead := *order
		ahead.Status = last.status
		order = &ahead
	}
	status.Conditions = keepTimes(status.Conditions, order.Status.Conditions)
	if equality.Semantic.DeepEqual(status, order.Status) {
		return nil
	}
	if left := wordsEvery - now.Sub(last.at); left > 0 && left <= wordsEvery && sameButWords(status, order.Status) {
		q.queue.AddAfter(id, left)
		return nil
	}
	if err := q.hub.ReportControlPlane(ctx, order, status); err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, known := q.latest[id]; known {
		q.written[id] = written{at: now, seen: order.ResourceVersion, status: status}
	}
	return nil
}

// sameButWords tells whether nothing but words differs.
func sameButWords(a, b v1alpha1.ControlPlaneStatus) bool {
	bare := func(s v1alpha1.ControlPlaneStatus) v1alpha1.ControlPlaneStatus {
		s.Components, s.Version, s.Conditions = nil, "", slices.Clone(s.Conditions)
		for i := range s.Conditions {
			s.Conditions[i].Message = ""
		}
		return s
	}
	return equality.Semantic.DeepEqual(bare(a), bare(b))
}

// keepTimes returns the conditions with the hub's transition times where the status is the same: an
// agent that has just started does not know since when.
func keepTimes(conditions, hub []metav1.Condition) []metav1.Condition {
	kept := make([]metav1.Condition, 0, len(conditions))
	for _, condition := range conditions {
		if known := meta.FindStatusCondition(hub, condition.Type); known != nil && known.Status == condition.Status {
			condition.LastTransitionTime = known.LastTransitionTime
		}
		kept = append(kept, condition)
	}
	return kept
}
