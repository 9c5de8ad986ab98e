package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Residency says where everything of a guest may lie: its control plane and data, its escrow, its backups
// and its metrics. A place meets it when it meets every list that is not empty.
//
// +kubebuilder:validation:XValidation:rule="has(self.areas) || has(self.regions) || has(self.certifications)",message="residency must name areas, regions or certifications, for example areas: [eu]"
type Residency struct {
	// Areas that are allowed.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:items:MaxLength=20
	Areas []string `json:"areas,omitempty"`
	// Regions that are allowed.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:validation:items:MaxLength=40
	Regions []string `json:"regions,omitempty"`
	// Certifications that the place must hold, all of them, such as gdpr or mlps-3.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:items:MaxLength=40
	Certifications []string `json:"certifications,omitempty"`
}

// PlacementPolicy is how guests are placed in a region.
type PlacementPolicy struct {
	// Weights of the scores that choose among the cells that can take a guest.
	// +optional
	Weights *PlacementWeights `json:"weights,omitempty"`
	// MaxRoundTripMicroseconds between any two zones of a guest, as measured (median). Zones between which
	// nothing was measured yet are taken to be near.
	// +optional
	// +kubebuilder:default=3000
	// +kubebuilder:validation:Minimum=1
	MaxRoundTripMicroseconds *int64 `json:"maxRoundTripMicroseconds,omitempty"`
}

// PlacementWeights of the scores, 0 to 100 each; 0 leaves a score out. What is not written has its default.
type PlacementWeights struct {
	// Density prefers the cell that is fullest afterwards, so that large guests find room elsewhere. Default 50.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Density *int32 `json:"density,omitempty"`
	// Fit prefers the cell whose free CPU and memory stand to each other as the guest's do. Default 20.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Fit *int32 `json:"fit,omitempty"`
	// Cost prefers the cheaper cell (Cell.spec.cost). Default 10.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Cost *int32 `json:"cost,omitempty"`
	// Spread prefers the cell with fewer of the tenant's guests. Default 15.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Spread *int32 `json:"spread,omitempty"`
	// Network prefers zones that are near each other and an interface that the guest's VPC has already.
	// Default 5.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Network *int32 `json:"network,omitempty"`
}

// TenantQuota is the most that a tenant may have in a region. What is not written is not limited.
type TenantQuota struct {
	// Tenant (namespace); "*" is every tenant that has no quota of its own.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Tenant string `json:"tenant"`
	// Guests in number.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Guests *int32 `json:"guests,omitempty"`
	// CPU in cores that all control planes together set aside, over all zones.
	// +optional
	CPU *resource.Quantity `json:"cpu,omitempty"`
	// Memory in bytes that all control planes together set aside, over all zones.
	// +optional
	Memory *resource.Quantity `json:"memory,omitempty"`
}

// CellCost is what a cell's capacity costs per hour, in the fleet's currency: placement and the planner
// compare cells by it.
type CellCost struct {
	// CorePerHour is the price of one core.
	CorePerHour resource.Quantity `json:"corePerHour"`
	// GibibytePerHour is the price of one GiB of memory.
	GibibytePerHour resource.Quantity `json:"gibibytePerHour"`
}

// PlacementEvidence is the value of AnnotationPlacement.
//
// +kubebuilder:object:generate=false
type PlacementEvidence struct {
	// Placement that was decided.
	Placement ClusterPlacement `json:"placement"`
	// RejectedCells of the decision.
	RejectedCells []RejectedCell `json:"rejectedCells,omitempty"`
}

// ClusterPlacement is the evidence of the decision that gave a guest its cell.
type ClusterPlacement struct {
	// DecidedAt is when.
	DecidedAt metav1.Time `json:"decidedAt"`
	// Region that was chosen.
	Region string `json:"region"`
	// Cell that was chosen.
	Cell string `json:"cell"`
	// Zones of the cell.
	// +listType=atomic
	Zones []string `json:"zones"`
	// Score of the cell, 0 to 1000: the weighted mean of Scores.
	Score int64 `json:"score"`
	// Scores that it is made of.
	// +optional
	// +listType=map
	// +listMapKey=name
	Scores []PlacementScore `json:"scores,omitempty"`
	// Others that could have taken the guest, the best first, five at most.
	// +optional
	// +listType=map
	// +listMapKey=cell
	Others []CandidateCell `json:"others,omitempty"`
	// Residency is the rule that was asked for and what of the region meets it; empty: nothing was asked for.
	// +optional
	Residency string `json:"residency,omitempty"`
}

// PlacementScore is one part of a cell's score.
type PlacementScore struct {
	// Name of the score: density, fit, cost, spread or network.
	Name string `json:"name"`
	// Score, 0 to 1000.
	Score int64 `json:"score"`
	// Weight that it has.
	Weight int64 `json:"weight"`
}

// CandidateCell could have taken a guest.
type CandidateCell struct {
	// Cell by name.
	Cell string `json:"cell"`
	// Score, 0 to 1000.
	Score int64 `json:"score"`
}
