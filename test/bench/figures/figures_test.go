package figures

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestResults(t *testing.T) {
	with := func(r Result, reference float64) Result { r.Reference = &reference; return r }
	tests := []struct {
		reason string
		result Result
		met    string
		missed int
	}{
		{"a ratio within its budget", Compare("x", "s", 5, 4, 1.25), "yes", 0},
		{"a ratio above its budget", Compare("x", "s", 5.1, 4, 1.25), "NO", 1},
		{"an absolute figure at its budget", Bound("x", "s", 10, 10), "yes", 0},
		{"an absolute figure above its budget", Bound("x", "s", 10.1, 10), "NO", 1},
		{"what is by hand does not count against an absolute budget", with(Bound("x", "", 0, 0), 7), "yes", 0},
		{"no restart is worse than one, however many there are by hand", with(Bound("x", "", 1, 0), 7), "NO", 1},
		{"a share of a bound that is large enough", AtLeast("x", "GiB", 97, 100, 0.97), "yes", 0},
		{"a share of a bound that is too small", AtLeast("x", "GiB", 96.9, 100, 0.97), "NO", 1},
		{"a rate at its budget", Floor("x", "/s", 100, 100), "yes", 0},
		{"a rate below its budget", Floor("x", "/s", 99, 100), "NO", 1},
		{"a ratio without a budget", Beside("x", "s", 9, 4), "-", 0},
		{"a figure alone", Report("x", "s", 9), "-", 0},
	}
	for _, test := range tests {
		var text strings.Builder
		if err := PrintTable(&text, "name", []Result{test.result}); err != nil {
			t.Fatal(err)
		}
		if fields := strings.Fields(text.String()); fields[len(fields)-1] != test.met {
			t.Errorf("%s: want met %s:\n%s", test.reason, test.met, text.String())
		}
		if got := Missed([]Result{test.result}); got != test.missed {
			t.Errorf("%s: want %d missed, got %d", test.reason, test.missed, got)
		}
		if _, err := json.Marshal(test.result); err != nil {
			t.Errorf("%s: %v", test.reason, err)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 9, 2}, 3}} {
		if got := Median(test.values); got != test.want {
			t.Errorf("median of %v: want %v, got %v", test.values, test.want, got)
		}
	}
}
