package cluster

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/order"
	"github.com/myriad-fleet/myriad/internal/hub/write"
)

const (
	// firstReport of an agent on a new order comes within this time as a rule; longestStart is for how long a guest that
	// starts goes without a word at most when the API server is slow.
	firstReport, longestStart = 2 * time.Second, 15 * time.Second
	// wordsEvery is how often a status is written at most of which only messages are new. The agent does the same.
	wordsEvery = 10 * time.Second
)

// report how the guest is in the status of its Cluster, unless that is gone.
//
// An order that was just written is reported on once its agent has, which mostly takes less than a second: then
// there is one write and not two. When writes take long, guests that start are told of once they are Ready. Messages
// alone wait until the last write is some time ago.
func (r *reconciler) report(ctx context.Context, s *subject) (bool, error) {
	if left := r.agentsTurn(s); left > 0 {
		s.lookAgain(left)
		return true, nil
	}
	key, now, version := client.ObjectKeyFromObject(s.cluster), r.clock.Now(), s.cluster.ResourceVersion
	status := s.status(now)
	if left := wordsEvery - r.memory.sinceTold(key, now); left > 0 && sameButWords(s.cluster.Status, status) {
		s.lookAgain(left)
		return true, nil
	}
	err := write.Status(ctx, r.client, s.cluster, func(c *v1alpha1.Cluster) { c.Status = status })
	if s.cluster.ResourceVersion != version {
		r.memory.tell(key, now)
		r.memory.tookTo(r.clock.Since(now))
	}
	return true, client.IgnoreNotFound(err)
}

// status of the Cluster as it is to be.
func (s *subject) status(now time.Time) v1alpha1.ClusterStatus {
	status := *s.cluster.Status.DeepCopy()
	status.ID, status.Region, status.Cell = s.booking.ID, s.booking.Region, s.booking.Cell
	if evidence, ok := order.Explanation(s.cluster); ok {
		status.Placement, status.RejectedCells = &evidence.Placement, evidence.RejectedCells
	}
	status.ObservedGeneration = s.cluster.Generation
	if s.order != nil {
		status.Version = s.order.Status.Version
		status.Availability = s.order.Spec.Availability
		status.Endpoint = s.order.Spec.Endpoint.DeepCopy()
		status.CABundle = s.order.Status.CABundle
	}
	conditions := []metav1.Condition{scheduled(s), ready(s)}
	for _, may := range []struct {
		name  string
		judge func(*subject) (metav1.Condition, bool)
	}{{v1alpha1.ConditionResident, resident}, {v1alpha1.ConditionProgressing, versionPinned}} {
		if condition, ok := may.judge(s); ok {
			conditions = append(conditions, condition)
		} else {
			meta.RemoveStatusCondition(&status.Conditions, may.name)
		}
	}
	for _, condition := range conditions {
		condition.ObservedGeneration = s.cluster.Generation
		write.Condition(&status.Conditions, now, condition)
	}
	return status
}

// sameButWords tells whether nothing but messages differs.
func sameButWords(a, b v1alpha1.ClusterStatus) bool {
	for _, status := range []*v1alpha1.ClusterStatus{&a, &b} {
		status.Conditions = slices.Clone(status.Conditions)
		for i := range status.Conditions {
			status.Conditions[i].Message = ""
		}
	}
	return equality.Semantic.DeepEqual(a, b)
}

// lookAgain in that time at the latest.
func (s *subject) lookAgain(in time.Duration) {
	if s.again == 0 || in < s.again {
		s.again = in
	}
}

// agentsTurn is for how long a new order's agent may still report before the hub says how the guest is: anything at
// all, and in a rush more than that the guest starts.
func (r *reconciler) agentsTurn(s *subject) time.Duration {
	if s.order == nil || s.cell == nil || !isReachable(s.cell) || s.cluster.Status.Endpoint != nil {
		return 0
	}
	turn := r.memory.patience(firstReport, longestStart)
	if reported := meta.FindStatusCondition(s.order.Status.Conditions, v1alpha1.ConditionReady); reported != nil {
		starts := reported.Reason == v1alpha1.ReasonStarting || reported.Reason == v1alpha1.ReasonWaitingForSlot
		if !starts || turn == firstReport {
			return 0
		}
	}
	return turn - r.clock.Since(s.order.CreationTimestamp.Time)
}

func scheduled(s *subject) metav1.Condition {
	return metav1.Condition{
		Type: v1alpha1.ConditionScheduled, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonBound,
		Message: fmt.Sprintf("guest %s in cell %s", s.booking.ID, s.booking.Cell),
	}
}

// ready is what the cell's agent says of the guest, as long as the cell says anything.
func ready(s *subject) metav1.Condition {
	condition := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse}
	switch {
	case s.order == nil:
		condition.Reason, condition.Message = v1alpha1.ReasonUnscheduled, "the order cannot be written"
		if s.problem != nil {
			condition.Reason, condition.Message = s.problem.Reason, s.problem.Message
		}
	case s.cell == nil || !isReachable(s.cell):
		condition.Status, condition.Reason = metav1.ConditionUnknown, v1alpha1.ReasonCellUnreachable
		condition.Message = fmt.Sprintf("cell %s does not report; the guest runs on without it, but nobody can say how it is", s.booking.Cell)
	default:
		reported := meta.FindStatusCondition(s.order.Status.Conditions, v1alpha1.ConditionReady)
		if reported == nil {
			condition.Reason, condition.Message = v1alpha1.ReasonCreating, fmt.Sprintf("cell %s has the order and has not reported yet", s.booking.Cell)
			break
		}
		condition.Status, condition.Reason, condition.Message = reported.Status, reported.Reason, reported.Message
	}
	return condition
}

// versionPinned says that a Cluster asks for another version than its order. Changing the version
// of a guest is the work of a rollout, never of an edit alone.
func versionPinned(s *subject) (metav1.Condition, bool) {
	wanted := s.cluster.Spec.Version
	if s.order == nil || wanted == "" || wanted == s.order.Spec.Version {
		return metav1.Condition{}, false
	}
	return metav1.Condition{
		Type: v1alpha1.ConditionProgressing, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonVersionPinned,
		Message: fmt.Sprintf("spec.version asks for %s, the guest stays on %s: guests are not upgraded by editing the Cluster; set spec.version back to %s",
			wanted, s.order.Spec.Version, s.order.Spec.Version),
	}, true
}
