package main

import (
	"math"
	"testing"
	"time"

	"github.com/myriad-fleet/myriad/test/scale/plots"
)

func TestSustained(t *testing.T) {
	noon := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	var steady, burst []time.Time
	for i := range 100 {
		steady = append(steady, noon.Add(time.Duration(99-i)*100*time.Millisecond)) // in no order
		burst = append(burst, noon)
	}
	for _, c := range []struct {
		reason string
		times  []time.Time
		want   float64
	}{
		{"ten a second", steady, 10},
		{"all at the same moment have no rate, and no infinite one", burst, 0},
		{"too few", steady[:1], 0},
		{"none", nil, 0},
	} {
		if got := sustained(c.times); got != c.want {
			t.Errorf("%s: %v, want %v", c.reason, got, c.want)
		}
	}
}

func TestPercentile(t *testing.T) {
	values := make([]float64, 100)
	for i := range values {
		values[i] = float64(100 - i)
	}
	for _, c := range []struct {
		reason  string
		values  []float64
		percent float64
		want    float64
	}{
		{"the middle of a hundred", values, 50, 50},
		{"99 of a hundred are no larger", values, 99, 99},
		{"one value is every percentile", []float64{7}, 99, 7},
		{"none", nil, 99, 0},
	} {
		if got := percentile(c.values, c.percent); got != c.want {
			t.Errorf("%s: %v, want %v", c.reason, got, c.want)
		}
	}
}

// TestCosts are by cluster: CPU until the fleet is calm beyond what it takes at rest, and memory beyond an empty fleet's.
func TestCosts(t *testing.T) {
	for name, tc := range map[string]struct {
		why  string
		idle time.Duration
		want float64
	}{
		"Rested": {"6 s in three seconds, of which the fleet at rest takes 0.1 s", time.Minute, 59},
		"Short":  {"a fleet that did not come to rest says nothing of what it takes then", time.Second, 60},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRecord(options{clusters: 100})
			for _, phase := range []string{"empty", "create", "settle", "calm down", "idle", "delete"} {
				took, memory := time.Second, map[string]float64{"empty": 10, "idle": 30}[phase]
				if phase == "idle" {
					took = tc.idle
				}
				began := reading{at: time.Now(), seconds: map[string]float64{plots.PartHub: 1}}
				r.begin(phase, began)
				r.end(reading{at: began.at.Add(took), seconds: map[string]float64{plots.PartHub: 3}}, map[string]float64{plots.PartHub: memory})
			}
			got := map[string]float64{}
			for _, cost := range r.costs() {
				got[cost.Name] = cost.Value
			}
			if cpu := got["CPU of hub to take a cluster in"]; math.Abs(cpu-tc.want) > 0.01 || got["memory of hub per cluster"] != 20*1024/100. {
				t.Errorf("%s: %v", tc.why, got)
			}
		})
	}
}
