// Package gearbox accepts or refuses what an operator writes into the Gearbox, and keeps what was accepted
// last, so that a mistake changes nothing for the guests.
package gearbox

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/gear"
	"github.com/myriad-fleet/myriad/internal/hub/write"
)

// staleRetry is how long a reconciliation that ran on a stale cache waits for the cache.
const staleRetry = 50 * time.Millisecond

// Add adds the controller to the manager.
func Add(manager ctrl.Manager, clock clock.PassiveClock) error {
	r := &reconciler{client: manager.GetClient(), clock: clock}
	err := ctrl.NewControllerManagedBy(manager).
		Named("gearbox").
		For(&v1alpha1.Gearbox{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Complete(r)
	if err != nil {
		return fmt.Errorf("add controller gearbox: %w", err)
	}
	return nil
}

// reconciler judges one Gearbox:
//
//  1. read it and check it;
//  2. when it can be accepted, keep a copy of it in the ConfigMap AcceptedGearboxConfigMap;
//  3. write its Accepted condition, and log when that changes.
//
// The copy is kept apart from the Gearbox, because an operator who replaces or deletes a Gearbox takes
// its annotations and its status along. Whoever sizes guests asks InForce.
type reconciler struct {
	client client.Client
	clock  clock.PassiveClock
}

// Reconcile judges the Gearbox that the request names.
func (r *reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	var gearbox v1alpha1.Gearbox
	if err := r.client.Get(ctx, request.NamespacedName, &gearbox); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	condition := judge(&gearbox)
	if condition.Status == metav1.ConditionTrue {
		if err := r.keep(ctx, gearbox.Spec); err != nil {
			return reconcile.Result{}, err
		}
	}
	before := gearbox.ResourceVersion
	err := write.Status(ctx, r.client, &gearbox, func(g *v1alpha1.Gearbox) {
		g.Status.ObservedGeneration = g.Generation
		write.Condition(&g.Status.Conditions, r.clock.Now(), condition)
	})
	if apierrors.IsConflict(err) {
		return reconcile.Result{RequeueAfter: staleRetry}, nil
	}
	if err == nil && gearbox.ResourceVersion != before {
		ctrl.LoggerFrom(ctx).Info("judged a Gearbox", "accepted", condition.Status, "reason", condition.Reason, "why", condition.Message)
	}
	return reconcile.Result{}, client.IgnoreNotFound(err)
}

// judge says whether a Gearbox is in force, and otherwise everything that is wrong with it.
func judge(gearbox *v1alpha1.Gearbox) metav1.Condition {
	condition := metav1.Condition{Type: v1alpha1.ConditionAccepted, Status: metav1.ConditionFalse, ObservedGeneration: gearbox.Generation}
	if gearbox.Name != v1alpha1.DefaultGearbox {
		condition.Reason = v1alpha1.ReasonNotDefault
		condition.Message = fmt.Sprintf("guests are sized by the Gearbox named %s alone: write it there", v1alpha1.DefaultGearbox)
		return condition
	}
	if problems := gear.Check(gearbox.Spec); len(problems) > 0 {
		condition.Reason = v1alpha1.ReasonInvalid
		condition.Message = "the Gearbox that was accepted before stays in force: " + strings.Join(problems, "\n")
		return condition
	}
	condition.Status, condition.Reason, condition.Message = metav1.ConditionTrue, v1alpha1.ReasonAccepted, "guests are sized by it"
	return condition
}

// keep a copy of what was accepted.
func (r *reconciler) keep(ctx context.Context, spec v1alpha1.GearboxSpec) error {
	content, err := json.Marshal(spec)
	if err != nil {
		return fmt.Errorf("keep the accepted Gearbox: %w", err)
	}
	return write.Apply(ctx, r.client, applycorev1.ConfigMap(v1alpha1.AcceptedGearboxConfigMap, v1alpha1.HubNamespace).
		WithData(map[string]string{specKey: string(content)}))
}
