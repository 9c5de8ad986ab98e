package scheduling

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/index"
	"github.com/myriad-fleet/myriad/internal/hub/ledger"
	"github.com/myriad-fleet/myriad/internal/hub/order"
	"github.com/myriad-fleet/myriad/internal/hub/resolve"
	"github.com/myriad-fleet/myriad/internal/hub/write"
)

const (
	// writesAtOnce bounds the writes of one pass that are in flight.
	writesAtOnce = 32
	// staleRetry is how long a pass that ran on a stale cache waits for the cache.
	staleRetry = 50 * time.Millisecond
	// unseenRetry is how long a pass waits for the cache to show what was written of Clusters that it passed over: the
	// event that brings a status wakes nobody.
	unseenRetry = 500 * time.Millisecond
	// maxRejected is the schema's limit of Cluster.status.rejectedCells.
	maxRejected = 100
)

// reconciler schedules one region at a time, or the Clusters that leave the region to placement:
//
//  1. say which regions may take them, and read those: their cells, orders, Clusters and Ledgers;
//  2. decide for each waiting Cluster, the oldest first, each after the booking of the one before;
//  3. write the Ledgers, on the versions that were read: if somebody else has written any of them, nothing is
//     promised, and the pass begins again;
//  4. write each decision: why it was made, and the bind in one optimistic write; or the conditions that say
//     why there is none.
//
// The order itself is written by the controller of the bound Cluster. A hub that dies between 3 and 4 leaves
// bookings behind: the next pass gives them to the same Clusters.
type reconciler struct {
	client client.Client
	live   client.Reader // past the cache
	clock  clock.PassiveClock
	store  *ledger.Store
	// written are Clusters, by every controller of this process.
	written *write.Versions
}

// pass carries one reconciliation from step to step.
type pass struct {
	name      string // the region, or index.AnyRegion
	regions   []string
	catalogue resolve.Catalogue
	anywhere  []v1alpha1.Cluster // those that leave the region to placement
	decisions []decision
	again     time.Duration // until the next look; 0 for whenever something changes
}

// lookAgain no later than after a time.
func (p *pass) lookAgain(after time.Duration) {
	if after > 0 && (p.again == 0 || after < p.again) {
		p.again = after
	}
}

// Reconcile schedules the region that the request names.
func (r *reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	p := &pass{name: request.Name}
	for _, step := range []func(context.Context, *pass) error{r.scope, r.plan, r.write} {
		if err := step(ctx, p); err != nil {
			if apierrors.IsConflict(err) {
				return reconcile.Result{RequeueAfter: staleRetry}, nil
			}
			return reconcile.Result{}, fmt.Errorf("schedule region %s: %w", request.Name, err)
		}
	}
	return reconcile.Result{RequeueAfter: p.again}, nil
}

// plan reads, decides and books while no other controller promises anything of the region.
func (r *reconciler) plan(ctx context.Context, p *pass) error {
	if p.name == index.AnyRegion {
		return r.planAnywhere(ctx, p)
	}
	defer r.store.Lock(p.name)()
	s, err := r.read(ctx, p, p.regions)
	if err != nil {
		return err
	}
	s.dropUnfitOfAnywhere()
	for _, cluster := range r.waiting(p, s) {
		p.decisions = append(p.decisions, s.decide(cluster))
	}
	p.lookAgain(s.books.Next())
	return r.store.Write(ctx, s.books)
}

// waiting Clusters of the pass, the oldest first, without those that the cache shows as they were: for them the
// pass looks again.
func (r *reconciler) waiting(p *pass, s *snapshot) []*v1alpha1.Cluster {
	waiting := slices.DeleteFunc(s.waiting(p.name), func(c *v1alpha1.Cluster) bool {
		stale := r.written.Stale(c)
		if stale {
			p.lookAgain(unseenRetry)
		}
		return stale
	})
	slices.SortFunc(waiting, olderFirst)
	return waiting
}

func olderFirst(a, b *v1alpha1.Cluster) int {
	if c := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); c != 0 {
		return c
	}
	return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
}

func (r *reconciler) write(ctx context.Context, p *pass) error {
	failures := make([]error, len(p.decisions))
	var group errgroup.Group
	group.SetLimit(writesAtOnce)
	for i, decision := range p.decisions {
		group.Go(func() error {
			failures[i] = client.IgnoreNotFound(r.carryOut(ctx, decision))
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return worst(failures)
}

// worst joins the errors; conflicts alone stay one conflict, for they only ask for another pass.
func worst(failures []error) error {
	var conflict error
	others := slices.DeleteFunc(failures, func(err error) bool {
		if err != nil && apierrors.IsConflict(err) {
			conflict = err
			return true
		}
		return false
	})
	if err := errors.Join(others...); err != nil {
		return err
	}
	return conflict
}

// carryOut a decision. The evidence comes with the bind, in one write: a guest that is bound has it.
func (r *reconciler) carryOut(ctx context.Context, d decision) error {
	cluster := d.cluster.DeepCopy()
	if d.booking == nil {
		err := write.Status(ctx, r.client, cluster, func(c *v1alpha1.Cluster) { r.refuse(c, d) })
		if err == nil {
			r.written.Wrote(cluster)
		}
		return err
	}
	var failure error
	err := write.Object(ctx, r.client, cluster, func(c *v1alpha1.Cluster) {
		d.booking.Bind(c)
		if d.evidence != nil {
			evidence := v1alpha1.PlacementEvidence{Placement: *d.evidence, RejectedCells: d.rejected[:min(len(d.rejected), maxRejected)]}
			evidence.Placement.DecidedAt = metav1.NewTime(r.clock.Now())
			failure = order.Explain(c, evidence)
		}
	})
	if err == nil {
		r.written.Wrote(cluster)
	}
	return errors.Join(failure, err)
}

// refuse says why a Cluster waits. What the messages count changes with every guest that comes or goes: they
// are written anew when a reason does.
func (r *reconciler) refuse(c *v1alpha1.Cluster, d decision) {
	rejected := d.rejected[:min(len(d.rejected), maxRejected)]
	last := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionScheduled)
	if last != nil && last.Reason == d.problem.Reason && last.Reason == v1alpha1.ReasonNoRoom &&
		c.Status.ObservedGeneration == c.Generation && sameReasons(c.Status.RejectedCells, rejected) {
		return
	}
	now := r.clock.Now()
	c.Status.RejectedCells = rejected
	c.Status.ObservedGeneration = c.Generation
	write.Condition(&c.Status.Conditions, now, condition(c, v1alpha1.ConditionScheduled, d.problem.Reason, d.problem.Message))
	write.Condition(&c.Status.Conditions, now, condition(c, v1alpha1.ConditionReady, v1alpha1.ReasonUnscheduled, "waits for a cell; see the Scheduled condition"))
}

// sameReasons tells whether the same cells were rejected for the same reasons.
func sameReasons(a, b []v1alpha1.RejectedCell) bool {
	return slices.EqualFunc(a, b, func(x, y v1alpha1.RejectedCell) bool { return x.Cell == y.Cell && x.Reason == y.Reason })
}

// isWaiting tells whether a Cluster still needs its bind.
func isWaiting(cluster *v1alpha1.Cluster) bool {
	_, bound := order.BookingOf(cluster)
	return !bound && cluster.DeletionTimestamp.IsZero()
}
