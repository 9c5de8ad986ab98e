package main

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
		{"a ratio within its budget", compare("x", "s", 5, 4, 1.25), "yes", 0},
		{"a ratio above its budget", compare("x", "s", 5.1, 4, 1.25), "NO", 1},
		{"an absolute figure at its budget", bound("x", "s", 10, 10), "yes", 0},
		{"an absolute figure above its budget", bound("x", "s", 10.1, 10), "NO", 1},
		{"what is by hand does not count against an absolute budget", with(bound("x", "", 0, 0), 7), "yes", 0},
		{"no restart is worse than one, however many there are by hand", with(bound("x", "", 1, 0), 7), "NO", 1},
		{"a share of a bound that is large enough", atLeast("x", "GiB", 97, 100, 0.97), "yes", 0},
		{"a share of a bound that is too small", atLeast("x", "GiB", 96.9, 100, 0.97), "NO", 1},
		{"a ratio without a budget", beside("x", "s", 9, 4), "-", 0},
		{"a figure alone", report("x", "s", 9), "-", 0},
	}
	for _, test := range tests {
		var text strings.Builder
		if err := printTable(&text, "name", []Result{test.result}); err != nil {
			t.Fatal(err)
		}
		if fields := strings.Fields(text.String()); fields[len(fields)-1] != test.met {
			t.Errorf("%s: want met %s:\n%s", test.reason, test.met, text.String())
		}
		if got := countMissed([]Result{test.result}); got != test.missed {
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
		if got := median(test.values); got != test.want {
			t.Errorf("median of %v: want %v, got %v", test.values, test.want, got)
		}
	}
}

func TestNames(t *testing.T) {
	tests := []struct {
		reason string
		names  []string
		lab    bool
		words  string
	}{
		{"processes need no lab", []string{"create", "memory"}, false, ""},
		{"those of the lab do", []string{"lab-create", "lab-agent"}, true, ""},
		{"one fleet cannot serve both", []string{"create", "lab-create"}, false, "different fleets"},
		{"there is no such benchmark", []string{"lab-nothing"}, false, "no benchmark"},
	}
	for _, test := range tests {
		err := checkNames(test.names)
		if test.words != "" {
			if err == nil || !strings.Contains(err.Error(), test.words) {
				t.Errorf("%s: want an error that says %q, got %v", test.reason, test.words, err)
			}
			continue
		}
		if inLab, needErr := needLab(test.names); err != nil || needErr != nil || inLab != test.lab {
			t.Errorf("%s: want lab %t, got %t, %v, %v", test.reason, test.lab, inLab, err, needErr)
		}
	}
}

func TestRollup(t *testing.T) {
	const text = "00400000-7ffd rollup\nRss:  2048 kB\nPss:  1024 kB\nPss_Anon: 512 kB\n"
	for field, want := range map[string]float64{"Rss": 2, "Pss": 1} {
		if got, err := rollup(text, field); err != nil || got != want {
			t.Errorf("%s: want %v MiB, got %v, %v", field, want, got, err)
		}
	}
	if _, err := rollup(text, "Swap"); err == nil {
		t.Error("a field that is not there is no size")
	}
}
