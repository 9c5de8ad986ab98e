package gear

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// anyBox is the default Gearbox with other delays, and sometimes with a part of the ladder only.
func anyBox(t *rapid.T) v1alpha1.GearboxSpec {
	box := Default()
	box.Shifting = v1alpha1.GearShifting{
		EnterPercent: 80, LeavePercent: rapid.Int32Range(1, 79).Draw(t, "leave"),
		UpDelaySeconds:         new(rapid.Int32Range(0, 120).Draw(t, "upDelay")),
		DownDelaySeconds:       new(rapid.Int32Range(0, 3600).Draw(t, "downDelay")),
		TuningDownDelaySeconds: new(rapid.Int32Range(0, 3600).Draw(t, "tuningDownDelay")),
		Moves:                  rapid.Int32Range(1, 6).Draw(t, "moves"), WindowSeconds: rapid.Int32Range(60, 1200).Draw(t, "window"),
		StaleSeconds: 900, HealthSeconds: rapid.Int32Range(10, 600).Draw(t, "health"),
	}
	from := rapid.IntRange(0, 3).Draw(t, "firstGear")
	box.Ladder = box.Ladder[from:rapid.IntRange(from+1, len(box.Ladder)).Draw(t, "gears")]
	return box
}

func anyLoad(t *rapid.T, at time.Time) *v1alpha1.Load {
	if rapid.IntRange(0, 20).Draw(t, "noLoad") == 0 {
		return nil
	}
	l := &v1alpha1.Load{SampledAt: metav1.Time{Time: at}}
	// The square makes small loads likely, and all gears possible.
	scale := rapid.Float64Range(0, 1).Draw(t, "scale")
	scale *= scale
	largest := map[v1alpha1.LoadMetricName]float64{
		v1alpha1.LoadNodes: 12000, v1alpha1.LoadPods: 3e5, v1alpha1.LoadObjects: 1e6, v1alpha1.LoadWatches: 1e5,
		v1alpha1.LoadWritesPerSecond: 2000, v1alpha1.LoadDatabaseBytes: 9 << 30,
	}
	for _, name := range metrics {
		if rapid.IntRange(0, 200).Draw(t, "missing") == 0 {
			l.Missing = append(l.Missing, name)
			continue
		}
		value := resource.NewMilliQuantity(int64(scale*1000*largest[name]), resource.DecimalSI)
		l.Metrics = append(l.Metrics, v1alpha1.LoadMetric{Name: name, Value: *value})
	}
	return l
}

// anyChange of what is around a guest.
func anyChange(t *rapid.T, g *guest) {
	g.Now = g.Now.Add(time.Duration(rapid.Int64Range(int64(500*time.Millisecond), int64(maxTick)).Draw(t, "tick")))
	if rapid.IntRange(0, 3).Draw(t, "newLoad") > 0 {
		g.Load = anyLoad(t, g.Now)
	}
	often := func(name string, n int) bool { return rapid.IntRange(0, n).Draw(t, name) > 0 }
	g.Healthy = often("healthy", 8)
	g.WindowOpen = often("window", 1)
	g.Frozen, g.Busy = "", ""
	if !often("frozen", 15) {
		g.Frozen = "an operator"
	}
	if !often("busy", 4) {
		g.Busy = "another guest restarts"
	}
	if !often("bounds", 20) {
		gear := func(name string) string { return rapid.SampledFrom(g.Box.Ladder).Draw(t, name).Name }
		g.Bounds = v1alpha1.GearBounds{Min: gear("min"), Max: gear("max")}
	}
	full := rapid.IntRange(0, 30).Draw(t, "full")
	g.Room = func(name string) string {
		if index(g.Box, name) > full {
			return "the cell is full"
		}
		return ""
	}
}

// maxTick is the longest time between two looks at a guest.
const maxTick = 40 * time.Second

// history of a guest, and what it is checked against.
type history struct {
	*guest

	moves     []v1alpha1.GearMove
	overSince time.Time
}

// step decides once and checks everything that must hold then.
func (h *history) step(t *rapid.T) {
	before, given := h.Input, *h.Last.DeepCopy()
	decision := h.decide(t)
	if diff := cmp.Diff(given, before.Last); diff != "" {
		t.Fatalf("the input was changed: %s", diff)
	}
	if diff := cmp.Diff(decision, Decide(before)); diff != "" {
		t.Fatalf("the same input gave another decision: %s", diff)
	}
	if moved := len(decision.Gear.Moves) > 0 && (len(given.Moves) == 0 || !cmp.Equal(decision.Gear.Moves[0].Time, given.Moves[0].Time)); moved {
		h.moves = append(h.moves, decision.Gear.Moves[0])
		h.checkMove(t, before, decision.Gear.Moves[0])
	} else if decision.Size != before.Size || decision.Tuning != before.Tuning {
		t.Fatalf("from %s/%s to %s/%s without a move: %+v", before.Size, before.Tuning, decision.Size, decision.Tuning, decision.Gear)
	}
	h.checkCap(t)
	h.checkBounds(t, decision)
	h.checkDelay(t, before, decision)
	h.checkAgain(t, decision)
}

