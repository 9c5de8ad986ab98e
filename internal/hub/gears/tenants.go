package gears

import (
	"context"
	"fmt"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/index"
)

const (
	// restartTime is how long a restart for a new tuning counts as under way whatever is reported: an agent
	// that has the order may report the guest as it was before it begins. A Zonal guest restarts zone by
	// zone, about 15 s each with draining.
	restartTime = time.Minute
	// defaultHealthSeconds is the default of Gearbox.spec.shifting.healthSeconds.
	defaultHealthSeconds = 600
)

// restarts are those that were granted in memory, so that two cells that are looked at in parallel restart no two
// guests of one tenant.
type restarts struct {
	mutex   sync.Mutex
	granted map[string]restart // by tenant
}

type restart struct {
	id, name string
	at       time.Time
}

// busyTenant has a guest that is being restarted.
type busyTenant struct {
	id, why string
}

func newRestarts() *restarts { return &restarts{granted: map[string]restart{}} }

// claim the restart of a guest for its tenant. The answer says why the guest may not be restarted now;
// empty: it may, and no other of the tenant may.
func (r *restarts) claim(ctx context.Context, reader client.Reader, p *pass, g *guest) string {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	tenant := g.cluster.Namespace
	if last, ok := r.granted[tenant]; ok && last.id != g.order.Name && within(p.now, last.at, restartTime) {
		return fmt.Sprintf("guest %s is being restarted for its tuning", last.name)
	}
	if other, ok := p.restarting[tenant]; ok && other.id != g.order.Name {
		return other.why
	}
	var orders v1alpha1.ControlPlaneList
	if err := reader.List(ctx, &orders, client.MatchingFields{index.Tenant: tenant}, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Sprintf("nobody can say whether another guest of the tenant is being restarted: %v", err)
	}
	for i := range orders.Items {
		o := &orders.Items[i]
		if o.Name == g.order.Name || o.Spec.Tuning == nil || !isLive(o) {
			continue
		}
		if why := restarting(ctx, reader, p, o); why != "" {
			if p.restarting == nil {
				p.restarting = map[string]busyTenant{}
			}
			p.restarting[tenant] = busyTenant{id: o.Name, why: why}
			return why
		}
	}
	r.granted[tenant] = restart{id: g.order.Name, name: g.name(), at: p.now}
	return ""
}

// restarting says that another guest of the tenant was tuned and is not there yet; empty: it is. One that did
// not become healthy in time is given as long again to go back.
func restarting(ctx context.Context, reader client.Reader, p *pass, order *v1alpha1.ControlPlane) string {
	var cluster v1alpha1.Cluster
	key := client.ObjectKey{Namespace: order.Spec.Cluster.Namespace, Name: order.Spec.Cluster.Name}
	if err := reader.Get(ctx, key, &cluster, client.UnsafeDisableDeepCopy); err != nil || cluster.Status.Gear == nil {
		return ""
	}
	for _, move := range cluster.Status.Gear.Moves {
		if move.Kind != v1alpha1.GearMoveTuning {
			continue
		}
		if within(p.now, move.Time.Time, restartTime) || !isHealthy(order) && within(p.now, move.Time.Time, 2*p.healthTime()) {
			return fmt.Sprintf("guest %s is being restarted for its tuning of %s", key, move.To)
		}
		return ""
	}
	return ""
}

// healthTime that a shift has to become healthy.
func (p *pass) healthTime() time.Duration {
	seconds := p.box.Spec().Shifting.HealthSeconds
	if seconds == 0 {
		seconds = defaultHealthSeconds
	}
	return time.Duration(seconds) * time.Second
}

// within tells whether now is less than a span after then, or before it, for clocks jump.
func within(now, then time.Time, span time.Duration) bool {
	age := now.Sub(then)
	return age < span && age > -span
}
