package main

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/test/scale/fleetplan"
	"github.com/myriad-fleet/myriad/test/scale/plots"
)

const (
	// requestsAtOnce of the generator.
	requestsAtOnce = 64
	// settlePatience bounds how long all clusters may take until they are as they should be.
	settlePatience = 15 * time.Minute
	// trialTime is how long an order is on trial (internal/hub/cluster), at whose end it is written once more.
	trialTime = 5 * time.Minute
	// calmWindow in which a fleet that is calm is written to at most calmWrites times per guest and ten minutes.
	calmWindow, calmWrites = 20 * time.Second, 1
	// calmPatience bounds the wait for it.
	calmPatience = 6 * time.Minute
	// shortest idling that is worth waiting for calm.
	shortest     = time.Minute
	secondsOfDay = 86400
	profileTime  = 20 // seconds
)

// phase of a run.
type phase struct {
	name string
	run  func(context.Context) error
}

// live runs the phases in order. Each is measured.
func (w *world) live(ctx context.Context) error {
	for _, p := range []phase{
		{"empty", w.empty},
		{"create", w.create},
		{"settle", w.settle},
		{"calm down", w.calmDown},
		{"idle", w.idleAway},
		{"a day", w.drift},
		{"agent back", w.agentBack},
		{"zone lost", w.loseZone},
		{"hub restarted", w.restartHub},
		{"hub killed", w.killHub},
		{"agents reconnect", w.reconnect},
		{"delete", w.remove},
	} {
		if err := w.measure(ctx, p); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// empty reads what everything takes before there is a cluster.
func (w *world) empty(ctx context.Context) error { return pause(ctx, 2*meterPeriod) }

func pause(ctx context.Context, wait time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(wait):
		return nil
	}
}

// create all clusters at the rate of the options.
func (w *world) create(ctx context.Context) error {
	w.profile(ctx, "create")
	return w.each(ctx, func(ctx context.Context, cluster fleetplan.Cluster) error {
		object := objectOf(cluster)
		key := client.ObjectKeyFromObject(object)
		w.witness.Asked(key, time.Now())
		if err := w.persist(ctx, func() error { return client.IgnoreAlreadyExists(w.hub.Create(ctx, object)) }); err != nil {
			return fmt.Errorf("create Cluster %s: %w", key, err)
		}
		w.witness.Created(key)
		return nil
	})
}

func objectOf(cluster fleetplan.Cluster) *v1alpha1.Cluster {
	object := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: cluster.Namespace, Name: cluster.Name}, Spec: v1alpha1.ClusterSpec{
		Template: cluster.Template, Region: cluster.Region, Availability: v1alpha1.Single,
	}}
	if cluster.Zonal {
		object.Spec.Availability = v1alpha1.Zonal
	}
	if cluster.Region == "" {
		object.Spec.Residency = &v1alpha1.Residency{Areas: []string{cluster.Area}}
	}
	return object
}

// each cluster in the order of the plan, at the rate of the options.
func (w *world) each(ctx context.Context, do func(context.Context, fleetplan.Cluster) error) error {
	limiter := rate.NewLimiter(rate.Limit(w.rate), 1)
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(requestsAtOnce)
	for _, cluster := range w.plan.Clusters {
		if limiter.Wait(ctx) != nil {
			break
		}
		all.Go(func() error { return do(ctx, cluster) })
	}
	return all.Wait()
}

// persist with a request that the API server could not take right now.
func (w *world) persist(ctx context.Context, request func() error) error {
	for {
		err := request()
		if !apierrors.IsTooManyRequests(err) && !apierrors.IsServerTimeout(err) && !apierrors.IsTimeout(err) && !apierrors.IsInternalError(err) {
			return err
		}
		w.figures.retried()
		if err := pause(ctx, poll); err != nil {
			return err
		}
	}
}

// allReady waits until every Cluster is.
func (w *world) allReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settlePatience)
	defer cancel()
	err := await(ctx, poll, "every Cluster is Ready", func(context.Context) (bool, error) {
		counts := w.witness.Counts()
		return counts.Ready == len(w.plan.Clusters), nil
	})
	if err != nil {
		return fmt.Errorf("%w: %+v", err, w.witness.Counts())
	}
	return nil
}

