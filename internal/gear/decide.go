package gear

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// maxMoves that a ClusterGear holds. A cap on moves above it acts as if it were that.
const maxMoves = 20

// question is an Input with what every link of the chain asks of it.
type question struct {
	Input

	// now in whole seconds, as times are stored.
	now time.Time
	// rules with their defaults.
	rules rules
	// bounds on the ladder.
	bounds span
	// current gear on the ladder; -1: none of it.
	current int
	// demand of the load.
	demand Demand
	// wanted is the smallest gear within bounds that carries the demand, the largest if none does.
	wanted int
	// short says by how much the largest is too small; empty: it is not.
	short string
}

// answer of a link.
type answer struct {
	reason, message string
	// to is the gear to move the size to; keep: none.
	to int
	// toward is the gear that the guest waits for, since when; keep: none.
	toward int
	since  time.Time
	// blocked: there is no room.
	blocked bool
	// until is when time alone can change the answer; zero: it cannot.
	until time.Time
}

// keep the gear.
const keep = -1

// stay is an answer that moves nothing.
func stay(reason, format string, args ...any) *answer {
	return &answer{reason: reason, message: fmt.Sprintf(format, args...), to: keep, toward: keep}
}

// link of the chain: its answer, or nil to leave it to the next.
type link func(*question) *answer

// sizeChain decides on the size, in order: the first link that answers wins.
var sizeChain = []link{
	noLadder,
	frozen,
	outOfBounds,
	settling,
	rolledBack,
	notHealthy,
	pinned,
	noLoad,
	stale,
	newGear,
	over,
	missingMetrics,
	fitsLower,
	steady,
}

// Decide which gear a guest should have. The size follows the first link of sizeChain that answers, then
// the tuning follows the size (tuningChain). It is idempotent: with its own result as Size, Tuning and Last,
// and nothing else changed, it decides the same again. Times are kept in whole seconds.
func Decide(in Input) Decision {
	q := ask(in)
	if again, ok := q.justMoved(); ok {
		return Decision{Size: in.Size, Tuning: in.Tuning, Gear: in.Last, Again: again}
	}
	gear := q.observed()
	for _, link := range sizeChain {
		a := link(q)
		if a == nil {
			continue
		}
		decision := q.carryOut(a, gear)
		if a.to == keep {
			q.tune(a, &decision)
		}
		return decision
	}
	return Decision{Size: in.Size, Tuning: in.Tuning, Gear: gear}
}

func ask(in Input) *question {
	q := &question{Input: in, now: in.Now.Truncate(time.Second), rules: rulesOf(in.Box.Shifting)}
	q.bounds = spanOf(in.Box, in.Bounds)
	q.current = index(in.Box, in.Size)
	q.demand = DemandOf(in.Box, in.Availability, in.Load)
	q.wanted, q.short = q.smallest(0)
	return q
}

// smallest gear from a rung on, within bounds, that the demand enters; when none carries it, the largest
// and what it lacks.
func (q *question) smallest(from int) (gear int, short string) {
	for i := max(from, q.bounds.low); i <= q.bounds.high; i++ {
		if short = q.lacks(i, q.rules.enter); short == "" {
			return i, ""
		}
	}
	return q.bounds.high, short
}

// lacks says what a gear has too little of for the demand at a share of its capacity; empty: nothing.
func (q *question) lacks(gear int, percent int32) string {
	return lacking(q.Box.Ladder[gear], q.demand, q.Load, percent)
}

// justMoved tells that the last move was made in this very second: the decision stands, and what
// follows from it is seen in the next.
func (q *question) justMoved() (time.Duration, bool) {
	if len(q.Last.Moves) == 0 {
		return 0, false
	}
	move := q.Last.Moves[0]
	if !move.Time.Time.Equal(q.now) || move.To != q.of(move.Kind) {
		return 0, false
	}
	return q.in(q.now.Add(time.Second)), true
}

// of the two gears of the order the one that a move is about.
func (q *question) of(kind v1alpha1.GearMoveKind) string {
	if kind == v1alpha1.GearMoveTuning {
		return q.Tuning
	}
	return q.Size
}

// observed is what was reported of the gear, with what can be seen now: that the last move is healthy.
func (q *question) observed() v1alpha1.ClusterGear {
	gear := *q.Last.DeepCopy()
	if len(gear.Moves) > 0 && gear.Moves[0].HealthyAt == nil && q.Healthy {
		gear.Moves[0].HealthyAt = &metav1.Time{Time: q.now}
	}
	return gear
}

// carryOut an answer about the size.
func (q *question) carryOut(a *answer, gear v1alpha1.ClusterGear) Decision {
	decision := Decision{Size: q.Size, Tuning: q.Tuning, Gear: gear, Blocked: a.blocked}
	report := &decision.Gear
	report.Reason, report.Message = a.reason, a.message
	report.Wanted, report.Toward, report.TowardSince = "", "", nil
	if q.usable() {
		report.Wanted = q.name(q.wanted)
	}
	if a.toward != keep {
		report.Toward, report.TowardSince = q.name(a.toward), &metav1.Time{Time: a.since}
	}
	if a.to != keep {
		decision.Size = q.name(a.to)
		q.record(&decision, v1alpha1.GearMoveSize, q.Size, decision.Size)
		a.until = q.now.Add(time.Second)
	}
	report.Size, report.Tuning = decision.Size, decision.Tuning
	decision.Again = q.in(q.earliest(a.until))
	return decision
}

// record a move for the reason that is reported.
func (q *question) record(decision *Decision, kind v1alpha1.GearMoveKind, from, to string) {
	gear := &decision.Gear
	move := v1alpha1.GearMove{
		Time: metav1.Time{Time: q.now}, Kind: kind, From: from, To: to,
		Reason: gear.Reason, Message: gear.Message,
	}
	gear.Moves = slices.Insert(gear.Moves, 0, move)
	gear.Moves = gear.Moves[:min(len(gear.Moves), maxMoves)]
}

// usable tells that the load is there and fresh.
func (q *question) usable() bool {
	return len(q.Box.Ladder) > 0 && noLoad(q) == nil && stale(q) == nil
}

// earliest of a time at which the answer may change and of the one at which the load is stale or, of a
// time to come, is not any more.
func (q *question) earliest(until time.Time) time.Time {
	if q.Load == nil {
		return until
	}
	sampled := q.Load.SampledAt.Time
	for _, change := range []time.Time{sampled.Add(q.rules.stale), sampled.Add(-maxAhead)} {
		if change.After(q.now) && (until.IsZero() || change.Before(until)) {
			until = change
		}
	}
	return until
}

// in how long a time comes; 0: never, or now.
func (q *question) in(t time.Time) time.Duration {
	if t.IsZero() {
		return 0
	}
	// A time that is not whole is reached in the second after it.
	if whole := t.Truncate(time.Second); whole.Before(t) {
		t = whole.Add(time.Second)
	}
	return max(0, t.Sub(q.Now))
}

func (q *question) name(gear int) string { return q.Box.Ladder[gear].Name }
