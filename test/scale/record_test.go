package main

import (
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

// TestCosts are by cluster, of the phases that they are about, and memory beyond an empty fleet's.
func TestCosts(t *testing.T) {
	r := newRecord(options{clusters: 100})
	for _, name := range []string{"empty", "create", "settle", "idle"} {
		began := reading{at: time.Now(), seconds: map[string]float64{plots.PartHub: 1}}
		r.begin(name, began)
		memory := map[string]float64{"empty": 10, "idle": 30}[name]
		r.end(reading{at: began.at.Add(time.Second), seconds: map[string]float64{plots.PartHub: 3}}, map[string]float64{plots.PartHub: memory})
	}
	got := map[string]float64{}
	for _, cost := range r.costs() {
		got[cost.Name] = cost.Value
	}
	if got["CPU of hub to create a cluster"] != 40 || got["memory of hub per cluster"] != 20*1024/100. {
		t.Errorf("costs: %v", got)
	}
}
