package ledger

import (
	"maps"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/order"
	"github.com/myriad-fleet/myriad/internal/placement"
)

// Promises remembers binds and sizes until the cache shows them, so that a pass on a stale cache gives
// nothing away twice and repeats its own earlier decisions.
type Promises struct {
	mutex   sync.Mutex
	regions map[string]*sync.Mutex
	bound   map[string]map[types.UID]Bind
	sized   map[types.UID]sizing
}

// Bind is a booking whose write may not have reached the cache yet.
type Bind struct {
	// Tenant is the namespace of the Cluster.
	Tenant string
	// Booking that the Cluster gets.
	Booking order.Booking
	// Demand in each zone of the booking.
	Demand []placement.Demand
}

// sizing is what an order will take if a write to it succeeds that was based on that version of it: as
// long as the cache shows this version, nobody knows.
type sizing struct {
	version string
	demand  []placement.Demand
}

// NewPromises of a hub that has just begun to lead.
func NewPromises() *Promises {
	return &Promises{regions: map[string]*sync.Mutex{}, bound: map[string]map[types.UID]Bind{}, sized: map[types.UID]sizing{}}
}

// Lock a region's room. It is held from the count to the promise, so that nobody gives away what
// somebody else is about to promise; not while the promise is written. Unlock ends it.
func (p *Promises) Lock(region string) (unlock func()) {
	p.mutex.Lock()
	lock, ok := p.regions[region]
	if !ok {
		lock = &sync.Mutex{}
		p.regions[region] = lock
	}
	p.mutex.Unlock()
	lock.Lock()
	return lock.Unlock
}

// Bind promises a booking to a Cluster.
func (p *Promises) Bind(region string, cluster types.UID, bind Bind) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.bound[region] == nil {
		p.bound[region] = map[types.UID]Bind{}
	}
	p.bound[region][cluster] = bind
}

// Pending forgets the binds of Clusters that do not wait any more, and returns the rest.
func (p *Promises) Pending(region string, waiting func(types.UID) bool) map[types.UID]Bind {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	maps.DeleteFunc(p.bound[region], func(uid types.UID, _ Bind) bool { return !waiting(uid) })
	return maps.Clone(p.bound[region])
}

// binds of a region that the cache may not show yet.
func (p *Promises) binds(region string) []Bind {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return slices.Collect(maps.Values(p.bound[region]))
}

// Size promises a demand to an order as the cache shows it now.
func (p *Promises) Size(existing *v1alpha1.ControlPlane, demand []placement.Demand) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.sized[existing.UID] = sizing{version: existing.ResourceVersion, demand: demand}
}

// demandOf an order: what it says, or what it was promised besides while the cache may be behind. Once
// the cache shows another version of the order, the write has arrived there, or was refused because somebody
// else's was first.
func (p *Promises) demandOf(existing *v1alpha1.ControlPlane) []placement.Demand {
	demand := placement.DemandOf(existing.Spec.Availability, existing.Spec.Size)
	p.mutex.Lock()
	defer p.mutex.Unlock()
	promised, ok := p.sized[existing.UID]
	if !ok {
		return demand
	}
	if promised.version != existing.ResourceVersion {
		delete(p.sized, existing.UID)
		return demand
	}
	return placement.Larger(demand, promised.demand)
}
