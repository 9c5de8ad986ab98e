package gear

import (
	"time"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// maxAhead is how far the agent's clock may be ahead of the hub's before a sample counts as wrong: our
// own choice, well above what NTP leaves.
const maxAhead = time.Minute

// noLadder: a Gearbox without gears decides nothing. Check refuses it.
func noLadder(q *question) *answer {
	if len(q.Box.Ladder) > 0 {
		return nil
	}
	return stay(ReasonGearReplaced, "the Gearbox has no gears: add some to its spec.ladder")
}

func frozen(q *question) *answer {
	if q.Frozen == "" {
		return nil
	}
	return stay(ReasonFrozen, "shifts are frozen by %s", q.Frozen)
}

// outOfBounds moves a guest into its bounds at once and over any number of rungs: an operator or its
// owner moved them. It also moves a guest that is down: that is how an operator helps one whose gear is
// too small to start.
func outOfBounds(q *question) *answer {
	reason, to := ReasonOutOfBounds, min(max(q.current, q.bounds.low), q.bounds.high)
	if q.bounds.low == q.bounds.high {
		reason = ReasonPinned
	} else if q.current < 0 {
		return nil
	}
	if to == q.current {
		return nil
	}
	return q.move(reason, to, "bounds allow %s", names(q.Box, q.bounds))
}

// settling gives the last move its time to become healthy.
func settling(q *question) *answer {
	move, ok := q.unproven()
	if !ok || q.Healthy {
		return nil
	}
	until := move.Time.Add(q.rules.health)
	if !q.now.Before(until) {
		return nil
	}
	a := stay(ReasonSettling, "the move of the %s from %s to %s goes back unless the guest is healthy by %s",
		lower(move.Kind), orNone(move.From), move.To, clock(until))
	a.until = until
	return a
}

// rolledBack takes a move back that did not become healthy in time, unless the gear before is gone or out of
// bounds. Tuning goes back in tuningChain.
func rolledBack(q *question) *answer {
	move, ok := q.unproven()
	if !ok || q.Healthy || move.Kind != v1alpha1.GearMoveSize {
		return nil
	}
	from := index(q.Box, move.From)
	if from < q.bounds.low || from > q.bounds.high {
		return nil
	}
	return q.move(ReasonRolledBack, from, "the guest was not healthy %s after its move to %s", q.rules.health, move.To)
}

// notHealthy keeps the gear of a guest that is down: its load says nothing about what it will need.
func notHealthy(q *question) *answer {
	if q.Healthy {
		return nil
	}
	return stay(ReasonNotHealthy, "the guest is down or not yet as its order says; it keeps its gear, see the conditions of the Cluster")
}

func pinned(q *question) *answer {
	if q.bounds.low != q.bounds.high {
		return nil
	}
	message := "the bounds allow " + q.name(q.current) + " only"
	if q.usable() && q.short != "" {
		message += "; it is too small: " + q.short
	}
	return stay(ReasonPinned, "%s", message)
}

func noLoad(q *question) *answer {
	if q.Load != nil {
		return nil
	}
	return stay(ReasonNoLoad, "the agent has not reported the guest's load yet")
}

func stale(q *question) *answer {
	age := q.now.Sub(q.Load.SampledAt.Time)
	switch {
	case age >= q.rules.stale:
		return stay(ReasonStale, "the load was sampled at %s, %s ago or more: see whether the cell's agent runs", clock(q.Load.SampledAt.Time), q.rules.stale)
	case age < -maxAhead:
		return stay(ReasonStale, "the load was sampled at %s, which is yet to come: compare the clocks of hub and cell", clock(q.Load.SampledAt.Time))
	}
	return nil
}

// newGear for a guest whose gear is not on the ladder. With metrics missing its demand may be more than
// is known, and the size that it has is kept.
func newGear(q *question) *answer {
	if q.current >= 0 {
		return nil
	}
	if len(q.demand.Missing) > 0 {
		return stay(ReasonMissingMetrics, "no gear can be chosen without %s", list(q.demand.Missing))
	}
	if q.Size == "" {
		return q.move(ReasonFirstGear, q.wanted, "%s", q.because())
	}
	return q.move(ReasonGearReplaced, q.wanted, "%s is no gear of the Gearbox any more; %s", q.Size, q.because())
}

// over its gear: up to the smallest that carries the demand, over several rungs if need be. There is no
// going half way where the cell has no room for all of it: an absurd load must not eat what is left.
func over(q *question) *answer {
	lacks := q.lacks(q.current, q.rules.enter)
	if lacks == "" {
		return nil
	}
	if q.current >= q.bounds.high {
		return stay(ReasonAtMax, "%s is the largest gear within the bounds, and too small: %s", q.name(q.current), lacks)
	}
	to, _ := q.smallest(q.current + 1)
	since := q.since(func(toward int) bool { return toward > q.current })
	if a := q.waiting(to, since, q.rules.up, lacks); a != nil {
		return a
	}
	if a := q.backingOff(v1alpha1.GearMoveSize, to); a != nil {
		a.toward, a.since = to, since
		return a
	}
	a := q.move(ReasonShiftedUp, to, "%s; %s", lacks, q.because())
	if a.to == keep {
		a.toward, a.since = to, since
	}
	return a
}

// missingMetrics keep a guest from shifting down: its demand may be more than is known.
func missingMetrics(q *question) *answer {
	if len(q.demand.Missing) == 0 {
		return nil
	}
	return stay(ReasonMissingMetrics, "%s carries what is known of the load; %s could not be read", q.name(q.current), list(q.demand.Missing))
}

// fitsLower takes a guest down one rung, when it fitted that for the whole delay.
func fitsLower(q *question) *answer {
	to := q.current - 1
	if to < q.bounds.low || q.lacks(to, q.rules.leave) != "" {
		return nil
	}
	since := q.since(func(toward int) bool { return toward >= 0 && toward < q.current })
	if a := q.waiting(to, since, q.rules.down, "it fits "+q.name(to)); a != nil {
		return a
	}
	a := q.mayGoDown(to)
	if a == nil {
		a = q.move(ReasonShiftedDown, to, "%s", q.because())
	}
	if a.to == keep {
		a.toward, a.since = to, since
	}
	return a
}

// mayGoDown says why not, or nothing. Where a cell cannot resize in place it replaces pods, which makes a
// Single guest unavailable: to grow it cannot wait, to shrink it can.
func (q *question) mayGoDown(to int) *answer {
	if q.Availability == v1alpha1.Single && !q.WindowOpen {
		return stay(ReasonWaitingForWindow, "it fits %s, and waits for the maintenance window", q.name(to))
	}
	if a := q.backingOff(v1alpha1.GearMoveSize, to); a != nil {
		return a
	}
	if tuning := index(q.Box, q.Tuning); q.Tunable && tuning-to > maxTuningLead {
		return stay(ReasonTuningBehind, "it fits %s, and its tuning is still that of %s, which comes down first", q.name(to), q.Tuning)
	}
	return nil
}

func steady(q *question) *answer {
	return stay(ReasonSteady, "%s carries the load; %s", q.name(q.current), q.because())
}
