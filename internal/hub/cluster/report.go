package cluster

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/order"
	"github.com/myriad-fleet/myriad/internal/hub/write"
)

// firstReport of an agent on a new order comes within this time as a rule.
const firstReport = time.Second

// report how the guest is in the status of its Cluster, unless that is gone.
//
// An order that was just written is reported on once its agent has, which mostly takes less than a second: then
// there is one write and not two.
func (r *reconciler) report(ctx context.Context, s *subject) (bool, error) {
	if left := r.agentsTurn(s); left > 0 {
		s.again = left
		return true, nil
	}
	return true, client.IgnoreNotFound(write.Status(ctx, r.client, s.cluster, func(c *v1alpha1.Cluster) {
		c.Status.ID = s.booking.ID
		c.Status.Region = s.booking.Region
		c.Status.Cell = s.booking.Cell
		if evidence, ok := order.Explanation(c); ok {
			c.Status.Placement, c.Status.RejectedCells = &evidence.Placement, evidence.RejectedCells
		}
		c.Status.ObservedGeneration = c.Generation
		if s.order != nil {
			c.Status.Version = s.order.Status.Version
			c.Status.Availability = s.order.Spec.Availability
			c.Status.Endpoint = s.order.Spec.Endpoint.DeepCopy()
			c.Status.CABundle = s.order.Status.CABundle
		}
		for _, condition := range []metav1.Condition{scheduled(s), ready(s)} {
			condition.ObservedGeneration = c.Generation
			write.Condition(&c.Status.Conditions, r.clock.Now(), condition)
		}
		if condition, ok := resident(s); ok {
			condition.ObservedGeneration = c.Generation
			write.Condition(&c.Status.Conditions, r.clock.Now(), condition)
		} else {
			meta.RemoveStatusCondition(&c.Status.Conditions, v1alpha1.ConditionResident)
		}
		if pinned, ok := versionPinned(s); ok {
			pinned.ObservedGeneration = c.Generation
			write.Condition(&c.Status.Conditions, r.clock.Now(), pinned)
		} else {
			meta.RemoveStatusCondition(&c.Status.Conditions, v1alpha1.ConditionProgressing)
		}
	}))
}

// agentsTurn is for how long a new order's agent may still report before the hub says that it has not.
func (r *reconciler) agentsTurn(s *subject) time.Duration {
	if s.order == nil || len(s.order.Status.Conditions) > 0 || s.cell == nil || !isReachable(s.cell) || s.cluster.Status.Endpoint != nil {
		return 0
	}
	return firstReport - r.clock.Since(s.order.CreationTimestamp.Time)
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
