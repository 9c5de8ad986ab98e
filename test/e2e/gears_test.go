package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/gear"
	"github.com/myriad-fleet/myriad/test/load"
	"github.com/myriad-fleet/myriad/test/load/mix"
	"github.com/myriad-fleet/myriad/test/load/mix/plan"
)

const (
	// shiftBudget is for one shift: objects that are counted once a minute, two samples, the delay, and API
	// servers that restart for their tuning.
	shiftBudget = 4 * time.Minute
	// rungs of the default ladder that the tests climb. A cell of the default fleet on two cores has no room
	// for more under its reserve.
	nano, micro, mini, small = "nano", "micro", "mini", "small"
)

// TestGearsFollowLoad has a Zonal guest climb three rungs by itself and come down again, under a load that
// counts every failed request. Its Gearbox differs from the default in its delays and in what a request takes:
// with the default factors the load alone, 60 requests a second, is three rungs.
func TestGearsFollowLoad(t *testing.T) {
	s := sharedFleet(t)
	s.withGearbox(t, quickly)
	g := s.create(t, "climber", "--region", "eu-frankfurt", "--availability", "zonal")
	g.shifts(t, nano, nano)
	run := g.load(t, 601)
	quiet(t, run)
	run.Mark(micro)
	g.shifts(t, micro, micro)
	g.explains(t, micro)

	// Nodes come slowly: what the guest's own controllers write for 45 of them is a gear more when all of it falls into
	// the half minute between two samples.
	climb := g.climb(t, time.Minute, 45, 75)
	for _, gear := range []string{mini, small} {
		run.Mark(gear)
		g.shifts(t, gear, gear)
		g.explains(t, gear)
		climb.Next()
	}
	<-climb.Done() // everything is deleted
	for _, gear := range []string{mini, micro} {
		run.Mark("down to " + gear)
		g.shifts(t, gear, small)
		g.explains(t, gear)
	}
	g.healthy(t, nil)
	quiet(t, run)
	unharmed(t, stop(t, run))
	history := s.run(t, "gears", "history", "climber")
	t.Logf("history:\n%s", history)
	if up, down := strings.Count(history, gear.ReasonShiftedUp), strings.Count(history, gear.ReasonShiftedDown); up < 3 || down < 2 {
		t.Errorf("'gears history' tells of %d shifts up and %d down", up, down)
	}
}

// quickly has sizes follow load within seconds, and a request cost half: 60 requests a second are then some 95m in
// each zone, which lies between what nano is left at (81m) and what micro is entered at from above (110m). Tuning goes up only: each of its
// moves restarts the API servers, which takes most of a minute. Narrow bands make four rungs out of little load.
func quickly(box *v1alpha1.GearboxSpec) {
	box.Shifting.EnterPercent, box.Shifting.LeavePercent = 90, 85
	box.Shifting.UpDelaySeconds, box.Shifting.DownDelaySeconds = new(int32(5)), new(int32(30))
	box.Shifting.Moves = 20
	for i := range box.Factors {
		if strings.HasSuffix(string(box.Factors[i].Metric), "PerSecond") {
			cpu := &box.Factors[i].CPU
			*cpu = *resource.NewMilliQuantity(cpu.MilliValue()/2, resource.DecimalSI)
		}
	}
}

// withGearbox has the fleet's guests sized by a changed default Gearbox until the test is over.
func (s *suite) withGearbox(t *testing.T, change func(*v1alpha1.GearboxSpec)) {
	t.Helper()
	box := gear.Default()
	change(&box)
	s.writeGearbox(t, box)
	t.Cleanup(func() {
		frozen := gear.Default()
		frozen.Frozen = true
		s.writeGearbox(t, frozen)
	})
}

func (s *suite) writeGearbox(t *testing.T, spec v1alpha1.GearboxSpec) {
	t.Helper()
	// Clean-ups call this too, when the test's own context is over.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), commandLimit)
	defer cancel()
	var box v1alpha1.Gearbox
	if err := s.hub.Get(ctx, client.ObjectKey{Name: v1alpha1.DefaultGearbox}, &box); err != nil {
		t.Fatal(err)
	}
	before := client.MergeFrom(box.DeepCopy())
	box.Spec = spec
	if err := s.hub.Patch(ctx, &box, before); err != nil {
		t.Fatal(err)
	}
	if t.Context().Err() != nil {
		return
	}
	eventually(t, healBudget, "the hub to accept the Gearbox", func(ctx context.Context) (string, bool) {
		if err := s.hub.Get(ctx, client.ObjectKeyFromObject(&box), &box); err != nil {
			return err.Error(), false
		}
		accepted := meta.IsStatusConditionTrue(box.Status.Conditions, v1alpha1.ConditionAccepted)
		return fmt.Sprintf("%+v", box.Status), accepted && box.Status.ObservedGeneration == box.Generation
	})
}