// settle waits until all are Ready, and notes how long each took beyond what its cell's simulation took.
func (w *world) settle(ctx context.Context) error {
	if err := w.allReady(ctx); err != nil {
		return err
	}
	started := map[string]float64{}
	for _, host := range w.hosts {
		took, err := host.started(ctx)
		if err != nil {
			return err
		}
		maps.Copy(started, took)
	}
	w.figures.created(w.witness.Times(), started)
	return nil
}

// loseZone of the cell with the most guests, and restore it.
func (w *world) loseZone(ctx context.Context) error {
	name := w.plan.Cells[0].Name
	drill := func(drills ...v1alpha1.Drill) error {
		var cell v1alpha1.Cell
		if err := w.hub.Get(ctx, client.ObjectKey{Name: name}, &cell); err != nil {
			return fmt.Errorf("read Cell %s: %w", name, err)
		}
		before := client.MergeFrom(cell.DeepCopy())
		cell.Spec.Drills = drills
		if err := w.hub.Patch(ctx, &cell, before); err != nil {
			return fmt.Errorf("drill Cell %s: %w", name, err)
		}
		return await(ctx, poll, "the drill is in force", func(ctx context.Context) (bool, error) {
			err := w.hub.Get(ctx, client.ObjectKey{Name: name}, &cell)
			return len(cell.Status.Drills) == len(drills), err
		})
	}
	if err := drill(v1alpha1.Drill{Zone: zones[0], Mode: v1alpha1.DrillKill}); err != nil {
		return err
	}
	if err := pause(ctx, w.zone); err != nil {
		return err
	}
	w.figures.value("not Ready while a zone of the largest cell is lost", "clusters", float64(len(w.plan.Clusters)-w.witness.Counts().Ready))
	if err := drill(); err != nil {
		return err
	}
	restored := time.Now()
	if err := w.allReady(ctx); err != nil {
		return err
	}
	w.figures.value("zone restored until every Cluster is Ready", "s", time.Since(restored).Seconds())
	return nil
}

func (w *world) restartHub(ctx context.Context) error {
	return w.replaceHub(ctx, syscall.SIGTERM, func(seconds float64) { w.figures.bound("hub restarted until it leads and is synced", "s", seconds, 30) })
}

func (w *world) killHub(ctx context.Context) error {
	return w.replaceHub(ctx, syscall.SIGKILL, func(seconds float64) {
		w.figures.value("hub leader killed until another leads and is synced", "s", seconds)
	})
}

// replaceHub ends the hub's controllers, which their supervisor starts anew.
func (w *world) replaceHub(ctx context.Context, signal syscall.Signal, tell func(seconds float64)) error {
	pid, err := w.meter.pid(plots.PartHub)
	if err != nil {
		return err
	}
	ended := time.Now()
	if err := syscall.Kill(pid, signal); err != nil {
		return fmt.Errorf("end the hub (pid %d): %w", pid, err)
	}
	err = await(ctx, poll, "another hub runs", func(context.Context) (bool, error) {
		next, err := w.meter.pid(plots.PartHub)
		return err == nil && next != pid, nil
	})
	if err != nil {
		return err
	}
	if signal == syscall.SIGTERM { // one of the two: a profile may take longer than a small hub's start
		w.profile(ctx, "restart")
	}
	seconds, err := w.hubSynced(ctx, ended)
	if err != nil {
		return err
	}
	tell(seconds)
	return w.allReady(ctx)
}

// reconnect every agent at once, while users ask as fast as a failed request is defined for.
func (w *world) reconnect(ctx context.Context) error {
	w.users.rate(usersUnderTest)
	defer w.users.rate(usersPerSecond)
	w.users.take()
	for _, what := range []string{"stop", "start"} {
		for _, host := range w.hosts {
			if err := host.tell(ctx, what); err != nil {
				return err
			}
		}
	}
	began := time.Now()
	w.profile(ctx, "reconnect")
	if err := w.agentsRenew(ctx, began, ""); err != nil {
		return err
	}
	if err := w.allReady(ctx); err != nil {
		return err
	}
	w.figures.bound("all agents reconnect until every cell reports and every Cluster is Ready", "s", time.Since(began).Seconds(), 60)
	if err := pause(ctx, 2*meterPeriod); err != nil {
		return err
	}
	asked, failures, took := w.users.take()
	w.figures.bound(fmt.Sprintf("failed requests of users meanwhile, of %d", asked), "", float64(len(failures)), 0)
	w.figures.value("requests of users meanwhile, p99", "s", percentile(took, 99))
	w.figures.failures(failures)
	return nil
}

