// Package placement decides which cell and which of its zones take a guest. It is pure: the same
// request and the same cells give the same decision, in whatever order the cells come.
package placement

import (
	"cmp"
	"slices"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// Request is a guest that looks for a cell.
type Request struct {
	// Region that the guest must lie in; empty: any that Residency allows.
	Region string
	// Residency that the guest's place must meet; nil: none is asked for.
	Residency *v1alpha1.Residency
	// Tenant is the namespace of the guest's Cluster.
	Tenant string
	// Kind of the guest's template.
	Kind string
	// Version of Kubernetes, for example v1.36.3.
	Version string
	// VPC that the guest reaches into; empty: none.
	VPC string
	// Demand is what the guest takes in each of its zones, in the order of its zones.
	Demand []Demand
	// RegionProblems are what keeps the guest out of whole regions, by region, as far as the caller finds out:
	// no plain port (ReasonNoPlainPort), no addresses (network.ReasonAddressesExhausted).
	RegionProblems map[string]RegionProblem
}

// RegionProblem is why no cell of a region can take a guest.
type RegionProblem struct {
	Reason, Message string
}

// Decision is the answer to a Request.
type Decision struct {
	// Cell that was chosen; empty when every cell was rejected.
	Cell string
	// Zones of the cell that the guest takes, in the order of Request.Demand.
	Zones []string
	// Score of the chosen cell, 0 to 1000: the weighted mean of Scores.
	Score int64
	// Scores of the chosen cell, in the order of the profile.
	Scores []v1alpha1.PlacementScore
	// Others are the best cells that could have taken the guest besides, the best first, five at most.
	Others []v1alpha1.CandidateCell
	// Rejected says for every cell that cannot take the guest why, sorted by cell.
	Rejected []v1alpha1.RejectedCell
}

// spreadWeight, in thousandths of a cell, is what a cell loses in the comparison when it already
// holds all guests of the tenant: a tenant's guests part over cells as long as those are within a
// fifth of each other in room.
const spreadWeight = 200

// Place chooses the cell with the most room left after placing, less what the tenant already has
// there. Of equal cells the first by name wins.
func Place(request Request, cells []*Cell) Decision {
	var decision Decision
	best, total := candidate{}, 0
	for _, cell := range cells {
		total += cell.Tenants[request.Tenant]
	}
	for _, cell := range cells {
		if reason, message, rejected := rejection(request, cell); rejected {
			decision.Rejected = append(decision.Rejected, v1alpha1.RejectedCell{Cell: cell.Name, Reason: reason, Message: message})
			continue
		}
		zones, free, _ := chooseZones(request.Demand, cell)
		next := candidate{cell: cell.Name, zones: zones, score: free - spreadWeight*cell.Tenants[request.Tenant]/(total+1)}
		if best.cell == "" || next.before(best) {
			best = next
		}
	}
	decision.Cell, decision.Zones = best.cell, best.zones
	slices.SortFunc(decision.Rejected, func(a, b v1alpha1.RejectedCell) int { return cmp.Compare(a.Cell, b.Cell) })
	return decision
}

// candidate is a cell that can take the guest.
type candidate struct {
	cell  string
	zones []string
	score int // thousandths
}

func (c candidate) before(other candidate) bool {
	return cmp.Or(cmp.Compare(other.score, c.score), cmp.Compare(c.cell, other.cell)) < 0
}
