// Package placement decides which cell and which of its zones take a guest. It is pure: the same
// request and the same cells give the same decision, in whatever order the cells come.
package placement

import "github.com/myriad-fleet/myriad/api/v1alpha1"

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

// Place chooses by the default profile.
func Place(request Request, cells []*Cell) Decision { return defaultProfile.Place(request, cells) }

// DefaultProfile is what guests are placed by. Callers may change the copy.
func DefaultProfile() Profile {
	return Profile{
		Filters: []Filter{
			filter{"Region", otherRegion},
			filter{"Residency", residencyNotMet},
			filter{"RegionProblem", regionProblem},
			filter{"Kind", kindNotAccepted},
			filter{"Ready", notReady},
			filter{"Runtime", runtimeNotReady},
			filter{"Cordon", cordoned},
			filter{"Version", versionUnavailable},
			filter{"Quota", quotaExceeded},
			filter{"MaxGuests", full},
			filter{"MaxGuestsPerTenant", tenantFull},
			filter{"ZoneCount", tooFewZones},
			filter{"RoundTrip", tooFarApart},
			filter{"Interfaces", noInterfaces},
			filter{"Reserve", reserveBroken},
		},
		Scorers: []WeightedScorer{
			{scorer{ScoreDensity, density}, 50},
			{scorer{ScoreFit, fit}, 20},
			{scorer{ScoreCost, cost}, 10},
			{scorer{ScoreSpread, spread}, 15},
			{scorer{ScoreNetwork, network}, 5},
		},
	}
}

var defaultProfile = DefaultProfile()
