package placement

import (
	"cmp"
	"slices"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/residency"
)

// Filter keeps guests away from cells that cannot take them.
type Filter interface {
	// Name of the filter.
	Name() string
	// Reject says why the cell cannot take the guest, in one word and for people; an empty reason: it can.
	Reject(candidate *Candidate) (reason, message string)
}

// Scorer compares the cells that can take a guest.
type Scorer interface {
	// Name of the score: its weight in Region.Weights.
	Name() string
	// Score of the cell, 0 to 1000; the higher the better.
	Score(candidate *Candidate) int64
}

// WeightedScorer has a weight for regions that do not write one.
type WeightedScorer struct {
	Scorer

	Weight int64
}

// Profile is a way to place guests: what may be, and what is best. One of its filters sets Candidate.Zones.
type Profile struct {
	// Filters in the order in which a person would want to hear of them: the first that rejects a cell is the
	// one that is reported.
	Filters []Filter
	// Scorers whose weighted mean decides. Without any the first cell by name takes the guest.
	Scorers []WeightedScorer
}

// Candidate is a cell that a guest is offered to. Plug-ins read it; Zones alone is theirs to write.
type Candidate struct {
	// Request of the guest.
	Request *Request
	// Cell that may take it.
	Cell *Cell
	// Zones by their places in Cell.Zones, in the order of Request.Demand. The filter Reserve writes them.
	Zones []int
	// TenantGuests that the cell holds, and TenantTotal in all cells that are asked.
	TenantGuests, TenantTotal int
	// Price of the guest per hour in this cell, and Cheapest of all cells that can take it.
	Price, Cheapest float64

	region *regionView
	search *zoneSearch
	score  int64
}

// regionView is what one decision finds out once for all cells of a region.
type regionView struct {
	region     *Region
	weights    []int64 // in the order of the profile's scorers
	violation  string
	problem    RegionProblem
	quota      string
	roundTrips int64
}

// others is how many of the cells that were not chosen a decision names.
const others = 5

// Place chooses a cell by the profile: of the cells that no filter rejects that of the highest score; of
// equal ones the first by name. The order of the cells changes nothing.
func (p *Profile) Place(request Request, cells []*Cell) Decision {
	var decision Decision
	taking := make([]*Candidate, 0, len(cells))
	for _, candidate := range p.candidates(&request, cells) {
		if reason, message := p.reject(candidate); reason != "" {
			decision.Rejected = append(decision.Rejected, v1alpha1.RejectedCell{Cell: candidate.Cell.Name, Reason: reason, Message: message})
			continue
		}
		taking = append(taking, candidate)
	}
	slices.SortFunc(decision.Rejected, func(a, b v1alpha1.RejectedCell) int { return cmp.Compare(a.Cell, b.Cell) })
	if len(taking) == 0 {
		return decision
	}
	p.rank(taking)
	best := taking[0]
	decision.Cell, decision.Score, decision.Scores = best.Cell.Name, best.score, p.scores(best)
	for _, zone := range best.Zones {
		decision.Zones = append(decision.Zones, best.Cell.Zones[zone].Name)
	}
	for _, other := range taking[1:min(len(taking), others+1)] {
		decision.Others = append(decision.Others, v1alpha1.CandidateCell{Cell: other.Cell.Name, Score: other.score})
	}
	return decision
}

// candidates of a request, in the order of the cells.
func (p *Profile) candidates(request *Request, cells []*Cell) []*Candidate {
	offered := make([]Candidate, len(cells))
	pointers := make([]*Candidate, len(cells))
	views := make([]*regionView, 0, 1)
	zones := make([]int, len(cells)*len(request.Demand))
	search, held := &zoneSearch{}, 0
	for i, cell := range cells {
		offered[i] = Candidate{
			Request: request, Cell: cell, TenantGuests: cell.Tenants[request.Tenant], search: search,
			Zones: zones[i*len(request.Demand) : i*len(request.Demand) : (i+1)*len(request.Demand)],
		}
		held += offered[i].TenantGuests
		at := slices.IndexFunc(views, func(view *regionView) bool { return view.region == cell.Region })
		if at < 0 {
			at, views = len(views), append(views, p.view(request, cell.Region))
		}
		offered[i].region, pointers[i] = views[at], &offered[i]
	}
	for i := range offered {
		offered[i].TenantTotal = held
	}
	return pointers
}

// view of a region; a cell without one has an empty one.
func (p *Profile) view(request *Request, region *Region) *regionView {
	known := region
	if known == nil {
		known = &Region{}
	}
	view := &regionView{
		region: region, violation: residency.Violation(request.Residency, known.Place), problem: request.RegionProblems[known.Region],
		quota: known.quotaProblem(request.Tenant, request.Demand), roundTrips: cmp.Or(max(known.MaxRoundTrip, 0), defaultMaxRoundTrip),
		weights: make([]int64, len(p.Scorers)),
	}
	for i := range p.Scorers {
		weight, found := known.Weights[p.Scorers[i].Name()]
		if !found {
			weight = p.Scorers[i].Weight
		}
		view.weights[i] = max(weight, 0)
	}
	return view
}

func (p *Profile) reject(candidate *Candidate) (reason, message string) {
	for _, filter := range p.Filters {
		if reason, message := filter.Reject(candidate); reason != "" {
			return reason, message
		}
	}
	return "", ""
}

// rank candidates that can take the guest, the best first.
func (p *Profile) rank(taking []*Candidate) {
	need := total(taking[0].Request.Demand)
	cheapest := 0.0
	for i, candidate := range taking {
		candidate.Price = float64(need.MilliCPU)/1000*candidate.Cell.CorePerHour + float64(need.Memory)/gibibyte*candidate.Cell.GibibytePerHour
		if i == 0 || candidate.Price < cheapest {
			cheapest = candidate.Price
		}
	}
	for _, candidate := range taking {
		candidate.Cheapest = cheapest
		candidate.score = p.mean(candidate)
	}
	slices.SortFunc(taking, func(a, b *Candidate) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.Cell.Name, b.Cell.Name))
	})
}

// mean of the scores by the weights of the cell's region; 0 when no weight is above 0.
func (p *Profile) mean(candidate *Candidate) int64 {
	sum, weights := int64(0), int64(0)
	for i := range p.Scorers {
		if weight := candidate.region.weights[i]; weight > 0 {
			sum += weight * p.Scorers[i].Score(candidate)
			weights += weight
		}
	}
	if weights == 0 {
		return 0
	}
	return sum / weights
}

func (p *Profile) scores(candidate *Candidate) []v1alpha1.PlacementScore {
	scores := make([]v1alpha1.PlacementScore, 0, len(p.Scorers))
	for i := range p.Scorers {
		scores = append(scores, v1alpha1.PlacementScore{
			Name: p.Scorers[i].Name(), Score: p.Scorers[i].Score(candidate), Weight: candidate.region.weights[i],
		})
	}
	return scores
}
