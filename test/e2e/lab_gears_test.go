package e2e

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/gear"
)

// TestLabGearsInPlace has a Zonal guest in the lab climb by itself, in place: the kernel holds every container
// to the gear's limits, no pod is replaced, no container restarts, no request fails. All gears have the same
// tuning here, for a change of that is a restart.
func TestLabGearsInPlace(t *testing.T) {
	s := labFleet(t)
	s.withGearbox(t, func(box *v1alpha1.GearboxSpec) {
		quickly(box)
		for i := range box.Ladder {
			box.Ladder[i].Tuning = box.Ladder[0].Tuning
		}
	})
	g := s.create(t, "riser", "--region", "eu-frankfurt", "--availability", "zonal")
	g.shifts(t, nano, nano)
	before, pods := g.instances(t), g.podRuns(t)
	run := g.patientLoad(t, 611)
	quiet(t, run)
	climb := g.climb(t, 45*time.Second, 75)
	run.Mark(small)
	g.shifts(t, small, small)
	rung, _ := gear.Find(gear.Default(), small)
	g.limitedTo(t, gear.Size(rung))
	g.explains(t, small)
	quiet(t, run)
	if err := stop(t, run).Flawless(); err != nil {
		t.Error(err)
	}
	climb.Next()
	g.sameInstances(t, before, "the climb")
	if diff := cmp.Diff(pods, g.podRuns(t)); diff != "" {
		t.Errorf("the climb replaced pods or restarted containers (-before +after):\n%s", diff)
	}
}
