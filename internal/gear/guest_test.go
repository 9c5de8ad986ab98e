package gear

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// guest is an Input that lives on: what was decided is what it has.
type guest struct {
	Input
}

// newGuest of the default Gearbox, healthy and in the smallest gear.
func newGuest(availability v1alpha1.Availability) *guest {
	return &guest{Input{
		Box: Default(), Availability: availability, Now: start, Size: "nano", Tuning: "nano", Tunable: true,
		Load: idle(start), Healthy: true, WindowOpen: true,
	}}
}

// decide, carry out, and see that deciding again in the same second changes nothing.
func (g *guest) decide(t interface{ Fatalf(string, ...any) }) Decision {
	decision := Decide(g.Input)
	g.Size, g.Tuning, g.Last = decision.Size, decision.Tuning, decision.Gear
	again := Decide(g.Input)
	if decision.Size != again.Size || decision.Tuning != again.Tuning || !cmp.Equal(decision.Gear, again.Gear) {
		t.Fatalf("deciding again changes something: %s", cmp.Diff(decision, again))
	}
	return decision
}

// fresh load, sampled now.
func (g *guest) fresh(l *v1alpha1.Load) {
	g.Load = l.DeepCopy()
	g.Load.SampledAt = metav1.Time{Time: g.Now}
}

func TestGuestClimbsAndDescends(t *testing.T) {
	g := newGuest(v1alpha1.Zonal)
	busy := load(start, map[v1alpha1.LoadMetricName]string{v1alpha1.LoadWritesPerSecond: "40", v1alpha1.LoadNodes: "5"})
	var sizes []string
	run := func(l *v1alpha1.Load, total time.Duration) {
		for end := g.Now.Add(total); g.Now.Before(end); g.Now = g.Now.Add(15 * time.Second) {
			g.fresh(l)
			before := g.Size + "/" + g.Tuning
			if g.decide(t); g.Size+"/"+g.Tuning != before {
				sizes = append(sizes, g.Size+"/"+g.Tuning)
			}
		}
	}
	run(busy, 10*time.Minute)
	run(idle(start), 10*time.Hour)
	want := []string{"small/nano", "small/small", "mini/small", "micro/small", "micro/micro", "nano/micro", "nano/nano"}
	if diff := cmp.Diff(want, sizes); diff != "" {
		t.Error(diff)
		for _, m := range g.Last.Moves {
			t.Log(m)
		}
	}
	if g.Last.Reason != ReasonSteady {
		t.Error(g.Last.Reason, g.Last.Message)
	}
}
