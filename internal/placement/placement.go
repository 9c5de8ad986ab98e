// Package placement decides which cell and which of its zones take a guest. It is pure: the same
// request and the same cells give the same decision, in whatever order the cells come.
package placement

import (
	"cmp"
	"slices"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// mostOthers is the schema's limit of ClusterPlacement.others.
const mostOthers = 5

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

// Place chooses the cell that suits a guest best by the default profile, of those that can take it, and says of
// every other one why it cannot. Of equal cells the first by name wins.
func Place(request Request, cells []*Cell) Decision { return Profile{filters, scorers}.Place(request, cells) }

// Place by this profile.
func (p Profile) Place(request Request, cells []*Cell) Decision {
	candidates, rejections := p.sift(&request, cells)
	decision := Decision{Rejected: explained(&request, rejections)}
	if len(candidates) == 0 {
		return decision
	}
	p.score(&request, candidates)
	slices.SortFunc(candidates, candidate.compare)
	best := candidates[0]
	decision.Cell, decision.Zones, decision.Score = best.cell.Name, best.where.names(best.cell), best.score
	for _, scorer := range p.Scorers {
		if weight := best.cell.Region.Weights[scorer.Name()]; weight > 0 {
			decision.Scores = append(decision.Scores, v1alpha1.PlacementScore{Name: scorer.Name(), Score: scorer.Score(&request, best.cell, best.where), Weight: weight})
		}
	}
	for _, other := range candidates[1:min(len(candidates), 1+mostOthers)] {
		decision.Others = append(decision.Others, v1alpha1.CandidateCell{Cell: other.cell.Name, Score: other.score})
	}
	return decision
}

// Choose is Place without the reasons: the cell and its zones. It is what simulations of whole fleets call.
func Choose(request Request, cells []*Cell) (cell *Cell, zones []string) {
	p := Profile{filters, scorers}
	candidates, _ := p.sift(&request, cells)
	if len(candidates) == 0 {
		return nil, nil
	}
	p.score(&request, candidates)
	best := slices.MinFunc(candidates, candidate.compare)
	return best.cell, best.where.names(best.cell)
}

// candidate is a cell that can take the guest.
type candidate struct {
	cell  *Cell
	where Spot
	score int64
}

func (c candidate) compare(other candidate) int {
	return cmp.Or(cmp.Compare(other.score, c.score), cmp.Compare(c.cell.Name, other.cell.Name))
}

// rejection of a cell by a filter.
type rejection struct {
	cell   *Cell
	filter Filter
}

// sift the cells into those that can take the guest and those that cannot.
func (p Profile) sift(r *Request, cells []*Cell) ([]candidate, []rejection) {
	candidates := make([]candidate, 0, len(cells))
	rejections := make([]rejection, 0, len(cells))
	for _, cell := range cells {
		filter := p.rejecting(r, cell)
		if filter != nil {
			rejections = append(rejections, rejection{cell, filter})
			continue
		}
		if where, ok := findSpot(r, cell, allChecks); ok { // a profile without a filter for room places by it all the same
			candidates = append(candidates, candidate{cell: cell, where: Spot{spot: where}})
			continue
		}
		rejections = append(rejections, rejection{cell, roomFilter{}})
	}
	return candidates, rejections
}

// rejecting is the first filter that rejects a cell, or nil. Room, which takes a search, is looked for by the caller.
func (p Profile) rejecting(r *Request, cell *Cell) Filter {
	for _, filter := range p.Filters {
		if _, room := filter.(roomFilter); !room && filter.Rejects(r, cell) {
			return filter
		}
	}
	return nil
}

// score the candidates: the weighted mean of their scores, so that cells of regions with other weights compare.
func (p Profile) score(r *Request, candidates []candidate) {
	cheapest := cost(r, candidates[0].cell)
	for i := range candidates {
		cheapest = min(cheapest, cost(r, candidates[i].cell))
	}
	for i := range candidates {
		c := &candidates[i]
		c.where.Cheapest = cheapest
		var sum, weights int64
		for _, scorer := range p.Scorers {
			if weight := c.cell.Region.Weights[scorer.Name()]; weight > 0 {
				sum += weight * scorer.Score(r, c.cell, c.where)
				weights += weight
			}
		}
		if weights > 0 {
			c.score = sum / weights
		}
	}
}

// explained rejections, sorted by cell.
func explained(r *Request, rejections []rejection) []v1alpha1.RejectedCell {
	var rejected []v1alpha1.RejectedCell
	for _, rejection := range rejections {
		reason, message := rejection.filter.Explain(r, rejection.cell)
		rejected = append(rejected, v1alpha1.RejectedCell{Cell: rejection.cell.Name, Reason: reason, Message: message})
	}
	slices.SortFunc(rejected, func(a, b v1alpha1.RejectedCell) int { return cmp.Compare(a.Cell, b.Cell) })
	return rejected
}
