package placement

import (
	"maps"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/residency"
)

// defaultMaxRoundTrip is the default of PlacementPolicy.maxRoundTripMicroseconds: etcd's members must hear from each
// other within its heartbeat, and each write waits for one round trip. DESIGN.md sets 3 ms.
const defaultMaxRoundTrip = 3000

// Region is what placement knows of a region; its cells share it.
type Region struct {
	residency.Place

	// Weights of the scores by name.
	Weights map[string]int64
	// MaxRoundTrip between two zones of a guest, in microseconds.
	MaxRoundTrip int64
	// Quotas by tenant; that of "*" is for all others.
	Quotas map[string]v1alpha1.TenantQuota
	// Used is what each tenant has in all cells of the region. Take and Release of its cells keep it.
	Used map[string]TenantUse
}

// TenantUse is what a tenant has in a region, over all zones.
type TenantUse struct {
	Guests int
	Vector
}

// NewRegion without guests.
func NewRegion(region *v1alpha1.Region) *Region {
	r := &Region{
		Place: residency.PlaceOf(region), Weights: maps.Clone(defaultWeights), MaxRoundTrip: defaultMaxRoundTrip,
		Quotas: make(map[string]v1alpha1.TenantQuota, len(region.Spec.Quotas)), Used: map[string]TenantUse{},
	}
	for _, quota := range region.Spec.Quotas {
		r.Quotas[quota.Tenant] = quota
	}
	policy := region.Spec.Placement
	if policy == nil {
		return r
	}
	if policy.MaxRoundTripMicroseconds != nil {
		r.MaxRoundTrip = *policy.MaxRoundTripMicroseconds
	}
	if w := policy.Weights; w != nil {
		for name, weight := range map[string]*int32{
			scoreDensity: w.Density, scoreFit: w.Fit, scoreCost: w.Cost, scoreSpread: w.Spread, scoreNetwork: w.Network,
		} {
			if weight != nil {
				r.Weights[name] = int64(*weight)
			}
		}
	}
	return r
}

// Clone of the region with what its tenants use.
func (r *Region) Clone() *Region {
	clone := *r
	clone.Used = maps.Clone(r.Used)
	return &clone
}

// use adds a guest to what its tenant has, times times.
func (r *Region) use(tenant string, amount Vector, times int64) {
	used := r.Used[tenant]
	used.Guests += int(times)
	used.Vector = used.times(amount, times)
	if used.Guests == 0 {
		delete(r.Used, tenant)
		return
	}
	r.Used[tenant] = used
}

// quota of a tenant; false when it has none.
func (r *Region) quota(tenant string) (v1alpha1.TenantQuota, bool) {
	quota, ok := r.Quotas[tenant]
	if !ok {
		quota, ok = r.Quotas["*"]
	}
	return quota, ok
}
