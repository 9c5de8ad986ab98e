package gears

import (
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// story of one guest: up to small, its tuning after it, and down again.
func (b *bench) story() (err error) {
	step := func(span time.Duration, writes int64) {
		if err != nil {
			return
		}
		b.pass(span)
		b.report("shop", func(o *v1alpha1.ControlPlane) { o.Status.Load = b.load(writes) })
		err = b.tryLook("c")
	}
	for range 4 {
		step(31*time.Second, fitsSmall)
	}
	for range 8 {
		step(21*time.Minute, fitsNano)
	}
	return err
}

// TestKilledAtEveryWrite kills the hub before and after each write of a story and has another one go on,
// at once or an hour later: no move is lost, and none is made twice.
func TestKilledAtEveryWrite(t *testing.T) {
	undisturbed := newBench(t, cell("c", 100_000))
	undisturbed.guest("c", "team", "shop", fitsNano)
	if err := undisturbed.story(); err != nil {
		t.Fatal(err)
	}
	total := undisturbed.writes.Load()
	want := []string{
		"Size nano>small", "Tuning nano>small", "Size small>mini", "Tuning small>mini", "Size mini>micro", "Tuning mini>micro", "Size micro>nano", "Tuning micro>nano",
	}
	if got := moves(undisturbed); len(got) < 4 || got[0] != want[0] || got[1] != want[1] {
		t.Fatalf("undisturbed, the guest moved %v", got)
	}
	for n := int64(1); n <= total; n++ {
		for _, before := range []bool{true, false} {
			for _, away := range []time.Duration{0, time.Hour} {
				b := newBench(t, cell("c", 100_000))
				b.guest("c", "team", "shop", fitsNano)
				b.dieAt, b.dieBefore = n, before
				if err := b.story(); err == nil {
					t.Fatalf("write %d of %d: the hub was not killed", n, total)
				}
				b.dieAt, b.hub = 0, b.newHub()
				load := b.orderOf("shop").Status.Load
				b.pass(away)
				b.report("shop", func(o *v1alpha1.ControlPlane) { o.Status.Load = load; load.SampledAt = metav1.NewTime(b.clock.Now()) })
				b.look("c")
				b.wantConsistent(n, before, away)
				if err := b.story(); err != nil {
					t.Fatal(err)
				}
				b.wantConsistent(n, before, away)
			}
		}
	}
}

// wantConsistent: the history leads from gear to gear without a gap or a repetition, up to what the
// order has.
func (b *bench) wantConsistent(n int64, before bool, away time.Duration) {
	b.t.Helper()
	o := b.orderOf("shop")
	at := map[string]string{"Size": "nano", "Tuning": "nano"}
	for _, move := range moves(b) {
		kind, gears, _ := strings.Cut(move, " ")
		from, to, _ := strings.Cut(gears, ">")
		if at[kind] != from {
			b.t.Errorf("killed at write %d (before it: %t, away %s): a gap or a repetition at %q of %v", n, before, away, move, moves(b))
		}
		at[kind] = to
	}
	if at["Size"] != o.Spec.Size.Gear || at["Tuning"] != tuningGear(o) {
		b.t.Errorf("killed at write %d (before it: %t, away %s): the history %v ends at %v, the order has %s/%s", n, before, away, moves(b), at, o.Spec.Size.Gear, tuningGear(o))
	}
}

func moves(b *bench) []string {
	var all []string
	if last := b.clusterOf("shop").Status.Gear; last != nil {
		for _, move := range slices.Backward(last.Moves) {
			all = append(all, string(move.Kind)+" "+move.From+">"+move.To)
		}
	}
	return all
}

// killedMidShift is a bench whose hub noted the move to small and was killed.
func killedMidShift(t *testing.T) *bench {
	b := newBench(t, cell("c", 100_000))
	b.guest("c", "team", "shop", fitsSmall)
	b.look("c")
	b.pass(31 * time.Second)
	b.dieAt, b.dieBefore = b.writes.Load()+3, true // the first two book the room and note the move
	if err := b.tryLook("c"); err == nil {
		t.Fatal("the hub was not killed")
	}
	if last := b.clusterOf("shop").Status.Gear; last.Size != "small" || b.orderOf("shop").Spec.Size.Gear != "nano" {
		t.Fatalf("the hub was killed elsewhere: %+v", last)
	}
	b.dieAt, b.hub = 0, b.newHub()
	return b
}

func TestNotedMoveIsMade(t *testing.T) {
	b := killedMidShift(t)
	b.look("c")
	b.wantGears("the next hub goes on", "shop", "small/nano", "Size nano>small")
}

func TestNotedMoveIsStruckWhenItMayNotBeMade(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(*bench)
	}{
		"Frozen": {reason: "an operator froze shifts", change: func(b *bench) { b.gearbox(func(s *v1alpha1.GearboxSpec) { s.Frozen = true }) }},
		"Full": {reason: "the room went to others", change: func(b *bench) {
			c := b.cell("c")
			c.Status.Zones[0].CPU = b.orderOf("shop").Spec.Size.APIServer.CPU
			if err := b.api.Status().Update(b.t.Context(), c); err != nil {
				b.t.Fatal(err)
			}
		}},
		"Late": {reason: "the load of long ago says nothing", change: func(b *bench) {
			b.clock.SetTime(b.clock.Now().Add(14 * time.Minute))
			b.report("shop", func(o *v1alpha1.ControlPlane) { o.Status.Load = b.load(fitsNano) })
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			b := killedMidShift(t)
			tc.change(b)
			b.look("c")
			b.wantGears(tc.reason, "shop", "nano/nano")
			if b.orderOf("shop").Annotations[annotationStruck] == "" {
				t.Error("a hub that is slow could make the move that was struck")
			}
		})
	}
}

