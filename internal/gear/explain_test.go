package gear

import (
	compare "cmp"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// outlookBox has three gears that are easy to reckon with: each node takes 10m and 10Mi, each write 5m.
func outlookBox() v1alpha1.GearboxSpec {
	rung := func(name string, milli, mib, nodes int64) v1alpha1.Gear {
		quarter := v1alpha1.ComponentSize{CPU: cores(milli / 4), Memory: mebibytes(mib / 4)}
		return v1alpha1.Gear{
			Name:   name,
			Size:   v1alpha1.GearSize{Etcd: quarter, APIServer: quarter, ControllerManager: quarter, Scheduler: quarter},
			Limits: v1alpha1.GearLimits{Nodes: nodes, DatabaseBytes: mebibytes(100)},
		}
	}
	return v1alpha1.GearboxSpec{
		Base: v1alpha1.Resources{CPU: cores(100), Memory: mebibytes(100)},
		Factors: []v1alpha1.GearFactor{
			{Metric: v1alpha1.LoadNodes, CPU: cores(10), Memory: mebibytes(10)},
			{Metric: v1alpha1.LoadWritesPerSecond, CPU: cores(5)},
			{Metric: v1alpha1.LoadPods},
		},
		Ladder:   []v1alpha1.Gear{rung("small", 400, 800, 1000), rung("medium", 800, 1600, 40), rung("large", 1600, 3200, 2000)},
		Shifting: v1alpha1.GearShifting{UpDelaySeconds: new(int32(0)), DownDelaySeconds: new(int32(0)), Moves: 20},
	}
}

// outlookLoad has the metrics in milli-units.
func outlookLoad(milli map[v1alpha1.LoadMetricName]int64) *v1alpha1.Load {
	load := &v1alpha1.Load{SampledAt: metav1.NewTime(time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC))}
	for _, name := range metrics {
		if value, ok := milli[name]; ok {
			load.Metrics = append(load.Metrics, v1alpha1.LoadMetric{Name: name, Value: *resource.NewMilliQuantity(value, resource.DecimalSI)})
		}
	}
	return load
}

func TestOutlook(t *testing.T) {
	nodes, writes, pods, database := v1alpha1.LoadNodes, v1alpha1.LoadWritesPerSecond, v1alpha1.LoadPods, v1alpha1.LoadDatabaseBytes
	tooMuch := "CPU demand of 321m is more than 80 % of the 400m of small"
	cases := map[string]struct {
		reason   string
		size     string
		bounds   v1alpha1.GearBounds
		zonal    bool
		load     map[v1alpha1.LoadMetricName]int64
		up, down *Outlook
	}{
		"Idle": {
			reason: "100m of the 320m that the band ends at are taken; pods have a factor of nothing and move nobody", size: "small",
			load: map[v1alpha1.LoadMetricName]int64{nodes: 0, writes: 0, pods: 5000},
			up: &Outlook{Gear: "medium", Percent: 80, Edges: []Edge{
				{Metric: nodes, At: 23, Lacks: "CPU demand of 330m is more than 80 % of the 400m of small"},
				{Metric: writes, At: 44.001, Lacks: tooMuch},
			}},
		},
		"Zonal": {
			reason: "a zone carries half of the writes", size: "small", zonal: true,
			load: map[v1alpha1.LoadMetricName]int64{writes: 2000},
			up:   &Outlook{Gear: "medium", Percent: 80, Edges: []Edge{{Metric: writes, Value: 2, At: 88.001, Lacks: tooMuch}}},
		},
		"Limit": {
			reason: "a limit is met before the capacity is; on the way down the lower gear's band counts", size: "medium",
			load: map[v1alpha1.LoadMetricName]int64{nodes: 20_000, database: 5_000},
			up: &Outlook{Gear: "large", Percent: 80, Edges: []Edge{
				{Metric: nodes, Value: 20, At: 41, Lacks: "41 nodes are more than the 40 of medium"},
				{Metric: database, Value: 5, At: 100<<20 + 1, Lacks: "a database of 101Mi is more than the 100Mi of medium"},
			}},
			down: &Outlook{
				Gear: "small", Percent: 60, Lacks: "CPU demand of 300m is more than 60 % of the 400m of small",
				Edges: []Edge{{Metric: nodes, Value: 20, At: 14}},
			},
		},
		"Over": {
			reason: "what is over already has no edges", size: "small", load: map[v1alpha1.LoadMetricName]int64{writes: 44_200},
			up: &Outlook{Gear: "medium", Percent: 80, Now: true, Lacks: tooMuch},
		},
		"Fits": {
			reason: "so has what fits the lower gear", size: "medium", load: map[v1alpha1.LoadMetricName]int64{writes: 0},
			up: &Outlook{Gear: "large", Percent: 80, Edges: []Edge{
				{Metric: writes, At: 108.001, Lacks: "CPU demand of 641m is more than 80 % of the 800m of medium"},
			}},
			down: &Outlook{Gear: "small", Percent: 60, Now: true},
		},
		"NoneAlone": {
			reason: "where two metrics are each too much for the lower gear, neither alone brings it down", size: "large", bounds: v1alpha1.GearBounds{Max: "large"},
			load: map[v1alpha1.LoadMetricName]int64{nodes: 60_000, writes: 100_000},
			down: &Outlook{
				Gear: "medium", Percent: 60,
				Lacks: "CPU demand of 1200m is more than 60 % of the 800m of medium, 60 nodes are more than the 40 of medium",
			},
		},
		"Pinned":  {reason: "there is no other gear within the bounds", size: "medium", bounds: v1alpha1.GearBounds{Pinned: "medium"}, load: map[v1alpha1.LoadMetricName]int64{nodes: 1000}},
		"Bounds":  {reason: "neither is there above max and below min", size: "medium", bounds: v1alpha1.GearBounds{Min: "medium", Max: "medium"}, load: map[v1alpha1.LoadMetricName]int64{nodes: 1000}},
		"NoLoad":  {reason: "nothing is told of what is not known", size: "medium"},
		"NoGear":  {reason: "nor of a gear that is not on the ladder", size: "tiny", load: map[v1alpha1.LoadMetricName]int64{nodes: 1000}},
		"Unknown": {reason: "a metric that was not read has no edge", size: "large", load: map[v1alpha1.LoadMetricName]int64{}, down: &Outlook{Gear: "medium", Percent: 60, Now: true}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			g := Guest{Box: outlookBox(), Bounds: tc.bounds, Availability: v1alpha1.Single, Size: tc.size}
			if tc.zonal {
				g.Availability = v1alpha1.Zonal
			}
			if tc.load != nil {
				g.Load = outlookLoad(tc.load)
			}
			if diff := cmp.Diff(tc.up, Upwards(g)); diff != "" {
				t.Errorf("%s: up: -want +got\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.down, Downwards(g)); diff != "" {
				t.Errorf("%s: down: -want +got\n%s", tc.reason, diff)
			}
		})
	}
}

