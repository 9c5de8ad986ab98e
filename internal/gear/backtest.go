package gear

import (
	"iter"
	"slices"
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

// flapWithin is how soon a move has to be taken back to count as a flap.
const flapWithin = time.Hour

// zones of a guest that is Zonal.
const zonalZones = 3

// Backtest replays recorded loads against a Gearbox with Decide itself. Each guest starts in its smallest
// gear at its first sample; its samples must be in the order of time, and those of different guests may
// stand in any order among each other. Cells have room for everything, guests are healthy, no restart waits
// for a window or for another guest. Samples that are further apart than staleSeconds leave the guest as
// it was in between.
func Backtest(box v1alpha1.GearboxSpec, bounds v1alpha1.GearBounds, samples []Sample) Outcome {
	return BacktestSeq(box, bounds, slices.Values(samples))
}

// BacktestSeq is Backtest for samples that need not all be in memory.
func BacktestSeq(box v1alpha1.GearboxSpec, bounds v1alpha1.GearBounds, samples iter.Seq[Sample]) Outcome {
	outcome := Outcome{AtEnd: map[string]int{}}
	initial, ok := Initial(box, bounds)
	if !ok {
		return outcome
	}
	guests := map[string]*replay{}
	for sample := range samples {
		outcome.Samples++
		guest := guests[sample.Guest]
		if guest == nil {
			guest = &replay{Input: Input{
				Box: box, Bounds: bounds, Availability: sample.Availability, Size: initial.Name, Tuning: initial.Name,
				Tunable: true, Healthy: true, WindowOpen: true,
			}}
			guests[sample.Guest] = guest
		} else {
			guest.passUntil(sample.Load.SampledAt.Time, &outcome)
		}
		guest.see(sample.Load, &outcome)
	}
	outcome.Guests = len(guests)
	for _, guest := range guests {
		outcome.AtEnd[guest.Size]++
	}
	return outcome
}

// replay of one guest.
type replay struct {
	Input

	// again is when to decide without a new sample; zero: never.
	again time.Time
}

// see a new load.
func (r *replay) see(load v1alpha1.Load, outcome *Outcome) {
	r.Load, r.Now = &load, load.SampledAt.Time
	r.decide(outcome)
}

// passUntil lets time pass, and decides whenever the last decision said that time alone may change it.
func (r *replay) passUntil(end time.Time, outcome *Outcome) {
	for r.Now.Before(end) {
		next := end
		if !r.again.IsZero() && r.again.Before(end) {
			next = r.again
		}
		r.account(next.Sub(r.Now), outcome)
		if r.Now = next; next.Before(end) {
			r.decide(outcome)
		}
	}
}

func (r *replay) decide(outcome *Outcome) {
	decision := Decide(r.Input)
	if decision.Size != r.Size {
		outcome.SizeMoves++
		outcome.Flaps += flaps(decision.Gear.Moves)
	}
	if decision.Tuning != r.Tuning {
		outcome.TuningMoves++
		outcome.Flaps += flaps(decision.Gear.Moves)
	}
	r.Size, r.Tuning, r.Last = decision.Size, decision.Tuning, decision.Gear
	r.again = time.Time{}
	if decision.Again > 0 {
		r.again = r.Now.Add(decision.Again)
	}
}

// flaps is 1 if the latest move takes back the one before of its kind within flapWithin.
func flaps(moves []v1alpha1.GearMove) int {
	latest := moves[0]
	for _, move := range moves[1:] {
		if move.Kind != latest.Kind {
			continue
		}
		if move.From == latest.To && latest.Time.Sub(move.Time.Time) < flapWithin {
			return 1
		}
		return 0
	}
	return 0
}

// account for a span of time in the present gear under the present load.
func (r *replay) account(span time.Duration, outcome *Outcome) {
	outcome.Total += span
	gear, ok := Find(r.Box, r.Size)
	if !ok {
		return
	}
	capacity, zones := Capacity(gear), 1
	if r.Availability == v1alpha1.Zonal {
		zones = zonalZones
	}
	if !DemandOf(r.Box, r.Availability, r.Load).Total.within(capacity, 100) {
		outcome.UnderProvisioned += span
	}
	hours := span.Hours() * float64(zones)
	outcome.CoreHours += hours * float64(capacity.MilliCPU) / 1000
	outcome.GiBHours += hours * float64(capacity.Memory) / (1 << 30)
}
