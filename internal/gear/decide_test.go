package gear

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

func writes(perSecond string) *v1alpha1.Load {
	return load(start, map[v1alpha1.LoadMetricName]string{v1alpha1.LoadWritesPerSecond: perSecond})
}

// move so long ago, healthy soon after it unless told otherwise.
func move(kind v1alpha1.GearMoveKind, from, to, reason string, ago time.Duration) v1alpha1.GearMove {
	at := metav1.Time{Time: start.Add(-ago)}
	return v1alpha1.GearMove{Time: at, Kind: kind, From: from, To: to, Reason: reason, HealthyAt: &at}
}

func unhealthy(m v1alpha1.GearMove) v1alpha1.GearMove {
	m.HealthyAt = nil
	return m
}

// toward a gear for so long already.
func toward(gear string, since time.Duration) func(*Input) {
	return func(in *Input) {
		in.Last.Toward, in.Last.TowardSince = gear, &metav1.Time{Time: start.Add(-since)}
	}
}

func has(size string) func(*Input) {
	return func(in *Input) { in.Size, in.Tuning = size, size }
}

func carries(l *v1alpha1.Load) func(*Input) { return func(in *Input) { in.Load = l } }

func moved(moves ...v1alpha1.GearMove) func(*Input) {
	return func(in *Input) { in.Last.Moves = moves }
}

func down(in *Input) { in.Healthy = false }

func frozenCell(in *Input) { in.Frozen = "cell hz-1 (spec.gearsFrozen)" }

func fullCell(in *Input) { in.Room = func(string) string { return "zone a is at 60 %" } }

func bounds(minimum, maximum, pinned string) func(*Input) {
	return func(in *Input) { in.Bounds = v1alpha1.GearBounds{Min: minimum, Max: maximum, Pinned: pinned} }
}

// want of a decision; a size or tuning that is left out is the one that the guest had.
type want struct {
	reason, size, tuning, toward string
	blocked                      bool
	again                        time.Duration
}

type decisionCase struct {
	reason string
	given  []func(*Input)
	want   want
}

const fresh = 15 * time.Minute // until a load of now is stale

func checkDecisions(t *testing.T, cases []decisionCase) {
	t.Helper()
	for _, tc := range cases {
		t.Run(tc.reason, func(t *testing.T) {
			g := newGuest(v1alpha1.Zonal)
			for _, change := range tc.given {
				change(&g.Input)
			}
			w := tc.want
			w.size, w.tuning = or(w.size, g.Size), or(w.tuning, g.Tuning)
			d := g.decide(t)
			got := want{d.Gear.Reason, d.Size, d.Tuning, d.Gear.Toward, d.Blocked, d.Again}
			if got != w {
				t.Errorf("got  %+v\nwant %+v\n%s", got, w, d.Gear.Message)
			}
			if d.Gear.Message == "" || d.Gear.Size != d.Size || d.Gear.Tuning != d.Tuning {
				t.Errorf("the report does not fit: %+v", d.Gear)
			}
		})
	}
}

