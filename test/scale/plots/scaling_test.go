package plots

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

func texts(ticks []tick) []string {
	var all []string
	for _, tick := range ticks {
		all = append(all, tick.Text)
	}
	return all
}

func TestAxis(t *testing.T) {
	tests := []struct {
		reason    string
		low, high float64
		unit      string
		want      []string
	}{
		{"nothing: to 1", 0, 0, "ms", []string{"0.00\u00a0ms", "0.25\u00a0ms", "0.50\u00a0ms", "0.75\u00a0ms", "1.00\u00a0ms"}},
		{"low values: from 0", 60, 70, "ms", []string{"0\u00a0ms", "20\u00a0ms", "40\u00a0ms", "60\u00a0ms", "80\u00a0ms"}},
		{"a value at a tick needs none above", 0, 100, "/s", []string{"0/s", "25/s", "50/s", "75/s", "100/s"}},
		{"thousands are parted", 0, 9000, "", []string{"0", "2\u202f500", "5\u202f000", "7\u202f500", "10\u202f000"}},
		{"small values", 0, 0.011, "", []string{"0.000", "0.005", "0.010", "0.015"}},
		{"values around 0", -3, 5, "", []string{"−4", "−2", "0", "2", "4", "6"}},
		{"values below 0: to 0", -8, -2, "", []string{"−8", "−6", "−4", "−2", "0"}},
		{"a rounding error", 0, 3 * 0.1, "", []string{"0.0", "0.1", "0.2", "0.3"}},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, texts(axisOf(test.low, test.high).ticks(test.unit))); diff != "" {
			t.Errorf("%s: ticks: -want +got\n%s", test.reason, diff)
		}
	}
}

// TestAnyAxis holds its values, has few ticks and as many as are needed, and begins or ends at 0 or has a tick there.
func TestAnyAxis(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		low, high := rapid.Float64Range(-1e9, 1e9).Draw(t, "low"), rapid.Float64Range(-1e9, 1e9).Draw(t, "high")
		if low > high {
			low, high = high, low
		}
		a := axisOf(low, high)
		const slack = 1e-6
		if from, to := a.share(low), a.share(high); from < -slack || to > 1+slack || math.IsNaN(from+to) {
			t.Fatalf("%+v shows %g to %g at %g to %g", a, low, high, from, to)
		}
		zero := -a.Low / a.Step
		if n := len(a.ticks("")); n < 3 || n > 6 || math.Abs(zero-math.Round(zero)) > slack {
			t.Fatalf("%+v has %d ticks, and 0 at the %gth", a, n, zero)
		}
	})
}

func TestSizeTicks(t *testing.T) {
	tests := []struct {
		reason string
		sizes  []int
		want   []string
	}{
		{"there is room for all", []int{1000, 3000, 10000}, []string{"0", "1\u202f000", "3\u202f000", "10\u202f000"}},
		{"one size", []int{10000}, []string{"0", "10\u202f000"}},
		{"the larger of sizes beside each other", []int{9000, 9500, 10000}, []string{"0", "10\u202f000"}},
		{"no room for 0", []int{300, 10000}, []string{"300", "10\u202f000"}},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, texts(sizeTicks(axis{High: 10600}, test.sizes))); diff != "" {
			t.Errorf("%s: ticks: -want +got\n%s", test.reason, diff)
		}
	}
}

func TestMeasure(t *testing.T) {
	tests := []struct {
		value float64
		unit  string
		want  string
	}{
		{0, "ms", "0\u00a0ms"},
		{0.0123, "cores", "0.012\u00a0cores"},
		{-0.0001, "", "0.000"},
		{1.234, "s", "1.23\u00a0s"},
		{6, "", "6"},
		{-12.34, "", "−12.3"},
		{123.4, "/s", "123/s"},
		{1234567, "KiB", "1\u202f234\u202f567\u00a0KiB"},
	}
	for _, test := range tests {
		if got := measure(test.value, test.unit); got != test.want {
			t.Errorf("%g %s: want %q, got %q", test.value, test.unit, test.want, got)
		}
	}
}

func TestThin(t *testing.T) {
	sample := func(at float64, ready int, cores, size float64) Sample {
		return Sample{At: at, Ready: ready, Cores: map[string]float64{"hub": cores}, MiB: map[string]float64{"hub": size}}
	}
	away := Sample{At: 8, Ready: 4, Cores: map[string]float64{"hub": 0}}
	all := []Sample{sample(2, 1, 1, 10), sample(4, 2, 2, 90), sample(6, 3, 4, 20), away, sample(14, 5, 8, 30)}
	tests := []struct {
		reason  string
		samples []Sample
		most    int
		want    []Sample
	}{
		{"none", nil, 3, nil},
		{"few enough", all, 5, all},
		{
			"the first stays; counts of the last, cores on average by time, the most memory", all, 3,
			[]Sample{all[0], sample(6, 3, 3, 90), sample(14, 5, 6, 30)},
		},
		{
			"memory of a part that did not run meanwhile stays unknown",
			[]Sample{all[0], away, all[4]},
			2,
			[]Sample{all[0], sample(14, 5, 4, 30)},
		},
		{"one for all but the first", all, 2, []Sample{all[0], sample(14, 5, (2*2+4*2+8*6)/12.0, 90)}},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, thin(test.samples, test.most), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: -want +got\n%s", test.reason, diff)
		}
	}
}

