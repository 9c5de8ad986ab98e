package cluster

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/gearbox"
	"github.com/myriad-fleet/myriad/internal/hub/index"
	"github.com/myriad-fleet/myriad/internal/hub/order"
	"github.com/myriad-fleet/myriad/internal/hub/resolve"
	"github.com/myriad-fleet/myriad/internal/hub/write"
)

// staleRetry is how long a reconciliation that ran on a stale cache waits for the cache.
const staleRetry = 50 * time.Millisecond

// reconciler looks after one Cluster:
//
//  1. read it, its orders (those that name it: labels alone prove nothing) and its cell;
//  2. clear away orders that were written for an earlier Cluster of the name, which vanished;
//  3. when it is deleted: tombstone its orders, and let go of it once the agents have removed the guest;
//  4. when its labels do not say what its order says: correct them;
//  5. judge where it lies by its residency;
//  6. when it is bound and has no order: write the order, on trial;
//  7. when its residency refuses, or allows again, that snapshots are stored where its cell does: say so in the
//     order;
//  8. when the order has been on trial for long enough: end the trial;
//  9. report how the guest is.
//
// A Cluster that is not bound is left to the controller of scheduling. Of a Cluster that is gone,
// orders are cleared away that were tombstoned before or are still on trial.
type reconciler struct {
	client         client.Client
	live           client.Reader
	clock          clock.PassiveClock
	renderRevision int64
	written        *write.Versions // Clusters, by every controller of this process
	memory         *memory
}

// subject carries one reconciliation from step to step.
type subject struct {
	cluster *v1alpha1.Cluster
	strays  []v1alpha1.ControlPlane // of an earlier Cluster of the name
	orders  []v1alpha1.ControlPlane // without strays
	order   *v1alpha1.ControlPlane  // the live one of orders
	booking order.Booking
	bound   bool
	cell    *v1alpha1.Cell // nil when it does not exist
	problem *resolve.Problem

	violations       []string // what lies against the residency
	snapshotsRefused string   // why no snapshots may be stored where the cell does; empty: they may

	again time.Duration // until the next look; 0 for whenever something changes
}

// step of a reconciliation. It is the last one when done is true.
type step func(context.Context, *subject) (done bool, err error)

// Reconcile looks after the Cluster that the request names.
func (r *reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	s := &subject{cluster: &v1alpha1.Cluster{}}
	if err := r.client.Get(ctx, request.NamespacedName, s.cluster); apierrors.IsNotFound(err) {
		r.written.Forget(request.NamespacedName)
		r.memory.forget(request.NamespacedName)
		return r.finish(ctx, request.NamespacedName)
	} else if err != nil {
		return reconcile.Result{}, fmt.Errorf("read Cluster %s: %w", request.NamespacedName, err)
	}
	if r.written.Stale(s.cluster) {
		return reconcile.Result{RequeueAfter: staleRetry}, nil
	}
	defer func() { r.written.Wrote(s.cluster) }()
	for _, step := range []step{r.read, r.clearStrays, r.remove, r.correctLabels, r.judge, r.writeOrder, r.refuseSnapshots, r.endTrial, r.report} {
		done, err := step(ctx, s)
		if apierrors.IsConflict(err) {
			return reconcile.Result{RequeueAfter: staleRetry}, nil
		}
		if err != nil {
			return reconcile.Result{}, fmt.Errorf("reconcile Cluster %s: %w", request.NamespacedName, err)
		}
		if done {
			break
		}
	}
	return reconcile.Result{RequeueAfter: s.again, Priority: s.priority()}, nil
}

func (r *reconciler) read(ctx context.Context, s *subject) (bool, error) {
	var orders v1alpha1.ControlPlaneList
	if err := r.client.List(ctx, &orders, client.MatchingFields{index.Cluster: client.ObjectKeyFromObject(s.cluster).String()}); err != nil {
		return false, fmt.Errorf("list orders: %w", err)
	}
	for i := range orders.Items {
		if order.IsStray(&orders.Items[i], s.cluster) {
			s.strays = append(s.strays, orders.Items[i])
			continue
		}
		s.orders = append(s.orders, orders.Items[i])
	}
	r.expectOrder(s)
	s.order = order.Live(s.orders)
	s.booking, s.bound = order.BookingOf(s.cluster)
	if s.order != nil {
		s.booking = order.BookingFor(s.order)
	}
	if s.booking.Cell == "" {
		return false, nil
	}
	var cell v1alpha1.Cell
	if err := r.client.Get(ctx, client.ObjectKey{Name: s.booking.Cell}, &cell); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	s.cell = &cell
	return false, nil
}

