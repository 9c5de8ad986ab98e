package gears

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/write"
)

// register the gauge that somebody is paged by, or find it when this process has run a hub before.
func register(registry prometheus.Registerer) (*prometheus.GaugeVec, error) {
	gauge := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "myriad_gears_blocked",
		Help: "Guests of a cell that should have a larger gear and wait for room. Above 0 for long, the cell needs more capacity or fewer guests.",
	}, []string{"cell"})
	var before prometheus.AlreadyRegisteredError
	switch err := registry.Register(gauge); {
	case errors.As(err, &before):
		known, ok := before.ExistingCollector.(*prometheus.GaugeVec)
		if !ok {
			return nil, fmt.Errorf("register myriad_gears_blocked: %w", err)
		}
		return known, nil
	case err != nil:
		return nil, fmt.Errorf("register myriad_gears_blocked: %w", err)
	}
	return gauge, nil
}

// report on the cell whether its guests have the room that they should have.
func (r *reconciler) report(ctx context.Context, p *pass) error {
	var blocked []*guest
	for _, g := range p.guests {
		if g.blocked != "" {
			blocked = append(blocked, g)
		}
	}
	r.blocked.WithLabelValues(p.cell.Name).Set(float64(len(blocked)))
	last := meta.FindStatusCondition(p.cell.Status.Conditions, v1alpha1.ConditionGearsFit)
	if p.box == nil {
		if last == nil {
			return nil
		}
		return client.IgnoreNotFound(write.Status(ctx, r.client, p.cell.DeepCopy(), func(c *v1alpha1.Cell) {
			meta.RemoveStatusCondition(&c.Status.Conditions, v1alpha1.ConditionGearsFit)
		}))
	}
	condition, head := gearsFit(p.cell, blocked)
	if last != nil && last.Status == condition.Status && strings.HasPrefix(last.Message, head) {
		return nil
	}
	ctrl.LoggerFrom(ctx).Info("how the gears of a cell fit has changed", "cell", p.cell.Name, "blocked", len(blocked), "message", condition.Message)
	return client.IgnoreNotFound(write.Status(ctx, r.client, p.cell.DeepCopy(), func(c *v1alpha1.Cell) {
		write.Condition(&c.Status.Conditions, p.now, condition)
	}))
}

// gearsFit is the condition, and the part of its message that is worth a new one when it changes: what
// follows quotes figures.
func gearsFit(cell *v1alpha1.Cell, blocked []*guest) (condition metav1.Condition, head string) {
	condition = metav1.Condition{
		Type: v1alpha1.ConditionGearsFit, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonEveryGearFits,
		Message: "no guest waits for room", ObservedGeneration: cell.Generation,
	}
	if len(blocked) == 0 {
		return condition, condition.Message
	}
	first := blocked[0] // they are in the order in which they get room
	head = fmt.Sprintf("%d of the cell's guests wait for room for a larger gear: add capacity to the cell; first comes %s: ", len(blocked), first.name())
	condition.Status, condition.Reason, condition.Message = metav1.ConditionFalse, v1alpha1.ReasonNoRoom, head+first.blocked
	return condition, head
}