// TestOutlookIsWhatDecideDoes moves one metric to the edge that is told, and to the step before it.
func TestOutlookIsWhatDecideDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		milli := map[v1alpha1.LoadMetricName]int64{}
		for _, name := range metrics {
			steps := rapid.Int64Range(0, 60).Draw(t, string(name))
			milli[name] = steps * 1000
		}
		box := Default()
		box.Shifting.UpDelaySeconds, box.Shifting.DownDelaySeconds = new(int32(0)), new(int32(0))
		g := Guest{Box: box, Availability: v1alpha1.Zonal, Load: outlookLoad(milli), Size: rapid.SampledFrom(ladderNames(box)).Draw(t, "size")}
		// moved is 1 when the guest goes up, -1 when it goes down, and 0 when it stays.
		moved := func(load *v1alpha1.Load) int {
			decision := Decide(Input{
				Box: g.Box, Availability: g.Availability, Now: load.SampledAt.Time, Size: g.Size, Load: load, Healthy: true, WindowOpen: true,
			})
			return compare.Compare(index(g.Box, decision.Size), index(g.Box, g.Size))
		}
		for want, side := range map[int]*Outlook{1: Upwards(g), -1: Downwards(g)} {
			if side == nil {
				continue
			}
			for _, edge := range side.Edges {
				at := int64(math.Round(edge.At * unitOf(edge.Metric)))
				if got := moved(with(g.Load, edge.Metric, at)); got != want {
					t.Fatalf("towards %s: %s at %v: moved by %d", side.Gear, edge.Metric, edge.At, got)
				}
				if got := moved(with(g.Load, edge.Metric, at-int64(want))); got == want {
					t.Fatalf("towards %s: %s a step before %v: moved by %d already", side.Gear, edge.Metric, edge.At, got)
				}
			}
		}
	})
}

func ladderNames(box v1alpha1.GearboxSpec) []string {
	var all []string
	for _, gear := range box.Ladder {
		all = append(all, gear.Name)
	}
	return all
}

func TestWithDefaults(t *testing.T) {
	if diff := cmp.Diff(Default().Shifting, WithDefaults(v1alpha1.GearShifting{})); diff != "" {
		t.Errorf("what is left out is the default: -want +got\n%s", diff)
	}
	none := v1alpha1.GearShifting{UpDelaySeconds: new(int32(0)), Moves: 7}
	if got := WithDefaults(none); *got.UpDelaySeconds != 0 || got.Moves != 7 {
		t.Errorf("what is written stays, a delay of 0 too: %+v", got)
	}
}