func TestDecideSize(t *testing.T) {
	up := toward("small", time.Minute)
	checkDecisions(t, []decisionCase{
		{"an idle guest stays", nil, want{reason: ReasonSteady, again: fresh}},
		{"an operator's freeze comes before everything", []func(*Input){up, carries(writes("40")), bounds("", "", "mini"), frozenCell}, want{reason: ReasonFrozen, again: fresh}},
		{"a pin acts at once, and over many rungs", []func(*Input){has("2xlarge"), bounds("", "", "nano")}, want{reason: ReasonPinned, size: "nano", tuning: "2xlarge", again: time.Second}},
		{"a pinned guest stays whatever it carries", []func(*Input){has("mini"), bounds("", "", "mini"), carries(writes("4000"))}, want{reason: ReasonPinned, again: fresh}},
		{"a pin helps a guest that is down", []func(*Input){down, bounds("", "", "mini")}, want{reason: ReasonPinned, size: "mini", tuning: "nano", again: time.Second}},
		{"a guest below its bounds moves into them", []func(*Input){bounds("mini", "", "")}, want{reason: ReasonOutOfBounds, size: "mini", tuning: "nano", again: time.Second}},
		{"a guest above its bounds, too", []func(*Input){has("large"), bounds("", "mini", "")}, want{reason: ReasonOutOfBounds, size: "mini", tuning: "large", again: time.Second}},
		{"but not where there is no room", []func(*Input){bounds("mini", "", ""), fullCell}, want{reason: ReasonNoRoom, blocked: true, again: fresh}},
		{"without any load it stays", []func(*Input){carries(nil)}, want{reason: ReasonNoLoad}},
		{"on a stale load it stays", []func(*Input){up, carries(writes("40")), func(in *Input) { in.Now = start.Add(fresh) }}, want{reason: ReasonStale}},
		{"a load from the future is a clock that jumped", []func(*Input){up, carries(writes("40")), func(in *Input) { in.Now = start.Add(-2 * time.Minute) }}, want{reason: ReasonStale, again: time.Minute}},
		{"a minute of skew is none", []func(*Input){carries(writes("1")), func(in *Input) { in.Now = start.Add(-time.Minute) }}, want{reason: ReasonSteady, again: fresh + time.Minute}},
		{"a guest that is down keeps its gear, whatever its last load was", []func(*Input){down, up, carries(writes("40"))}, want{reason: ReasonNotHealthy, again: fresh}},
		{"and does not shrink", []func(*Input){down, has("large"), toward("medium", time.Hour)}, want{reason: ReasonNotHealthy, again: fresh}},
		{"over its gear it waits first", []func(*Input){carries(writes("40"))}, want{reason: ReasonWaiting, toward: "small", again: 30 * time.Second}},
		{"and waits only for the rest of the delay", []func(*Input){carries(writes("40")), toward("micro", 20*time.Second)}, want{reason: ReasonWaiting, toward: "small", again: 10 * time.Second}},
		{"then it goes up several rungs", []func(*Input){carries(writes("40")), up}, want{reason: ReasonShiftedUp, size: "small", tuning: "nano", again: time.Second}},
		{"a wait of the other direction does not count", []func(*Input){has("micro"), carries(writes("40")), toward("nano", time.Hour)}, want{reason: ReasonWaiting, toward: "small", again: 30 * time.Second}},
		{"a wait for a gear that was replaced does not count", []func(*Input){carries(writes("40")), toward("gone", time.Hour)}, want{reason: ReasonWaiting, toward: "small", again: 30 * time.Second}},
		{"a wait from the future begins now", []func(*Input){carries(writes("40")), toward("small", -time.Hour)}, want{reason: ReasonWaiting, toward: "small", again: 30 * time.Second}},
		{"in a full cell it is blocked, and says so", []func(*Input){carries(writes("40")), up, fullCell}, want{reason: ReasonNoRoom, toward: "small", blocked: true, again: fresh}},
		{"more nodes than the gear may carry are too many", []func(*Input){carries(load(start, map[v1alpha1.LoadMetricName]string{v1alpha1.LoadNodes: "31"})), up}, want{reason: ReasonShiftedUp, size: "mini", tuning: "nano", again: time.Second}},
		{"so is a database", []func(*Input){carries(load(start, map[v1alpha1.LoadMetricName]string{v1alpha1.LoadDatabaseBytes: "1100Mi"})), up}, want{reason: ReasonShiftedUp, size: "medium", tuning: "nano", again: time.Second}},
		{"an absurd load goes to the largest gear within bounds", []func(*Input){carries(writes("9000000000000000000")), bounds("", "large", ""), up}, want{reason: ReasonShiftedUp, size: "large", tuning: "nano", again: time.Second}},
		{"and no further", []func(*Input){has("large"), carries(writes("9000000000000000000")), bounds("", "large", ""), up}, want{reason: ReasonAtMax, again: fresh}},
		{"a negative load is none", []func(*Input){carries(writes("-40"))}, want{reason: ReasonSteady, again: fresh}},
		{"it comes down one rung", []func(*Input){has("large"), toward("medium", 20*time.Minute)}, want{reason: ReasonShiftedDown, size: "medium", tuning: "large", again: time.Second}},
		{"after it fitted for the whole delay", []func(*Input){has("large"), toward("medium", 19*time.Minute)}, want{reason: ReasonWaiting, toward: "medium", again: time.Minute}},
		{"not below its bounds", []func(*Input){has("mini"), bounds("mini", "", ""), toward("micro", time.Hour)}, want{reason: ReasonSteady, again: fresh}},
		{"between the bands it stays", []func(*Input){has("micro"), carries(writes("12")), toward("nano", time.Hour)}, want{reason: ReasonSteady, again: fresh}},
		{"five moves in ten minutes are enough", []func(*Input){carries(writes("40")), up, moved(sizeMoves(5, 2*time.Minute)...)}, want{reason: ReasonMovesCapped, toward: "small", again: time.Minute}},
		{"four are not", []func(*Input){carries(writes("40")), up, moved(sizeMoves(4, 2*time.Minute)...)}, want{reason: ReasonShiftedUp, size: "small", tuning: "nano", again: time.Second}},
		{"a gear that was taken off the ladder is replaced by what carries the load", []func(*Input){has("gone"), carries(writes("40"))}, want{reason: ReasonGearReplaced, size: "small", tuning: "gone", again: time.Second}},
		{"not on a guess", []func(*Input){has("gone"), missing}, want{reason: ReasonMissingMetrics, again: fresh}},
		{"a guest without gear gets its first", []func(*Input){func(in *Input) { in.Size = "" }}, want{reason: ReasonFirstGear, size: "nano", tuning: "nano", again: time.Second}},
		{"missing metrics keep it from shrinking", []func(*Input){has("large"), missing, toward("medium", time.Hour)}, want{reason: ReasonMissingMetrics, again: fresh}},
		{"not from growing: what is known asks for it", []func(*Input){carries(writes("40")), missing, up}, want{reason: ReasonShiftedUp, size: "small", tuning: "nano", again: time.Second}},
		{"a Gearbox without gears moves nobody", []func(*Input){func(in *Input) { in.Box.Ladder = nil }}, want{reason: ReasonGearReplaced, again: fresh}},
	})
}

