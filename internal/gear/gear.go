// Package gear decides which gear a guest has: it computes the demand of a load by a Gearbox, and when to
// shift. It is pure: the hub's controller, the command line and the backtest call the same functions.
package gear

import (
	"time"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// Input of Decide: one guest at one time.
type Input struct {
	// Box that passed Check.
	Box v1alpha1.GearboxSpec
	// Bounds of the guest (Merge).
	Bounds v1alpha1.GearBounds
	// Availability of the guest.
	Availability v1alpha1.Availability
	// Now is the hub's time.
	Now time.Time
	// Size is the gear whose size the order has; empty, or no gear of Box: none.
	Size string
	// Tuning is the gear whose tuning the order has; empty: none yet.
	Tuning string
	// Tunable: the order's render revision knows of tuning.
	Tunable bool
	// Load as last reported; nil: none yet.
	Load *v1alpha1.Load
	// Healthy: every component of the guest is ready and as its order says. A guest that is not keeps its
	// gear, or goes back to the one before its last move.
	Healthy bool
	// Last is what was reported of the guest's gear (Cluster.status.gear).
	Last v1alpha1.ClusterGear
	// Frozen says who froze shifts, for example "cell hz-1 (spec.gearsFrozen)"; empty: nobody.
	Frozen string
	// WindowOpen: what makes the guest unavailable for a moment may be done now.
	WindowOpen bool
	// Busy says why no guest of the tenant may restart for its tuning now, for example "guest team-a/shop is being
	// restarted"; empty: it may.
	Busy string
	// Room says why the cell has no room for a gear's size; empty: it has.
	Room func(gear string) string
}

// Decision of Decide.
type Decision struct {
	// Size and Tuning are the gears whose size and tuning the order should have from now on.
	Size, Tuning string
	// Gear is what to report.
	Gear v1alpha1.ClusterGear
	// Blocked: the guest should shift up, and the cell has no room for it.
	Blocked bool
	// Again is when to look again without any event; 0: no need.
	Again time.Duration
}

// Decide which gear a guest should have.
func Decide(in Input) Decision { return Decision{Size: in.Size, Tuning: in.Tuning, Gear: in.Last} }

// Amount of CPU and memory.
type Amount struct {
	// MilliCPU in thousandths of a core.
	MilliCPU int64
	// Memory in bytes.
	Memory int64
}

// Term is what one metric adds to a demand.
type Term struct {
	// Metric that was multiplied.
	Metric v1alpha1.LoadMetricName
	// Value of the metric in the whole guest, and the part of it that one zone must carry.
	Value, Share float64
	// Amount that it takes.
	Amount Amount
}

// Demand of a guest in one zone.
type Demand struct {
	// Base of the Gearbox.
	Base Amount
	// Terms of the factors, in the order of the Gearbox.
	Terms []Term
	// Total of all.
	Total Amount
	// Missing metrics that have a factor: with any the demand is a lower bound.
	Missing []v1alpha1.LoadMetricName
}

// DemandOf a load. A zone of a Zonal guest carries all of what every API server keeps (nodes, pods,
// objects, databases) and half of what they share (requests, watches, seats): that is its part while
// another zone is dead.
func DemandOf(_ v1alpha1.GearboxSpec, _ v1alpha1.Availability, _ *v1alpha1.Load) Demand {
	return Demand{}
}

// Capacity of a gear: what its components' requests add up to.
func Capacity(_ v1alpha1.Gear) Amount { return Amount{} }

// Check says what is wrong with a Gearbox, one problem a line, each with where it is and what to write
// instead; nil: nothing is.
func Check(_ v1alpha1.GearboxSpec) []string { return nil }

// Default is the Gearbox of a new fleet.
func Default() v1alpha1.GearboxSpec { return v1alpha1.GearboxSpec{} }

// Find a gear by its name.
func Find(_ v1alpha1.GearboxSpec, _ string) (v1alpha1.Gear, bool) { return v1alpha1.Gear{}, false }

// Size is what an order of that gear holds.
func Size(_ v1alpha1.Gear) v1alpha1.ControlPlaneSize { return v1alpha1.ControlPlaneSize{} }

// Tuning is what an order of that gear holds.
func Tuning(_ v1alpha1.Gear) *v1alpha1.ControlPlaneTuning { return nil }

// Merge the bounds that a Cluster asks for with those of its template. A problem says which bound is no
// gear, or lies outside the template's, and what to write instead.
func Merge(_ v1alpha1.GearboxSpec, _, _ *v1alpha1.GearBounds) (v1alpha1.GearBounds, string) {
	return v1alpha1.GearBounds{}, ""
}

// Initial gear of a guest within its bounds: the smallest.
func Initial(_ v1alpha1.GearboxSpec, _ v1alpha1.GearBounds) (v1alpha1.Gear, bool) {
	return v1alpha1.Gear{}, false
}

// EtcdQuotaBytes that the largest gear within the bounds needs.
func EtcdQuotaBytes(_ v1alpha1.GearboxSpec, _ v1alpha1.GearBounds) int64 { return 0 }

// WindowOpen tells whether a maintenance window is open, and otherwise how long until it is.
func WindowOpen(_ *v1alpha1.MaintenanceWindow, _ time.Time) (open bool, until time.Duration) {
	return true, 0
}

// Sample of a recorded history of one guest.
type Sample struct {
	// Guest's id.
	Guest string `json:"guest"`
	// Availability of the guest.
	Availability v1alpha1.Availability `json:"availability"`
	// Load of the guest; its SampledAt is the time of the sample.
	Load v1alpha1.Load `json:"load"`
}

// Outcome of a Backtest.
type Outcome struct {
	// Guests and samples that were replayed.
	Guests, Samples int
	// SizeMoves and TuningMoves that the Gearbox made.
	SizeMoves, TuningMoves int
	// Flaps are moves that were taken back within an hour.
	Flaps int
	// UnderProvisioned is the time, added up over guests, during which demand was above capacity.
	UnderProvisioned time.Duration
	// Total time, added up over guests.
	Total time.Duration
	// CoreHours and GiBHours that the gears' requests took, in all zones.
	CoreHours, GiBHours float64
	// AtEnd counts guests by their gear at the end.
	AtEnd map[string]int
}

// Backtest replays recorded loads against a Gearbox with Decide itself.
func Backtest(_ v1alpha1.GearboxSpec, _ v1alpha1.GearBounds, _ []Sample) Outcome { return Outcome{} }
