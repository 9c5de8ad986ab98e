package cluster

import (
	"context"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/write"
	"github.com/myriad-fleet/myriad/internal/residency"
)

// judge says what of the guest lies against its residency, and whether its snapshots may be stored where the
// cell stores them.
func (r *reconciler) judge(ctx context.Context, s *subject) (bool, error) {
	rule := s.cluster.Spec.Residency
	if rule == nil {
		return false, nil
	}
	var (
		regions v1alpha1.RegionList
		cells   v1alpha1.CellList
	)
	for _, list := range []client.ObjectList{&regions, &cells} {
		if err := r.client.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			return false, fmt.Errorf("list %T: %w", list, err)
		}
	}
	fleet := residency.NewFleet(regions.Items, cells.Items)
	for _, part := range residency.Violated(residency.Report(fleet.Guest(rule, s.orders))) {
		s.violations = append(s.violations, fmt.Sprintf("%s in %s: %s", part.Kind, part.Where, part.Violation))
	}
	s.snapshotsRefused = residency.Snapshots(rule, fleet.Store(s.booking.Cell))
	return false, nil
}

// refuseSnapshots in the order when the guest's residency does, and allows them again when it does not.
func (r *reconciler) refuseSnapshots(ctx context.Context, s *subject) (bool, error) {
	if s.order == nil || s.order.Spec.SnapshotsRefused == s.snapshotsRefused {
		return false, nil
	}
	return false, write.Object(ctx, r.client, s.order, func(o *v1alpha1.ControlPlane) { o.Spec.SnapshotsRefused = s.snapshotsRefused })
}

// resident says whether everything lies where the residency allows it; false when none is asked for.
func resident(s *subject) (metav1.Condition, bool) {
	condition := metav1.Condition{
		Type: v1alpha1.ConditionResident, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonResident,
		Message: "everything of it lies where spec.residency allows it; see 'myriad residency report'",
	}
	if len(s.violations) > 0 {
		condition.Status, condition.Reason, condition.Message = metav1.ConditionFalse, v1alpha1.ReasonResidencyViolated, strings.Join(s.violations, "; ")
	}
	return condition, s.cluster.Spec.Residency != nil
}
