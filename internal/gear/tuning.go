package gear

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// tune the guest as its size asks for, when the size stays. A restart must not be made worse than what
// it mends: it needs a guest that is healthy and whose load is known.
func (q *question) tune(size *answer, decision *Decision) {
	if q.takeTuningBack(size, decision) {
		return
	}
	if !q.Tunable || q.current < 0 || q.Frozen != "" || !q.Healthy || q.Tuning == q.Size {
		return
	}
	if !q.usable() && size.reason != ReasonPinned {
		return
	}
	tuning := index(q.Box, q.Tuning)
	down, up := size.toward != keep && size.toward < q.current, size.toward > q.current
	if tuning > q.current && up || tuning >= 0 && tuning < q.current && down {
		return // the size is about to move the other way, towards the tuning
	}
	a := q.tuningAnswer(tuning, size)
	if a.to != keep {
		decision.Tuning = q.Size
		decision.Gear.Tuning = q.Size
		decision.Gear.Reason, decision.Gear.Message = a.reason, a.message
		q.record(decision, v1alpha1.GearMoveTuning, q.Tuning, q.Size)
		decision.Again = q.in(q.now.Add(time.Second))
		return
	}
	if size.toward == keep && a.toward != keep {
		decision.Gear.Toward, decision.Gear.TowardSince = q.Size, &metav1.Time{Time: a.since}
	}
	// What holds the size in its place is the more important of the two.
	if size.reason == ReasonSteady || size.reason == ReasonPinned {
		decision.Gear.Reason, decision.Gear.Message = a.reason, a.message
	} else {
		decision.Gear.Message += "; tuning: " + a.message
	}
	decision.Again = q.in(q.earliest(sooner(size.until, a.until)))
}

// tuningAnswer says whether the tuning follows now, or what it waits for.
func (q *question) tuningAnswer(tuning int, size *answer) *answer {
	since, delay := q.tuningSince(tuning, size)
	if until := since.Add(delay); q.now.Before(until) {
		a := stay(ReasonWaiting, "the tuning of %s follows at %s", q.Size, clock(until))
		a.toward, a.since, a.until = q.current, since, until
		return a
	}
	hold := func(a *answer) *answer {
		a.toward, a.since = q.current, since
		return a
	}
	if a := q.backingOff(v1alpha1.GearMoveTuning, q.current); a != nil {
		return hold(a)
	}
	if q.Availability == v1alpha1.Single && !q.WindowOpen {
		return hold(stay(ReasonWaitingForWindow, "the tuning of %s needs a restart and waits for the maintenance window", q.Size))
	}
	if q.Busy != "" {
		return hold(stay(ReasonTenantBusy, "the tuning of %s needs a restart and waits: %s", q.Size, q.Busy))
	}
	if until := q.cappedUntil(); !until.IsZero() {
		a := stay(ReasonMovesCapped, "the tuning of %s follows at %s: the guest has moved %d times within %s", q.Size, clock(until), q.rules.moves, q.rules.window)
		a.until = until
		return hold(a)
	}
	a := stay(ReasonTuned, "the tuning follows the size from %s to %s; %s", orNone(q.Tuning), q.Size, q.because())
	a.to = q.current
	return a
}

// tuningSince is when the size became what it is, and how long the tuning waits from then. Where no
// move of the size is known, the time since it was first seen to differ counts (Toward is the gear itself),
// or since the size waits for something.
func (q *question) tuningSince(tuning int, size *answer) (time.Time, time.Duration) {
	delay := q.rules.tuningDown
	for _, move := range q.Last.Moves {
		if move.Kind != v1alpha1.GearMoveSize {
			continue
		}
		from := index(q.Box, move.From)
		if tuning >= 0 && q.current > tuning || tuning < 0 && from >= 0 && from < q.current {
			delay = q.rules.up
		}
		return earlier(move.Time.Time, q.now), delay
	}
	if tuning >= 0 && q.current > tuning {
		delay = q.rules.up
	}
	if size.toward != keep {
		return size.since, delay
	}
	return q.since(func(toward int) bool { return toward == q.current }), delay
}

// takeTuningBack when the restart did not become healthy in time, and until then see to it that somebody
// looks again: what answered for the size may wait for something else (no room within new bounds).
func (q *question) takeTuningBack(size *answer, decision *Decision) bool {
	move, ok := q.unprovenTuning()
	if !ok || q.Healthy || q.Frozen != "" || q.Busy != "" {
		return false
	}
	if move.From != "" && index(q.Box, move.From) < 0 {
		return false
	}
	until := move.Time.Add(q.rules.health)
	if capped := q.cappedUntil(); capped.After(until) {
		until = capped
	}
	if q.now.Before(until) {
		decision.Again = q.in(q.earliest(sooner(size.until, until)))
		return false
	}
	decision.Tuning = move.From
	gear := &decision.Gear
	gear.Tuning, gear.Reason = move.From, ReasonRolledBack
	gear.Message = "the guest was not healthy " + q.rules.health.String() + " after the tuning of " + move.To
	q.record(decision, v1alpha1.GearMoveTuning, move.To, move.From)
	decision.Again = q.in(q.now.Add(time.Second))
	return true
}

// unprovenTuning is the last move of the tuning, if the guest has not been seen healthy since and it can be taken back. The
// size may have moved after it: bounds move the size of a guest that is down, too.
func (q *question) unprovenTuning() (v1alpha1.GearMove, bool) {
	for _, move := range q.Last.Moves {
		if move.HealthyAt != nil {
			break
		}
		if move.Kind == v1alpha1.GearMoveTuning {
			return move, move.Reason != ReasonRolledBack && move.To == q.Tuning
		}
	}
	return v1alpha1.GearMove{}, false
}

// earlier of two times.
func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// sooner of two times of which either may be none.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
