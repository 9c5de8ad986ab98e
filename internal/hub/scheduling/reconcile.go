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
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/ledger"
	"github.com/myriad-fleet/myriad/internal/hub/order"
	"github.com/myriad-fleet/myriad/internal/hub/write"
)

const (
	// writesAtOnce bounds the writes of one pass that are in flight.
	writesAtOnce = 8
	// staleRetry is how long a pass that ran on a stale cache waits for the cache.
	staleRetry = 50 * time.Millisecond
	// maxRejected is the schema's limit of Cluster.status.rejectedCells.
	maxRejected = 100
)

// reconciler schedules one region at a time:
//
//  1. read the region: what the fleet offers, its cells, its orders and its Clusters;
//  2. decide for each waiting Cluster, the oldest first, each after the booking of the one before;
//  3. write each decision: the bind in one optimistic write, or the conditions that say why not.
//
// The order itself is written by the controller of the bound Cluster.
type reconciler struct {
	client   client.Client
	live     client.Reader // past the cache
	clock    clock.PassiveClock
	promises *ledger.Promises
}

// pass carries one reconciliation from step to step.
type pass struct {
	region    string
	snapshot  *snapshot
	decisions []decision
}

// Reconcile schedules the region that the request names.
func (r *reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	p := &pass{region: request.Name}
	for _, step := range []func(context.Context, *pass) error{r.plan, r.write} {
		if err := step(ctx, p); err != nil {
			if apierrors.IsConflict(err) {
				return reconcile.Result{RequeueAfter: staleRetry}, nil
			}
			return reconcile.Result{}, fmt.Errorf("schedule region %s: %w", request.Name, err)
		}
	}
	return reconcile.Result{}, nil
}

// plan reads and decides while nobody else promises anything of the region.
func (r *reconciler) plan(ctx context.Context, p *pass) error {
	defer r.promises.Lock(p.region)()
	if err := r.read(ctx, p); err != nil {
		return err
	}
	r.decide(p)
	return nil
}

func (r *reconciler) decide(p *pass) {
	waiting := p.snapshot.waiting()
	slices.SortFunc(waiting, olderFirst)
	for _, cluster := range waiting {
		decision := p.snapshot.decide(cluster)
		if decision.booking != nil {
			r.promises.Bind(p.region, cluster.UID, ledger.Bind{Tenant: cluster.Namespace, Booking: *decision.booking, Demand: decision.demand})
		}
		p.decisions = append(p.decisions, decision)
	}
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

func (r *reconciler) carryOut(ctx context.Context, d decision) error {
	cluster := d.cluster.DeepCopy()
	if d.booking != nil {
		return write.Object(ctx, r.client, cluster, d.booking.Bind)
	}
	return write.Status(ctx, r.client, cluster, func(c *v1alpha1.Cluster) {
		now := r.clock.Now()
		c.Status.RejectedCells = d.rejected[:min(len(d.rejected), maxRejected)]
		c.Status.ObservedGeneration = c.Generation
		write.Condition(&c.Status.Conditions, now, condition(c, v1alpha1.ConditionScheduled, d.problem.Reason, d.problem.Message))
		write.Condition(&c.Status.Conditions, now, condition(c, v1alpha1.ConditionReady, v1alpha1.ReasonUnscheduled, "waits for a cell; see the Scheduled condition"))
	})
}

// isWaiting tells whether a Cluster still needs its bind.
func isWaiting(cluster *v1alpha1.Cluster) bool {
	_, bound := order.BookingOf(cluster)
	return !bound && cluster.DeletionTimestamp.IsZero()
}
