package scheduling

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/order"
	"github.com/myriad-fleet/myriad/internal/placement"
)

// assumption is a booking whose write may not have reached the cache yet.
type assumption struct {
	tenant  string
	booking order.Booking
	demand  []placement.Demand
}

// bookings remembers binds until the cache shows them, so that a pass on a stale cache gives
// nothing away twice and repeats its own earlier decisions.
type bookings struct {
	mutex   sync.Mutex
	regions map[string]map[types.UID]assumption
}

func newBookings() *bookings {
	return &bookings{regions: map[string]map[types.UID]assumption{}}
}

func (b *bookings) assume(region string, cluster *v1alpha1.Cluster, booking order.Booking, demand []placement.Demand) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if b.regions[region] == nil {
		b.regions[region] = map[types.UID]assumption{}
	}
	b.regions[region][cluster.UID] = assumption{tenant: cluster.Namespace, booking: booking, demand: demand}
}

// pending forgets what the given Clusters already show, or what no longer waits, and returns the rest.
func (b *bookings) pending(region string, clusters []v1alpha1.Cluster) map[types.UID]assumption {
	waiting := map[types.UID]bool{}
	for i := range clusters {
		if isWaiting(&clusters[i]) {
			waiting[clusters[i].UID] = true
		}
	}
	b.mutex.Lock()
	defer b.mutex.Unlock()
	pending := map[types.UID]assumption{}
	for uid, assumed := range b.regions[region] {
		if !waiting[uid] {
			delete(b.regions[region], uid)
			continue
		}
		pending[uid] = assumed
	}
	return pending
}