// missing are the pods.
func missing(in *Input) { in.Load.Missing = []v1alpha1.LoadMetricName{v1alpha1.LoadPods} }

// sizeMoves from micro to nano and back, the latest a minute ago.
func sizeMoves(n int, apart time.Duration) []v1alpha1.GearMove {
	var all []v1alpha1.GearMove
	for i := range n {
		all = append(all, move(v1alpha1.GearMoveSize, "micro", "nano", ReasonShiftedDown, time.Minute+apart*time.Duration(i)))
	}
	return all
}

func TestDecideWhatDoesNotBecomeHealthy(t *testing.T) {
	shifted := func(ago time.Duration) func(*Input) {
		return moved(unhealthy(move(v1alpha1.GearMoveSize, "nano", "small", ReasonShiftedUp, ago)))
	}
	tuned := func(ago time.Duration) func(*Input) {
		return moved(unhealthy(move(v1alpha1.GearMoveTuning, "nano", "small", ReasonTuned, ago)))
	}
	back := func(ago ...time.Duration) func(*Input) {
		var all []v1alpha1.GearMove
		for _, a := range ago {
			all = append(all, move(v1alpha1.GearMoveSize, "small", "nano", ReasonRolledBack, a))
		}
		return moved(all...)
	}
	helped := moved(unhealthy(move(v1alpha1.GearMoveSize, "small", "medium", ReasonOutOfBounds, 9*time.Minute)),
		unhealthy(move(v1alpha1.GearMoveTuning, "nano", "small", ReasonTuned, 10*time.Minute)))
	capped := func(in *Input) {
		in.Box.Shifting.Moves, in.Box.Shifting.WindowSeconds = 1, 1200
		tuned(10 * time.Minute)(in)
	}
	small := func(in *Input) { in.Size = "small" }
	wants := []func(*Input){carries(writes("40")), toward("small", time.Hour)}
	checkDecisions(t, []decisionCase{
		{"a shift has ten minutes", []func(*Input){small, down, shifted(4 * time.Minute)}, want{reason: ReasonSettling, again: 6 * time.Minute}},
		{"then it goes back", []func(*Input){small, down, shifted(10 * time.Minute)}, want{reason: ReasonRolledBack, size: "nano", again: time.Second}},
		{"not when it was healthy in between: the guest is down for another reason", []func(*Input){small, down, moved(move(v1alpha1.GearMoveSize, "nano", "small", ReasonShiftedUp, time.Hour))}, want{reason: ReasonNotHealthy, again: fresh}},
		{"not to a gear out of bounds", []func(*Input){small, down, bounds("small", "", ""), shifted(10 * time.Minute)}, want{reason: ReasonNotHealthy, again: fresh}},
		{"not to and fro", []func(*Input){down, moved(unhealthy(move(v1alpha1.GearMoveSize, "small", "nano", ReasonRolledBack, time.Hour)))}, want{reason: ReasonNotHealthy, again: fresh}},
		{"tuning goes back, too", []func(*Input){has("small"), down, tuned(10 * time.Minute)}, want{reason: ReasonRolledBack, tuning: "nano", again: time.Second}},
		{"and is looked at in time while the size waits for room", []func(*Input){has("small"), down, tuned(4 * time.Minute), bounds("medium", "", ""), fullCell}, want{reason: ReasonNoRoom, blocked: true, again: 6 * time.Minute}},
		{"and goes back when the size has moved since, which did not help", []func(*Input){has("medium"), down, func(in *Input) { in.Tuning = "small" }, bounds("medium", "", ""), helped}, want{reason: ReasonRolledBack, tuning: "nano", again: time.Second}},
		{"and while no move is left", []func(*Input){has("small"), down, capped}, want{reason: ReasonNotHealthy, again: 10 * time.Minute}},
		{"a gear that failed is left alone for an hour", append(wants, back(59*time.Minute)), want{reason: ReasonBackingOff, toward: "small", again: time.Minute}},
		{"and then tried again", append(wants, back(time.Hour)), want{reason: ReasonShiftedUp, size: "small", tuning: "nano", again: time.Second}},
		{"for two hours after the second time", append(wants, back(time.Hour, 3*time.Hour)), want{reason: ReasonBackingOff, toward: "small", again: fresh}},
	})
}