func TestGearboxReplacedMidShift(t *testing.T) {
	b := killedMidShift(t)
	b.gearbox(func(s *v1alpha1.GearboxSpec) {
		s.Ladder = slices.DeleteFunc(s.Ladder, func(g v1alpha1.Gear) bool { return g.Name == "small" })
	})
	b.look("c")
	b.pass(31*time.Second, "c")
	b.wantGears("small is gone; medium carries the load", "shop", "medium/nano", "Size nano>medium")
}

// TestTwoHubsRace: a hub that decided before another one wrote writes nothing.
func TestTwoHubsRace(t *testing.T) {
	b := newBench(t, cell("c", 100_000))
	b.guest("c", "team", "shop", fitsSmall)
	b.look("c")
	b.pass(31 * time.Second)
	slow, p := b.newHub(), &pass{now: b.clock.Now()}
	if err := slow.read(t.Context(), "c", p); err != nil {
		t.Fatal(err)
	}
	if err := slow.decide(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	b.look("c")
	b.report("shop", func(o *v1alpha1.ControlPlane) {
		meta.SetStatusCondition(&o.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionProgressing, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonStarting})
	})
	if err := worst(slow.write(t.Context(), p)); err == nil {
		t.Error("the slow hub's writes succeeded")
	}
	b.wantGears("once only", "shop", "small/nano", "Size nano>small")
}

// TestSlowHubAfterAStrike: a hub that noted a move, was slow, and wants to make it after another one struck
// it, must fail.
func TestSlowHubAfterAStrike(t *testing.T) {
	b := newBench(t, cell("c", 100_000))
	b.guest("c", "team", "shop", fitsSmall)
	b.look("c")
	b.pass(31 * time.Second)
	p := &pass{now: b.clock.Now()}
	if err := b.hub.read(t.Context(), "c", p); err != nil {
		t.Fatal(err)
	}
	if err := b.hub.decide(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	g := p.guests[0]
	noted := *g.change
	noted.size = nil
	made := *g.change
	made.report = false
	g.change = &noted
	if err := b.hub.carryOut(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	b.gearbox(func(s *v1alpha1.GearboxSpec) { s.Frozen = true })
	slow := b.hub
	b.hub = b.newHub()
	b.look("c")
	g.change = &made
	if err := slow.carryOut(t.Context(), g); err == nil {
		t.Error("the slow hub made a move that another one had struck")
	}
	b.wantGears("struck and not made", "shop", "nano/nano")
}
