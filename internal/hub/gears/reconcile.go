package gears

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/gearbox"
	"github.com/myriad-fleet/myriad/internal/hub/ledger"
	"github.com/myriad-fleet/myriad/internal/hub/write"
)

const (
	// writesAtOnce bounds the guests of one pass whose writes are in flight.
	writesAtOnce = 8
	// staleRetry is how long a pass that ran on a stale cache waits for the cache. Agents write the orders, too, and
	// no shift is in a hurry: with 50 ms a busy hub had seven conflicts for each move (docs/scale.md).
	staleRetry = 500 * time.Millisecond
)

// reconciler looks after the gears of one cell:
//
//  1. read the Gearbox in force, the cell, its orders with their Clusters, and the templates; while there is no
//     Gearbox, or the cell does not report, every guest keeps what it has;
//  2. decide for each guest that has news, or whose time has come, those first that have waited longest for a larger gear, then by name, each after
//     the room that the one before takes. A guest whose last move was noted but not made, because a hub was
//     killed between the two writes of a move, gets that move made, or struck from its history;
//  3. book the room that was given, on the version of the cell's Ledger that was read: if somebody else wrote it
//     since, the pass begins again;
//  4. write what was decided: the report in the Cluster first, with the move, and then the order. Both writes
//     fail if anybody else wrote since, so no move is made that is not in the history, and none twice;
//  5. report on the cell whether every guest has the room that it wants, and come back when time alone may
//     change a decision.
//
// A frozen copy of a guest, a tombstoned order and a Cluster that is being deleted are left alone.
type reconciler struct {
	client   client.Client
	live     client.Reader // past the cache
	clock    clock.PassiveClock
	store    *ledger.Store
	written  *write.Versions // Clusters, by every controller of this process
	restarts *restarts
	quiet    *quiet
	blocked  *prometheus.GaugeVec
	idle     *atomic.Bool // there was no Gearbox in force when last looked for
}

// pass carries one reconciliation from step to step.
type pass struct {
	now       time.Time
	cell      *v1alpha1.Cell // nil when there is none
	box       *gearbox.Box   // nil when none is in force
	templates map[string]*v1alpha1.ClusterTemplate
	guests    []*guest
	room      *room
	again     time.Duration // until the next look; 0 for whenever something changes
	depends   bool          // whether what was decided last depends on more than the guest itself
	// restarting are tenants that were found busy, so that a tenant's guests are searched once and not for each of them.
	restarting map[string]busyTenant
}

// Reconcile looks after the gears of the cell that the request names.
func (r *reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	p := &pass{now: r.clock.Now()}
	if err := r.read(ctx, request.Name, p); err != nil {
		return reconcile.Result{}, fmt.Errorf("gears of cell %s: %w", request.Name, err)
	}
	if p.cell == nil {
		r.blocked.DeleteLabelValues(request.Name)
		return reconcile.Result{}, nil
	}
	r.noteIdle(ctx, p)
	if p.box != nil && !isReachable(p.cell) {
		return reconcile.Result{}, nil
	}
	if err := r.decide(ctx, p); apierrors.IsConflict(err) {
		return reconcile.Result{RequeueAfter: staleRetry}, nil
	} else if err != nil {
		return reconcile.Result{}, fmt.Errorf("gears of cell %s: %w", request.Name, err)
	}
	err := worst(append(r.write(ctx, p), r.report(ctx, p)))
	if apierrors.IsConflict(err) {
		return reconcile.Result{RequeueAfter: staleRetry}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("gears of cell %s: %w", request.Name, err)
	}
	return reconcile.Result{RequeueAfter: p.again}, nil
}

// noteIdle logs once that no gears are computed, and once that they are again.
func (r *reconciler) noteIdle(ctx context.Context, p *pass) {
	if idle := p.box == nil; r.idle.Swap(idle) != idle {
		if idle {
			ctrl.LoggerFrom(ctx).Info("there is no Gearbox in force: guests keep the size that they have", "gearbox", v1alpha1.DefaultGearbox)
			return
		}
		ctrl.LoggerFrom(ctx).Info("a Gearbox is in force: guests are sized by their load", "gearbox", v1alpha1.DefaultGearbox)
	}
}

// decide for every guest, and book the room that was given, while no other controller gives room of the region
// away. In most passes nobody asks for room.
func (r *reconciler) decide(ctx context.Context, p *pass) error {
	p.room = &room{open: func() (*ledger.Books, func(), error) { return r.count(ctx, p) }}
	defer p.room.close()
	slices.SortFunc(p.guests, longestWaitFirst)
	r.decideAll(p, func(g *guest) string { return r.restarts.claim(ctx, r.client, p, g) })
	if p.room.err != nil || p.room.counted == nil {
		return p.room.err
	}
	return r.store.Write(ctx, p.room.counted)
}

// lookAgain in that time at the latest.
func (p *pass) lookAgain(in time.Duration) {
	if in > 0 && (p.again == 0 || in < p.again) {
		p.again = in
	}
}

// write what was decided. One guest that cannot be written does not keep the others.
func (r *reconciler) write(ctx context.Context, p *pass) []error {
	failures := make([]error, len(p.guests))
	var group errgroup.Group
	group.SetLimit(writesAtOnce)
	for i, g := range p.guests {
		if g.change == nil {
			continue
		}
		group.Go(func() error {
			failures[i] = client.IgnoreNotFound(r.carryOut(ctx, g))
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return []error{err}
	}
	return failures
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
