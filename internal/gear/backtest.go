package gear

import (
	"time"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

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
