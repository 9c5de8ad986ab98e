package plan

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
)

// carryOut plans a whole mix; phases that are held end as soon as they may.
func carryOut(mix Mix, seed uint64) []Operation {
	var all []Operation
	for p := NewPlanner(mix, seed, true); ; {
		all = append(all, p.Tick()...)
		phase, _ := p.Phase()
		if (p.Over() || phase.Hold && p.Ramped()) && !p.Advance() {
			return all
		}
	}
}

func seconds(n float64) metav1.Duration {
	return metav1.Duration{Duration: time.Duration(n * float64(time.Second))}
}

// small is a mix with something of everything.
func small() Mix {
	return Mix{Name: "small", Phases: []Phase{
		{
			Name: "up", Duration: seconds(6), Ramp: seconds(3),
			Target: Target{
				Nodes: 4, CRDs: 2, CustomResources: Amount{Count: 3, Bytes: 10}, Watches: 5,
				Objects: map[Kind]Amount{
					ConfigMaps: {Count: 20, Bytes: 100}, Secrets: {Count: 5}, Services: {Count: 2}, Leases: {Count: 2}, Events: {Count: 3},
					Deployments: {Count: 2, Replicas: 3}, Pods: {Count: 2}, NodePods: {Count: 9},
				},
			},
			Rates:     Rates{Get: 5, List: 1, ListAll: 1, Update: 2, Patch: 2, Churn: 2, NodeChurn: 1},
			Misbehave: Misbehaviour{ListLoop: 2, Conflicts: 2, WatchLoop: 2, EventFlood: 2},
		},
		{Name: "down", Duration: seconds(5), Ramp: seconds(2), Rates: Rates{Get: 1}},
	}}
}

func TestSameSeedSameOperations(t *testing.T) {
	first, again, other := carryOut(small(), 7), carryOut(small(), 7), carryOut(small(), 8)
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("the same seed planned something else (-first +again):\n%s", diff)
	}
	if cmp.Equal(first, other) {
		t.Error("another seed planned the same")
	}
	if len(first) < 100 {
		t.Errorf("only %d operations were planned", len(first))
	}
}

func TestAPhaseDoesNotDependOnHowLongAnotherWasHeld(t *testing.T) {
	plan := func(held int) []Operation {
		p := NewPlanner(small(), 3, true)
		for range 6*20 + held {
			p.Tick()
		}
		p.Advance()
		var all []Operation
		for range 40 {
			all = append(all, p.Tick()...)
		}
		return all
	}
	// Whose turn it is goes on from phase to phase.
	inTurn := func(a, b Operation) bool {
		return a.Action == b.Action && slices.Contains([]Action{Renew, Flood, Contest}, a.Action)
	}
	if diff := cmp.Diff(plan(0), plan(100), cmp.FilterValues(inTurn, cmp.Ignore())); diff != "" {
		t.Errorf("-held for 0 ticks +held for 100:\n%s", diff)
	}
}

func TestPlannerByAction(t *testing.T) {
	counts := map[Action]int{}
	for _, operation := range carryOut(small(), 1) {
		counts[operation.Action]++
	}
	// The rate of a phase grows over its ramp, from nothing to 5/s in 3 s and then for 3 s: 22; then down to 1/s in 2 s, and 3 s: 9.
	// Before there are objects there is nothing to get.
	if got := counts[Get]; got < 27 || got > 32 {
		t.Errorf("%d gets, want 22 and 9, or a few less", got)
	}
	for _, action := range []Action{List, ListAll, Update, Patch, Renew, ListLoop, Contest, DropWatch, Flood} {
		if counts[action] == 0 {
			t.Errorf("no %s", action)
		}
	}
	if counts[Watch] != 5 || counts[Unwatch] != 5 {
		t.Errorf("%d watches opened and %d closed, want 5", counts[Watch], counts[Unwatch])
	}
	if counts[Create] != counts[Delete] {
		t.Errorf("%d creates and %d deletes, although everything goes in the end", counts[Create], counts[Delete])
	}
}

func TestFloodEnds(t *testing.T) {
	mix := Mix{Name: "flood", MaxRate: MaxRate, Phases: []Phase{{Name: "flood", Duration: seconds(60), Misbehave: Misbehaviour{EventFlood: 400}}}}
	if err := mix.Validate(); err != nil {
		t.Fatal(err)
	}
	if got := len(carryOut(mix, 1)); got != MaxFlood {
		t.Errorf("%d Events in a minute of 400/s, want the bound of %d", got, MaxFlood)
	}
}

func TestHeldPhase(t *testing.T) {
	mix := small()
	mix.Phases[0].Hold = true
	p := NewPlanner(mix, 1, true)
	ticks := 0
	for ; !p.Ramped(); ticks++ {
		p.Tick()
	}
	if ramp := time.Duration(ticks) * Tick; ramp < 3*time.Second || p.Over() {
		t.Errorf("the targets are reached after %s, want the ramp of 3s at least, and less than the 6s of the phase", ramp)
	}
	for !p.Over() {
		p.Tick()
	}
}

