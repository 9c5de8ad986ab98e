package gears

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/gear"
	"github.com/myriad-fleet/myriad/internal/hub/write"
)

const (
	// annotationStruck on an order holds the move that was last struck from the guest's history because no hub
	// had made it, as "<time>/<kind>/<gear>". It is written before the history, so that a hub that is about to
	// make the move after all fails.
	annotationStruck = "fleet.myriad.dev/gear-move-struck"
	// finishWithin is how old a move may be that was noted but not made, to be made now: older ones were
	// decided on a load and on room that are gone. The next hub leads within 15 s or so after one is killed.
	finishWithin = time.Minute
)

// change is what is to be written for a guest.
type change struct {
	strike *v1alpha1.GearMove           // to be struck from the history; nil: none
	report bool                         // whether gear is to be reported
	gear   *v1alpha1.ClusterGear        // nil: gears are not computed for the guest
	size   *v1alpha1.ControlPlaneSize   // nil: the order keeps its own
	retune bool                         // whether the order gets tuning
	tuning *v1alpha1.ControlPlaneTuning // nil: upstream's own
}

// unmade is the last move of a guest if it is in the history and not in the order.
func unmade(g *guest) *v1alpha1.GearMove {
	last := g.cluster.Status.Gear
	if last == nil || len(last.Moves) == 0 {
		return nil
	}
	move := &last.Moves[0]
	reported, ordered := last.Size, g.order.Spec.Size.Gear
	if move.Kind == v1alpha1.GearMoveTuning {
		reported, ordered = last.Tuning, tuningGear(g.order)
	}
	if move.To == ordered || move.To != reported || move.From != ordered {
		return nil
	}
	return move
}

func tuningGear(order *v1alpha1.ControlPlane) string {
	if order.Spec.Tuning == nil {
		return ""
	}
	return order.Spec.Tuning.Gear
}

// finish a move that was noted and not made, or strike it. Whatever else is to be decided is decided when
// the cache shows the outcome.
func (p *pass) finish(g *guest, move v1alpha1.GearMove, busy func() string) {
	if c := p.makeup(g, move, busy); c != nil {
		g.change = c
		return
	}
	kept := g.cluster.Status.Gear.DeepCopy()
	kept.Moves = kept.Moves[1:]
	kept.Size, kept.Tuning = g.order.Spec.Size.Gear, tuningGear(g.order)
	g.change = &change{strike: &move, report: true, gear: kept}
	p.lookAgain(staleRetry)
}

// makeup of a move, or nil if it may not be made any more.
func (p *pass) makeup(g *guest, move v1alpha1.GearMove, busy func() string) *change {
	target, known := gear.Find(*p.box.Spec(), move.To)
	if age := p.now.Sub(move.Time.Time); age > finishWithin || age < -finishWithin || p.frozen() != "" {
		return nil
	}
	switch {
	case move.Kind == v1alpha1.GearMoveTuning && move.To == "":
		return &change{retune: true}
	case !known:
		return nil
	case move.Kind == v1alpha1.GearMoveTuning:
		if !p.windowOpen(g) || busy() != "" {
			return nil
		}
		return &change{retune: true, tuning: gear.Tuning(target)}
	}
	size := gear.Size(target)
	if p.grow(g, size) != "" {
		return nil
	}
	return &change{size: &size}
}

// carryOut writes a change: what is struck is made impossible first, a move is noted before it is made.
func (r *reconciler) carryOut(ctx context.Context, g *guest) error {
	c := g.change
	if c.strike != nil {
		err := write.Object(ctx, r.client, g.order.DeepCopy(), func(o *v1alpha1.ControlPlane) {
			if o.Annotations == nil {
				o.Annotations = map[string]string{}
			}
			o.Annotations[annotationStruck] = fmt.Sprintf("%s/%s/%s", c.strike.Time.UTC().Format(time.RFC3339), c.strike.Kind, c.strike.To)
		})
		if err != nil {
			return err
		}
	}
	if c.report {
		cluster := g.cluster.DeepCopy()
		if err := write.Status(ctx, r.client, cluster, func(cluster *v1alpha1.Cluster) { cluster.Status.Gear = c.gear }); err != nil {
			return err
		}
		r.written.Wrote(cluster)
	}
	if c.size == nil && !c.retune {
		return nil
	}
	if err := write.Object(ctx, r.client, g.order.DeepCopy(), func(o *v1alpha1.ControlPlane) { c.apply(g, o) }); err != nil {
		return err
	}
	log(ctx, g)
	return nil
}

// apply a change to an order. The bounds in its copy of the Cluster are those that it is now written for,
// unless they are none.
func (c *change) apply(g *guest, order *v1alpha1.ControlPlane) {
	if c.size != nil {
		order.Spec.Size = *c.size
	}
	if c.retune {
		order.Spec.Tuning = c.tuning
	}
	if g.problem == "" {
		order.Spec.Cluster.Spec.Gears = g.cluster.Spec.Gears.DeepCopy()
	}
}

// log what was written to an order.
func log(ctx context.Context, g *guest) {
	logger := ctrl.LoggerFrom(ctx).WithValues("guest", g.name(), "id", g.order.Name)
	c := g.change
	if c.gear != nil && len(c.gear.Moves) > 0 && (g.cluster.Status.Gear == nil || !equality.Semantic.DeepEqual(c.gear.Moves, g.cluster.Status.Gear.Moves)) {
		move := c.gear.Moves[0]
		logger.Info("shifted a guest", "what", move.Kind, "from", move.From, "to", move.To, "reason", move.Reason)
		return
	}
	logger.Info("gave a guest what its gear has become, or what a hub that was killed had decided", "size", g.order.Spec.Size.Gear, "tuning", tuningGear(g.order))
}
