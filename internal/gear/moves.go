package gear

import (
	"time"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// A gear that did not become healthy is not tried again for backOffFactor × healthSeconds, twice that after the
// second time and so on, up to maxBackOff: with the defaults 1 h, 2 h, 4 h to 24 h. HyperShift and ARO-HCP
// publish no such delay; these are our own choice: an hour is longer than most outages of a cell,
// and a day is when somebody has looked.
const (
	backOffFactor = 6
	maxBackOff    = 24 * time.Hour
)

// maxTuningLead is how many rungs the tuning may be above the size. Each rung above lets the API server take in
// more requests, and its Go heap grow larger, than its size was meant for; two are within what the
// limits leave for bursts (our own choice). Below the size tuning may lag any number of rungs: it then
// only holds requests back, and hurrying would mean a restart outside the window.
const maxTuningLead = 2

// move to a gear, or why it cannot be done now: the cell has no room, or the cap on moves is reached.
func (q *question) move(reason string, to int, format string, args ...any) *answer {
	a := stay(reason, format, args...)
	if to > q.current && q.Room != nil {
		if why := q.Room(q.name(to)); why != "" {
			a = stay(ReasonNoRoom, "should shift to %s (%s), and the cell has no room: %s", q.name(to), a.message, why)
			a.blocked = true
			return a
		}
	}
	if until := q.cappedUntil(); !until.IsZero() {
		a = stay(ReasonMovesCapped, "should shift to %s (%s), and has moved %d times within %s; may again at %s",
			q.name(to), a.message, q.rules.moves, q.rules.window, clock(until))
		a.until = until
		return a
	}
	a.to = to
	return a
}

// cappedUntil is when the guest may move again under the cap; zero: now. A move of a time to come, after
// a clock was set back, counts while it is less than the window away.
func (q *question) cappedUntil() time.Time {
	count := 0
	for _, move := range q.Last.Moves {
		if age := q.now.Sub(move.Time.Time); age >= q.rules.window || age <= -q.rules.window {
			continue
		}
		if count++; count == q.rules.moves {
			// The oldest one that has to leave the window first.
			return move.Time.Add(q.rules.window)
		}
	}
	return time.Time{}
}

// since when the guest should shift as it should now: since what was reported, if that was in the same
// direction, and otherwise since now. A time to come, after a clock was set back, is now.
func (q *question) since(same func(toward int) bool) time.Time {
	if q.Last.TowardSince == nil || q.Last.Toward == "" || !same(index(q.Box, q.Last.Toward)) {
		return q.now
	}
	if since := q.Last.TowardSince.Time; since.Before(q.now) {
		return since
	}
	return q.now
}

// waiting answers until a delay is over.
func (q *question) waiting(to int, since time.Time, delay time.Duration, why string) *answer {
	until := since.Add(delay)
	if !q.now.Before(until) {
		return nil
	}
	a := stay(ReasonWaiting, "%s; shifts to %s if that holds until %s", why, q.name(to), clock(until))
	a.toward, a.since, a.until = to, since, until
	return a
}

// unproven is the last move, if the guest was not seen healthy after it, and it can be taken back.
func (q *question) unproven() (v1alpha1.GearMove, bool) {
	if len(q.Last.Moves) == 0 {
		return v1alpha1.GearMove{}, false
	}
	move := q.Last.Moves[0]
	return move, move.HealthyAt == nil && move.Reason != ReasonRolledBack && move.To == q.of(move.Kind)
}

// backingOff answers while a gear that failed lies on the way to another.
func (q *question) backingOff(kind v1alpha1.GearMoveKind, to int) *answer {
	from := index(q.Box, q.of(kind))
	var failed string
	var last time.Time
	failures := 0
	for _, move := range q.Last.Moves {
		gear := index(q.Box, move.From)
		onTheWay := gear > from && gear <= to || gear < from && gear >= to
		if move.Kind != kind || move.Reason != ReasonRolledBack || !onTheWay {
			continue
		}
		if failures++; failures == 1 {
			failed, last = move.From, move.Time.Time
		}
	}
	if failures == 0 {
		return nil
	}
	delay := backOffFactor * q.rules.health
	for range failures - 1 {
		delay = min(2*delay, maxBackOff)
	}
	until := last.Add(min(delay, maxBackOff))
	if !q.now.Before(until) {
		return nil
	}
	a := stay(ReasonBackingOff, "should shift to %s, and %s did not become healthy at %s; tries again at %s", q.name(to), failed, clock(last), clock(until))
	a.until = until
	return a
}