// shifts waits until the guest has the size of one gear and the tuning of another, and is as ordered.
func (g *guest) shifts(t *testing.T, size, tuning string) {
	t.Helper()
	began := time.Now()
	eventually(t, shiftBudget, fmt.Sprintf("cluster %s to have size %s and tuning %s", g.name, size, tuning), func(ctx context.Context) (string, bool) {
		plane, err := g.controlPlane(ctx)
		if err != nil {
			return err.Error(), false
		}
		var cluster v1alpha1.Cluster
		if err := g.hub.Get(ctx, client.ObjectKey{Namespace: g.namespace, Name: g.name}, &cluster); err != nil {
			return err.Error(), false
		}
		settled := plane.Status.ObservedGeneration == plane.Generation && meta.IsStatusConditionTrue(plane.Status.Conditions, v1alpha1.ConditionReady) &&
			!meta.IsStatusConditionTrue(plane.Status.Conditions, v1alpha1.ConditionProgressing)
		known := cluster.Status.Gear
		state := fmt.Sprintf("size %s, tuning %+v, settled %t, status %+v, load %+v", plane.Spec.Size.Gear, plane.Spec.Tuning, settled, known, plane.Status.Load)
		return state, settled && plane.Spec.Size.Gear == size && plane.Spec.Tuning != nil && plane.Spec.Tuning.Gear == tuning && known != nil && known.Size == size
	})
	t.Logf("size %s and tuning %s after %.0fs", size, tuning, time.Since(began).Seconds())
}

// explains fails the test unless 'gears explain' tells of the guest's gear and of each metric.
func (g *guest) explains(t *testing.T, gear string) {
	t.Helper()
	text := g.run(t, "-n", g.namespace, "gears", "explain", g.name)
	t.Logf("%s", text)
	for _, word := range []string{gear, "Demand:", string(v1alpha1.LoadNodes), string(v1alpha1.LoadWritesPerSecond)} {
		if !strings.Contains(text, word) {
			t.Errorf("'gears explain %s' does not mention %q:\n%s", g.name, word, text)
		}
	}
}

// climb has the guest carry so many nodes, phase by phase, each reached within a ramp and held until Next, and
// then none.
func (g *guest) climb(t *testing.T, ramp time.Duration, nodes ...int) *mix.Run {
	t.Helper()
	mixture := plan.Mix{Name: "climb"}
	for _, count := range nodes {
		mixture.Phases = append(mixture.Phases, phaseOf(count, ramp))
	}
	run, err := mix.Start(t.Context(), g.access(t), mix.Options{Mix: mixture, Seed: 601, Hold: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { t.Logf("the climb: %+v", run.Stop()) })
	return run
}

// phaseOf so many nodes, until somebody says that it is enough.
func phaseOf(nodes int, ramp time.Duration) plan.Phase {
	return plan.Phase{
		Name: fmt.Sprintf("%d nodes", nodes), Hold: true, Target: plan.Target{Nodes: nodes},
		Duration: metav1.Duration{Duration: 2 * shiftBudget}, Ramp: metav1.Duration{Duration: ramp},
	}
}

// unharmed fails the test when anything was lost or a request failed. No failure is an answer of 429 by an
// API server that has drained: what it gets on a connection that is still open it tells to go elsewhere, once.
func unharmed(t *testing.T, report load.Report) {
	t.Helper()
	if err := report.Consistent(); err != nil {
		t.Error(err)
	}
	told := 0
	for _, failure := range report.Failures {
		if strings.HasPrefix(failure.Error, "status 429") && strings.Contains(failure.Error, "shutting down") {
			told++
			continue
		}
		t.Errorf("a %s failed at %.1fs after %.1fs: %s", failure.Verb, failure.AtSeconds, failure.TookSeconds, failure.Error)
	}
	t.Logf("of %d requests %d were told to go elsewhere", report.Requests, told)
}
