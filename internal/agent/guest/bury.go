package guest

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// bury removes a guest whose tombstone is on disk. Every step may be done again, and the order of the
// steps lets a crash between any two of them be repaired: the guest's order goes after all that it
// made, the tombstone last, once the hub has dropped the ControlPlane.
func (r *Reconciler) bury(ctx context.Context, s *scope) outcome {
	known := r.Orders.Get(s.id)
	if !known.Entombed {
		return outcome{}
	}
	if known.Spec != nil || s.hub == nil || !reported(s.hub) {
		if err := r.remove(ctx, s); err != nil {
			r.reportRemoval(s, v1alpha1.ConditionReady, metav1.ConditionFalse, fmt.Sprintf("being removed: %v", err))
			return outcome{stop: true, err: err}
		}
	}
	if s.hub != nil || !s.synced {
		r.reportRemoval(s, v1alpha1.ConditionDeleted, metav1.ConditionTrue, "nothing of the guest is left in the cell")
		s.after = lookAgain
		return outcome{stop: true}
	}
	if err := r.Orders.Forget(s.id); err != nil {
		return outcome{stop: true, err: err}
	}
	r.Hub.Forget(s.id)
	r.forget(s.id)
	return outcome{stop: true}
}

// reported tells whether the hub knows that the guest is gone.
func reported(order *v1alpha1.ControlPlane) bool {
	for _, condition := range order.Status.Conditions {
		if condition.Type == v1alpha1.ConditionDeleted && condition.Status == metav1.ConditionTrue {
			return true
		}
	}
	return false
}

// remove takes away all that was made for the guest.
func (r *Reconciler) remove(ctx context.Context, s *scope) error {
	s.record.bootstrap.stop() // its note would outlive the guest
	r.reportRemoval(s, v1alpha1.ConditionReady, metav1.ConditionFalse, "being removed")
	if err := r.Runtime.Delete(ctx, s.id); err != nil {
		return fmt.Errorf("guest %s: have the cell's runtime remove it: %w", s.id, err)
	}
	if err := r.Etcd.Remove(ctx, s.id); err != nil {
		return err
	}
	for _, remove := range []func(string) error{
		r.Certificates.Remove, r.Bootstrap.Remove, r.Identities.Remove, r.Orders.Remove,
	} {
		if err := remove(s.id); err != nil {
			return err
		}
	}
	return nil
}

// reportRemoval replaces all that was reported of the guest.
func (r *Reconciler) reportRemoval(s *scope, kind string, status metav1.ConditionStatus, message string) {
	condition := metav1.Condition{Type: kind, Status: status, Reason: v1alpha1.ReasonDeleting, Message: message}
	conditions := []metav1.Condition{condition}
	if kind == v1alpha1.ConditionDeleted {
		conditions = append(conditions, metav1.Condition{
			Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonDeleting, Message: message,
		})
	}
	s.record.conditions = stamp(conditions, s.record.conditions, r.Clock.Now())
	if s.hub != nil {
		r.Hub.Report(s.id, v1alpha1.ControlPlaneStatus{
			Conditions: s.record.conditions, ObservedGeneration: s.hub.Generation,
		})
	}
}