// drawMix draws mixes, most of them valid.
func drawMix(t *rapid.T) Mix {
	count := func(name string, most int) int { return rapid.IntRange(0, most).Draw(t, name) }
	rate := func(name string) float64 { return rapid.Float64Range(0, 6).Draw(t, name) }
	mix := Mix{Name: "drawn", MaxRate: rapid.Float64Range(60, 200).Draw(t, "maxRate")}
	for i := range rapid.IntRange(1, 4).Draw(t, "phases") {
		phase := Phase{Name: fmt.Sprint(i), Duration: seconds(rapid.Float64Range(2, 12).Draw(t, "duration"))}
		phase.Ramp = seconds(phase.Duration.Seconds() * rapid.Float64Range(0, 0.8).Draw(t, "ramp"))
		phase.Rates = Rates{
			Get: rate("get"), List: rate("list"), ListAll: rate("listAll"), Update: rate("update"), Patch: rate("patch"),
			Churn: rate("churn"), NodeChurn: rate("nodeChurn") / 2,
		}
		phase.Misbehave = Misbehaviour{ListLoop: rate("loop"), Conflicts: rate("conflicts") / 2, WatchLoop: rate("watch"), EventFlood: rate("flood")}
		phase.Target = Target{
			Nodes: count("nodes", 30), Watches: count("watches", 10), CRDs: count("crds", 4),
			Objects: map[Kind]Amount{},
		}
		for _, kind := range objectKinds {
			if kind != NodePods || phase.Target.Nodes > 0 {
				phase.Target.Objects[kind] = Amount{Count: count(string(kind), 20)}
			}
		}
		if phase.Target.CRDs > 0 {
			phase.Target.CustomResources.Count = count("custom", 8)
		}
		mix.Phases = append(mix.Phases, phase)
	}
	return mix
}

// world replays operations and says which one does not make sense.
type world struct {
	exists  map[Object]bool
	watches int
}

func (w *world) apply(o Operation) error {
	switch o.Action {
	case Create:
		if w.exists[o.Object] {
			return fmt.Errorf("it exists")
		}
		if o.Object.Kind == CustomResources && !w.exists[Object{Population{Kind: CRDs}, o.Object.CRD}] {
			return fmt.Errorf("its kind does not exist")
		}
		if o.Object.Kind == NodePods && !w.exists[Object{Population{Kind: Nodes}, o.Node}] {
			return fmt.Errorf("its node does not exist")
		}
		w.exists[o.Object] = true
	case Delete, Get, Update, Patch, Renew:
		if !w.exists[o.Object] {
			return fmt.Errorf("it does not exist")
		}
		if o.Action == Delete {
			delete(w.exists, o.Object)
		}
	case Watch:
		w.watches++
	case Unwatch:
		w.watches--
	default:
	}
	return nil
}

// requests that an operation takes.
func requests(o Operation) int {
	switch o.Action {
	case Unwatch:
		return 0
	case Contest:
		return 2
	default:
		return 1
	}
}

func TestPlansMakeSense(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mix := drawMix(t)
		if mix.Validate() != nil {
			t.Skip("out of bounds")
		}
		w := world{exists: map[Object]bool{}}
		var ticks []int // requests of each
		for p := NewPlanner(mix, rapid.Uint64().Draw(t, "seed"), true); ; {
			sent := 0
			for _, operation := range p.Tick() {
				if err := w.apply(operation); err != nil {
					t.Fatalf("%+v: %v", operation, err)
				}
				sent += requests(operation)
			}
			ticks = append(ticks, sent)
			if !p.Over() {
				continue
			}
			checkTargets(t, p, w)
			if !p.Advance() {
				break
			}
		}
		// What is due at once, from every source, may exceed the rate; over ten seconds it may not.
		const window = 200
		for from := 0; from < len(ticks); from += window / 2 {
			sum := 0
			for _, sent := range ticks[from:min(from+window, len(ticks))] {
				sum += sent
			}
			if most := mix.Rate()*window*Tick.Seconds() + 25; float64(sum) > most {
				t.Fatalf("%d requests in ten seconds, at a rate of %g", sum, mix.Rate())
			}
		}
	})
}

func checkTargets(t *rapid.T, p *Planner, w world) {
	phase, _ := p.Phase()
	if !p.Ramped() {
		t.Fatalf("phase %s is over and its targets are not reached", phase.Name)
	}
	want, got := 0, len(w.exists)
	for _, amount := range phase.populations() {
		want += amount.Count
	}
	if got != want || w.watches != phase.Target.Watches {
		t.Fatalf("phase %s ends with %d objects and %d watches, want %d and %d", phase.Name, got, w.watches, want, phase.Target.Watches)
	}
}