// expectOrder that was written and that the cache does not show yet: it would be written in vain once more.
func (r *reconciler) expectOrder(s *subject) {
	key := client.ObjectKeyFromObject(s.cluster)
	if len(s.orders) > 0 {
		r.memory.shown(key)
		return
	}
	if wrote := r.memory.order(key, s.cluster.UID, r.clock.Now()); wrote != nil {
		s.orders = append(s.orders, *wrote)
	}
}

func (r *reconciler) correctLabels(ctx context.Context, s *subject) (bool, error) {
	if s.order == nil {
		return !s.bound, nil
	}
	return r.writeCluster(ctx, s, s.booking.Bind)
}

// writeOrder of a bound Cluster: its orphan's when the cell reports one of that id, otherwise a
// new one. A Cluster whose booking turns out to be another guest's goes back to scheduling.
func (r *reconciler) writeOrder(ctx context.Context, s *subject) (bool, error) {
	if s.order != nil {
		return false, nil
	}
	if s.cell == nil || s.cell.Spec.Region != s.booking.Region {
		_, err := r.writeCluster(ctx, s, order.Unbind)
		return true, err
	}
	desired, problem, err := r.desiredOrder(ctx, s)
	if err != nil {
		return false, err
	}
	if s.problem = problem; problem != nil {
		return false, nil
	}
	desired.Spec.SnapshotsRefused = s.snapshotsRefused
	if s.order, err = r.create(ctx, desired); err != nil {
		return false, err
	}
	if !order.BelongsTo(s.order, s.cluster) {
		_, err := r.writeCluster(ctx, s, order.Unbind)
		return true, err
	}
	r.memory.ordered(client.ObjectKeyFromObject(s.cluster), s.cluster.UID, s.order, r.clock.Now())
	return false, nil
}

// writeCluster is done when the Cluster is gone: the event of its removal brings it here again.
func (r *reconciler) writeCluster(ctx context.Context, s *subject, change func(*v1alpha1.Cluster)) (bool, error) {
	err := write.Object(ctx, r.client, s.cluster, change)
	return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
}

// create an order, or read the one that is there already.
func (r *reconciler) create(ctx context.Context, desired *v1alpha1.ControlPlane) (*v1alpha1.ControlPlane, error) {
	key := client.ObjectKeyFromObject(desired)
	err := r.client.Create(ctx, desired)
	if apierrors.IsAlreadyExists(err) {
		err = r.live.Get(ctx, key, desired)
	}
	if err != nil {
		return nil, fmt.Errorf("write order %s: %w", key, err)
	}
	return desired, nil
}

func (r *reconciler) desiredOrder(ctx context.Context, s *subject) (*v1alpha1.ControlPlane, *resolve.Problem, error) {
	if orphan := order.Orphan(s.cell, s.booking.ID); orphan != nil && orphan.Order.ID == s.booking.ID && orphan.Order.Cluster.Namespace == s.cluster.Namespace {
		if _, problem := order.Adoptable(s.cluster, s.cell, s.booking.ID); problem != nil {
			return nil, problem, nil
		}
		return order.FromOrphan(s.cluster, s.cell.Name, orphan), nil, nil
	}
	if s.cluster.Annotations[v1alpha1.AnnotationAdopt] == s.cell.Name+"/"+s.booking.ID {
		_, _, problem := order.Adoption(s.cluster, []v1alpha1.Cell{*s.cell})
		return nil, problem, nil
	}
	catalogue, err := r.catalogue(ctx)
	if err != nil {
		return nil, nil, err
	}
	spec := s.cluster.Spec
	spec.Region = s.booking.Region
	resolved, problem := resolve.Cluster(spec, catalogue)
	if problem != nil {
		return nil, problem, nil
	}
	return order.New(s.cluster, resolved, s.booking, r.renderRevision), nil, nil
}

func (r *reconciler) catalogue(ctx context.Context) (resolve.Catalogue, error) {
	var (
		regions   v1alpha1.RegionList
		templates v1alpha1.ClusterTemplateList
		releases  v1alpha1.ReleaseList
	)
	for _, list := range []client.ObjectList{&regions, &templates, &releases} {
		if err := r.client.List(ctx, list); err != nil {
			return resolve.Catalogue{}, fmt.Errorf("list %T: %w", list, err)
		}
	}
	box, err := gearbox.InForce(ctx, r.client, r.live)
	if err != nil {
		return resolve.Catalogue{}, err
	}
	return resolve.Catalogue{Regions: regions.Items, Templates: templates.Items, Releases: releases.Items, Gearbox: box.Spec()}, nil
}