func TestDecideTuning(t *testing.T) {
	size := func(gear string) func(*Input) { return func(in *Input) { in.Size = gear } }
	grew := func(ago time.Duration) func(*Input) {
		return moved(move(v1alpha1.GearMoveSize, "nano", "small", ReasonShiftedUp, ago))
	}
	shrank := func(ago time.Duration) func(*Input) {
		return moved(move(v1alpha1.GearMoveSize, "micro", "nano", ReasonShiftedDown, ago))
	}
	tunedTo := func(gear string) func(*Input) { return func(in *Input) { in.Tuning = gear } }
	single := func(in *Input) {
		in.Availability, in.WindowOpen = v1alpha1.Single, false
		in.Load = writes("20")
	}
	busy := func(in *Input) { in.Busy = "guest team-a/shop is being restarted" }
	loaded := carries(writes("40"))
	checkDecisions(t, []decisionCase{
		{"it follows the size up after another delay", []func(*Input){loaded, size("small"), grew(29 * time.Second)}, want{reason: ReasonWaiting, toward: "small", again: time.Second}},
		{"and then is that of the size", []func(*Input){loaded, size("small"), grew(30 * time.Second)}, want{reason: ReasonTuned, tuning: "small", again: time.Second}},
		{"it follows down after an hour", []func(*Input){tunedTo("micro"), shrank(59 * time.Minute)}, want{reason: ReasonWaiting, toward: "nano", again: time.Minute}},
		{"and then is that of the size, too", []func(*Input){tunedTo("micro"), shrank(time.Hour)}, want{reason: ReasonTuned, tuning: "nano", again: time.Second}},
		{"an old order knows of none", []func(*Input){loaded, size("small"), grew(time.Hour), func(in *Input) { in.Tunable = false }}, want{reason: ReasonSteady, again: fresh}},
		{"a Single guest waits for its window", []func(*Input){single, size("small"), grew(time.Hour)}, want{reason: ReasonWaitingForWindow, toward: "small", again: fresh}},
		{"a Zonal guest needs none", []func(*Input){loaded, size("small"), grew(time.Hour), func(in *Input) { in.WindowOpen = false }}, want{reason: ReasonTuned, tuning: "small", again: time.Second}},
		{"no two guests of a tenant restart at once", []func(*Input){loaded, busy, size("small"), grew(time.Hour)}, want{reason: ReasonTenantBusy, toward: "small", again: fresh}},
		{"the first tuning is not hurried", []func(*Input){tunedTo("")}, want{reason: ReasonWaiting, toward: "nano", again: fresh}},
		{"but comes", []func(*Input){tunedTo(""), toward("nano", time.Hour)}, want{reason: ReasonTuned, tuning: "nano", again: time.Second}},
		{"at once after the size grew", []func(*Input){loaded, tunedTo(""), size("small"), grew(time.Minute)}, want{reason: ReasonTuned, tuning: "small", again: time.Second}},
		{"it counts as a move", []func(*Input){tunedTo("micro"), moved(sizeMoves(5, time.Minute)...), func(in *Input) { in.Box.Shifting.TuningDownDelaySeconds = new(int32(0)) }}, want{reason: ReasonMovesCapped, toward: "nano", again: 5 * time.Minute}},
		{"the size waits for a tuning that is two rungs above it", []func(*Input){tunedTo("small"), size("micro"), toward("nano", time.Hour), moved(move(v1alpha1.GearMoveSize, "mini", "micro", ReasonShiftedDown, 30*time.Minute))}, want{reason: ReasonTuningBehind, toward: "nano", again: fresh}},
		{"a pinned guest without load gets its tuning", []func(*Input){size("mini"), bounds("", "", "mini"), carries(nil), moved(move(v1alpha1.GearMoveSize, "nano", "mini", ReasonPinned, time.Hour))}, want{reason: ReasonTuned, tuning: "mini", again: time.Second}},
	})
}

func TestMovesAreTold(t *testing.T) {
	g := newGuest(v1alpha1.Zonal)
	for range maxMoves + 5 {
		g.Last.Moves = append(g.Last.Moves, move(v1alpha1.GearMoveSize, "micro", "nano", ReasonShiftedDown, 24*time.Hour))
	}
	g.Load = writes("40")
	toward("small", time.Minute)(&g.Input)
	d := g.decide(t)
	if len(d.Gear.Moves) != maxMoves {
		t.Errorf("%d moves are kept", len(d.Gear.Moves))
	}
	got := d.Gear.Moves[0]
	if !strings.Contains(got.Message, "40 writesPerSecond") {
		t.Errorf("the message does not say what the load was: %s", got.Message)
	}
	got.Message = ""
	wanted := v1alpha1.GearMove{Time: metav1.Time{Time: start}, Kind: v1alpha1.GearMoveSize, From: "nano", To: "small", Reason: ReasonShiftedUp}
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Error(diff)
	}
}