// TestThinKeeps what is drawn of any samples: the time, the CPU that was taken, the peak of memory, and their number.
func TestThinKeeps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var samples []Sample
		at := 0.0
		for range rapid.IntRange(1, 200).Draw(t, "samples") {
			at += rapid.Float64Range(0.1, 5).Draw(t, "pause")
			samples = append(samples, Sample{
				At: at, Ready: rapid.IntRange(0, 1000).Draw(t, "ready"),
				Cores: map[string]float64{"hub": rapid.Float64Range(0, 2).Draw(t, "cores")},
				MiB:   map[string]float64{"hub": rapid.Float64Range(0, 1000).Draw(t, "MiB")},
			})
		}
		most := rapid.IntRange(2, 50).Draw(t, "most")
		got := thin(samples, most)
		if len(got) != min(most, len(samples)) {
			t.Fatalf("want %d, got %d", min(most, len(samples)), len(got))
		}
		first, last := got[0], got[len(got)-1]
		if first.At != samples[0].At || last.At != at || last.Ready != samples[len(samples)-1].Ready {
			t.Fatalf("want what the ends are, got %+v and %+v", first, last)
		}
		took, peak := totals(samples)
		gotTook, gotPeak := totals(got)
		if math.Abs(took-gotTook) > 1e-6 || peak != gotPeak {
			t.Fatalf("want %g CPU seconds and %g MiB at most, got %g and %g", took, peak, gotTook, gotPeak)
		}
	})
}

// totals are CPU seconds since the first sample, and the most MiB.
func totals(samples []Sample) (took, peak float64) {
	since := samples[0].At
	for _, sample := range samples {
		took += sample.Cores["hub"] * (sample.At - since)
		peak, since = max(peak, sample.MiB["hub"]), sample.At
	}
	return took, peak
}

// TestLineHasGaps where a part does not run, and a dot where it runs for one sample only.
func TestLineHasGaps(t *testing.T) {
	var samples []Sample
	for i, size := range []float64{1, 1, -1, 2, -1, 1, 1} {
		s := Sample{At: float64(i + 1)}
		if size >= 0 {
			s.MiB = map[string]float64{"hub": size}
		}
		samples = append(samples, s)
	}
	c := timeChart("Memory", "MiB", samples, 10, levels(samples, func(s Sample) map[string]float64 { return s.MiB }))
	const want = "M100.0,150.0L200.0,150.0M400.0,0.0h0M600.0,150.0L700.0,150.0"
	if got := c.Series[0].Line; got != want {
		t.Errorf("want %s, got %s", want, got)
	}
	const text = "From 1\u00a0s to 7\u00a0s. hub: 1\u00a0MiB at first, at most 2\u00a0MiB after 4\u00a0s, 1\u00a0MiB at last."
	if c.Text != text {
		t.Errorf("want %q, got %q", text, c.Text)
	}
}

func TestGrowthText(t *testing.T) {
	tests := []struct {
		reason string
		growth growth
		want   string
	}{
		{"one size", growth{[]int{1000}, [][]float64{{2, 4}}}, "3\u00a0ms with 1\u202f000 clusters"},
		{
			"means of the first and of the last",
			growth{[]int{1000, 3000, 10000}, [][]float64{{2, 4}, {9}, {4.5}}},
			"3\u00a0ms with 1\u202f000 clusters, 4.50\u00a0ms with 10\u202f000 (×\u00a01.50)",
		},
		{"from nothing: no factor", growth{[]int{1000, 3000}, [][]float64{{0}, {2}}}, "0\u00a0ms with 1\u202f000 clusters, 2\u00a0ms with 3\u202f000"},
	}
	for _, test := range tests {
		if got := test.growth.text("ms"); got != test.want {
			t.Errorf("%s: want %q, got %q", test.reason, test.want, got)
		}
	}
}

// TestBands never lets the numbers of phases overlap, nor names reach into the next number, nor any leave the chart.
func TestBands(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var phases []Phase
		at := 0.0
		for range rapid.IntRange(0, 12).Draw(t, "phases") {
			to := at + rapid.SampledFrom([]float64{0, 1, 5, 40, 300}).Draw(t, "took")
			phases, at = append(phases, Phase{From: at, To: to}), to
		}
		bands, lanes := bandsOf(phases, at)
		const slack = 0.02 // percent are rounded
		for i, b := range bands {
			if b.Lane >= lanes || b.LabelLeft < 0 || b.LabelLeft+b.LabelWidth > 100+slack || b.Left+b.Width > 100+slack || b.LabelWidth < labelPercent-slack {
				t.Fatalf("band %d of %d lanes leaves the chart: %+v", i, lanes, b)
			}
			for _, other := range bands[i+1:] {
				if other.Lane == b.Lane && b.LabelLeft+b.LabelWidth > other.LabelLeft+slack {
					t.Fatalf("%+v overlaps %+v", b, other)
				}
			}
		}
	})
}