func (h *history) checkMove(t *rapid.T, before Input, move v1alpha1.GearMove) {
	from, to := index(h.Box, move.From), index(h.Box, move.To)
	if before.Frozen != "" {
		t.Fatalf("moved while frozen: %+v", move)
	}
	if move.Kind == v1alpha1.GearMoveTuning {
		if move.Reason != ReasonRolledBack && (before.Availability == v1alpha1.Single && !before.WindowOpen || before.Busy != "" || !before.Healthy) {
			t.Fatalf("restarted for %+v when it must not", move)
		}
		return
	}
	if to > from && before.Room(move.To) != "" {
		t.Fatalf("moved up without room: %+v", move)
	}
	if from-to > 1 && slices.Contains([]string{ReasonShiftedUp, ReasonShiftedDown}, move.Reason) {
		t.Fatalf("moved down more than one rung: %+v", move)
	}
	shifted := move.Reason == ReasonShiftedUp || move.Reason == ReasonShiftedDown
	old := before.Load == nil || before.Now.Sub(before.Load.SampledAt.Time) > time.Duration(before.Box.Shifting.StaleSeconds)*time.Second
	if shifted && (!before.Healthy || old) {
		t.Fatalf("shifted by the load of a guest that is down or unknown: %+v", move)
	}
	if move.Reason == ReasonShiftedDown && len(DemandOf(before.Box, before.Availability, before.Load).Missing) > 0 {
		t.Fatalf("shifted down with metrics missing: %+v", move)
	}
}

func (h *history) checkCap(t *rapid.T) {
	window := time.Duration(h.Box.Shifting.WindowSeconds) * time.Second
	most := int(h.Box.Shifting.Moves)
	if n := len(h.moves); n > most && h.moves[n-1].Time.Sub(h.moves[n-1-most].Time.Time) < window {
		t.Fatalf("more than %d moves within %s: %+v", most, window, h.moves[n-1-most:])
	}
}

func (h *history) checkBounds(t *rapid.T, decision Decision) {
	s, i := spanOf(h.Box, h.Bounds), index(h.Box, decision.Size)
	if i < 0 || i >= s.low && i <= s.high || slices.Contains([]string{ReasonFrozen, ReasonNoRoom, ReasonMovesCapped}, decision.Gear.Reason) {
		return
	}
	if len(h.moves) > 0 && h.Now.Sub(h.moves[len(h.moves)-1].Time.Time) < time.Second {
		return // the bounds changed within the second of a move
	}
	t.Fatalf("%s is out of bounds %+v: %+v", decision.Size, s, decision.Gear)
}

// checkDelay: a guest that could shift up is not over its gear for longer than the delay and a tick.
func (h *history) checkDelay(t *rapid.T, before Input, decision Decision) {
	i := index(h.Box, before.Size)
	excused := []string{ReasonFrozen, ReasonNotHealthy, ReasonSettling, ReasonNoLoad, ReasonStale, ReasonNoRoom, ReasonMovesCapped, ReasonBackingOff, ReasonRolledBack}
	demand := DemandOf(h.Box, before.Availability, before.Load)
	if decision.Size != before.Size || slices.Contains(excused, decision.Gear.Reason) || i < 0 || i >= spanOf(h.Box, h.Bounds).high ||
		lacking(h.Box.Ladder[i], demand, before.Load, h.Box.Shifting.EnterPercent) == "" {
		h.overSince = time.Time{}
		return
	}
	if h.overSince.IsZero() {
		h.overSince = h.Now
	}
	if over := h.Now.Sub(h.overSince); over > time.Duration(*h.Box.Shifting.UpDelaySeconds)*time.Second+maxTick {
		t.Fatalf("over its gear for %s: %+v", over, decision.Gear)
	}
}

// checkAgain: until the time to look again nothing changes by time alone.
func (h *history) checkAgain(t *rapid.T, decision Decision) {
	later := h.Input
	later.Now = h.Now.Add(max(0, decision.Again-time.Second))
	if decision.Again == 0 {
		later.Now = h.Now.Add(100 * time.Hour)
	}
	then := Decide(later)
	if diff := cmp.Diff(decision.Gear, then.Gear); diff != "" {
		t.Fatalf("look again in %s, and before that: %s", decision.Again, diff)
	}
}

func TestHistoriesKeepTheInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := anyHistory(t)
		for range rapid.IntRange(1, 120).Draw(t, "steps") {
			anyChange(t, h.guest)
			h.step(t)
		}
	})
}

func anyHistory(t *rapid.T) *history {
	box := anyBox(t)
	size := rapid.SampledFrom([]string{"", box.Ladder[0].Name, box.Ladder[len(box.Ladder)-1].Name, "gone"}).Draw(t, "size")
	g := &guest{Input{
		Box: box, Now: start, Size: size, Tunable: rapid.Bool().Draw(t, "tunable"),
		Availability: rapid.SampledFrom([]v1alpha1.Availability{v1alpha1.Single, v1alpha1.Zonal}).Draw(t, "availability"),
		Room:         func(string) string { return "" },
	}}
	if rapid.Bool().Draw(t, "tuned") {
		g.Tuning = size
	}
	return &history{guest: g}
}

// TestConstantLoadSettles: whatever was before, under constant load moves come to an end, and the time to
// look again always leads there.
func TestConstantLoadSettles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := anyHistory(t)
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			anyChange(t, h.guest)
			h.step(t)
		}
		l := anyLoad(t, h.Now)
		h.Healthy, h.WindowOpen, h.Frozen, h.Busy = true, true, "", ""
		h.Room = func(string) string { return "" }
		moved := 0
		for i := range 300 {
			h.Load = l.DeepCopy()
			if h.Load != nil {
				h.Load.SampledAt = metav1.Time{Time: h.Now}
			}
			before := len(h.moves)
			decision := Decide(h.Input)
			h.step(t)
			if len(h.moves) > before {
				moved = i
			}
			h.Now = h.Now.Add(max(time.Second, decision.Again))
		}
		if moved > 270 {
			t.Fatalf("still moves: %s", fmt.Sprint(h.moves[max(0, len(h.moves)-6):]))
		}
	})
}
