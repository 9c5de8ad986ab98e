package placement

import (
	"maps"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/residency"
)

const (
	// defaultMaxRoundTrip in microseconds is the default of Region.spec.placement.maxRoundTripMicroseconds:
	// etcd's members vote in one round trip, and its heartbeat is 100 ms.
	defaultMaxRoundTrip = 3000
	// everyTenant is the quota of the tenants that have none of their own.
	everyTenant = "*"
)

// Region is what placement knows of a region; its cells share it.
type Region struct {
	residency.Place

	// Weights of the scores by name; a score that is not in it has its weight in the profile.
	Weights map[string]int64
	// MaxRoundTrip between two zones of a guest, in microseconds; 0: 3000.
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
	state := &Region{
		Place: residency.PlaceOf(region), Weights: defaultWeights(), MaxRoundTrip: defaultMaxRoundTrip,
		Quotas: map[string]v1alpha1.TenantQuota{}, Used: map[string]TenantUse{},
	}
	for _, quota := range region.Spec.Quotas {
		state.Quotas[quota.Tenant] = quota
	}
	policy := region.Spec.Placement
	if policy == nil {
		return state
	}
	if policy.MaxRoundTripMicroseconds != nil {
		state.MaxRoundTrip = *policy.MaxRoundTripMicroseconds
	}
	if weights := policy.Weights; weights != nil {
		for name, weight := range map[string]*int32{
			ScoreDensity: weights.Density, ScoreFit: weights.Fit, ScoreCost: weights.Cost, ScoreSpread: weights.Spread, ScoreNetwork: weights.Network,
		} {
			if weight != nil {
				state.Weights[name] = int64(*weight)
			}
		}
	}
	return state
}

// defaultWeights are those of the default profile.
func defaultWeights() map[string]int64 {
	weights := map[string]int64{}
	for _, scorer := range defaultProfile.Scorers {
		weights[scorer.Name()] = scorer.Weight
	}
	return weights
}

// Clone returns a copy that shares nothing that Take and Release change.
func (r *Region) Clone() *Region {
	if r == nil {
		return nil
	}
	same := *r
	same.Weights, same.Quotas, same.Used = maps.Clone(r.Weights), maps.Clone(r.Quotas), maps.Clone(r.Used)
	return &same
}

// book what a guest takes over all zones: 1 adds it, -1 takes it out again.
func (r *Region) book(tenant string, guests int, amount Vector) {
	if r == nil {
		return
	}
	if r.Used == nil {
		r.Used = map[string]TenantUse{}
	}
	use := r.Used[tenant]
	use.Guests += guests
	use.Vector = use.Add(amount)
	r.Used[tenant] = use
}

// quotaProblem says why a tenant may not take that much more in the region; empty: it may.
func (r *Region) quotaProblem(tenant string, demand []Demand) string {
	if r == nil {
		return ""
	}
	quota, found := r.Quotas[tenant]
	if !found {
		quota, found = r.Quotas[everyTenant]
	}
	if !found {
		return ""
	}
	use, more := r.Used[tenant], total(demand)
	of, mend := "tenant "+tenant, "; delete guests of it or raise its quota in spec.quotas of Region "+r.Region
	switch {
	case quota.Guests != nil && use.Guests+1 > int(*quota.Guests):
		return of + " has " + count(int64(use.Guests)) + " of the " + count(int64(*quota.Guests)) + " guests that it may have here" + mend
	case quota.CPU != nil && use.MilliCPU+more.MilliCPU > quota.CPU.MilliValue():
		return of + " has " + cores(use.MilliCPU) + " cores and would have " + cores(use.MilliCPU+more.MilliCPU) + " of " + cores(quota.CPU.MilliValue()) + mend
	case quota.Memory != nil && use.Memory+more.Memory > quota.Memory.Value():
		return of + " has " + gibibytes(use.Memory) + " GiB and would have " + gibibytes(use.Memory+more.Memory) + " of " + gibibytes(quota.Memory.Value()) + mend
	}
	return ""
}