// agentsRenew waits until every cell's Lease, or that of one, was renewed after a time.
func (w *world) agentsRenew(ctx context.Context, since time.Time, only string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, cell := range w.plan.Cells {
		if only != "" && cell.Name != only {
			continue
		}
		err := await(ctx, poll, "the agent of "+cell.Name+" reports", func(ctx context.Context) (bool, error) {
			return w.renewed(ctx, cell.Name, since), nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// idleAway leaves the fleet alone, the agent of one small cell away.
func (w *world) idleAway(ctx context.Context) error {
	w.figures.away(w.awayCell())
	for _, host := range w.hosts {
		if err := host.tell(ctx, "stop?cell="+w.awayCell()); err != nil {
			return err
		}
	}
	if w.idle >= shortest {
		if err := pause(ctx, calmWindow); err != nil { // what its going changes is no idling
			return err
		}
	}
	return w.idleNow(ctx)
}

// awayCell is one of the second region: neither the largest nor the one that is measured alone.
func (w *world) awayCell() string {
	for _, cell := range w.plan.Cells[1:] {
		if cell.Name != w.alone {
			return cell.Name
		}
	}
	return w.plan.Cells[0].Name
}

// agentBack has the agent that is away come back once it was for long enough.
func (w *world) agentBack(ctx context.Context) error {
	if err := pause(ctx, w.away-time.Since(w.figures.awaySince)); err != nil {
		return err
	}
	began := time.Now()
	for _, host := range w.hosts {
		if err := host.tell(ctx, "start?cell="+w.awayCell()); err != nil {
			return err
		}
	}
	if err := w.agentsRenew(ctx, began, w.awayCell()); err != nil {
		return err
	}
	if err := w.allReady(ctx); err != nil {
		return err
	}
	w.figures.value("agent back until every Cluster is Ready", "s", time.Since(began).Seconds())
	return nil
}

// drift lets a day's load pass by.
func (w *world) drift(ctx context.Context) error {
	before := w.witness.Counts().Shifts
	if err := w.pace(ctx, secondsOfDay/w.day.Seconds()); err != nil {
		return err
	}
	w.profile(ctx, "day")
	if err := pause(ctx, w.day); err != nil {
		return err
	}
	w.figures.value("shifts of gears in a day that passes within minutes", "", float64(w.witness.Counts().Shifts-before))
	return w.pace(ctx, 0)
}

func (w *world) pace(ctx context.Context, pace float64) error {
	for _, host := range w.hosts {
		if err := host.tell(ctx, fmt.Sprintf("pace?to=%g", pace)); err != nil {
			return err
		}
	}
	return nil
}

// remove all clusters, in another order than they were made in, and see that nothing of them is left.
func (w *world) remove(ctx context.Context) error {
	rand.New(rand.NewPCG(w.seed, 2)).Shuffle(len(w.plan.Clusters), func(i, j int) {
		w.plan.Clusters[i], w.plan.Clusters[j] = w.plan.Clusters[j], w.plan.Clusters[i]
	})
	began := time.Now()
	err := w.each(ctx, func(ctx context.Context, cluster fleetplan.Cluster) error {
		object := objectOf(cluster)
		w.witness.Deleted(client.ObjectKeyFromObject(object))
		return w.persist(ctx, func() error { return client.IgnoreNotFound(w.hub.Delete(ctx, object)) })
	})
	if err != nil {
		return fmt.Errorf("delete Clusters: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, settlePatience)
	defer cancel()
	err = await(ctx, poll, "every Cluster is gone", func(context.Context) (bool, error) {
		return w.witness.Counts().Gone == len(w.plan.Clusters) && w.witness.Orders() == 0, nil
	})
	if err != nil {
		return fmt.Errorf("%w: %+v, %d orders", err, w.witness.Counts(), w.witness.Orders())
	}
	w.figures.value("all deleted and gone", "s", time.Since(began).Seconds())
	return w.nothingLeft(ctx)
}
