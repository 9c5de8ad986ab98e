package recorded

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/gear"
)

// TestSamples: what is embedded can be read, and holds guests at rest and under load that reported all.
func TestSamples(t *testing.T) {
	samples, err := Samples()
	if err != nil {
		t.Fatal(err)
	}
	idle, busy := 0, 0
	for _, sample := range samples {
		if strings.HasPrefix(sample.Guest, "told-") {
			continue
		}
		switch writes := writesOf(sample); {
		case writes > 10:
			busy++
		case writes >= 0:
			idle++
		}
	}
	if idle < 10 || busy < 10 {
		t.Errorf("%d samples of recorded guests at rest and %d under load", idle, busy)
	}
}

// writesOf a sample, per second; -1: it has none.
func writesOf(sample gear.Sample) float64 {
	for _, metric := range sample.Load.Metrics {
		if metric.Name == v1alpha1.LoadWritesPerSecond {
			return metric.Value.AsApproximateFloat64()
		}
	}
	return -1
}

// TestRepeated: a short history fills a day, in the order of time.
func TestRepeated(t *testing.T) {
	begun := time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)
	var history []gear.Sample
	for minutes := range 20 {
		history = append(history, gear.Sample{Guest: "g", Load: v1alpha1.Load{SampledAt: metav1.NewTime(begun.Add(time.Duration(minutes) * time.Minute))}})
	}
	last, count := begun.Add(-time.Minute), 0
	for sample := range repeated(history) {
		if at := sample.Load.SampledAt.Time; !at.After(last) || at.Sub(begun) >= day {
			t.Fatalf("sample %d is at %s, after one at %s", count, at, last)
		}
		last = sample.Load.SampledAt.Time
		count++
	}
	if count != 24*60 {
		t.Errorf("a day has %d samples of a minute each", count)
	}
	if one := slices.Collect(repeated(history[:1])); len(one) != 24*60 {
		t.Errorf("a single sample fills the day with %d", len(one))
	}
}

func TestReadSaysWhatIsWrong(t *testing.T) {
	for _, tc := range []struct{ reason, input, want string }{
		{"an empty file holds no samples", "", ""},
		{"empty lines are skipped", "\n\n", ""},
		{"what is not JSON is named by its line", "\n{]\n", "line 2"},
		{"a sample of nobody is of no use", `{"load":{"sampledAt":"2026-11-23T00:00:00Z"}}`, "needs guest"},
		{"a sample without a time cannot be replayed", `{"guest":"a","load":{"sampledAt":null}}`, "needs guest"},
		{"a broken archive is named", "\x1f\x8bno", "gzip"},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			_, err := Read(strings.NewReader(tc.input))
			if (err != nil) != (tc.want != "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestGenerateIsSeededAndSaysSo(t *testing.T) {
	fleet := func(seed uint64) string {
		var file bytes.Buffer
		if err := Write(&file, Generate(seed, 5, Told())); err != nil {
			t.Fatal(err)
		}
		return file.String()
	}
	first := fleet(1)
	if first != fleet(1) {
		t.Error("the same seed gave another fleet")
	}
	if first == fleet(2) {
		t.Error("another seed gave the same fleet")
	}
	for _, sample := range Generate(1, 5, Told()) {
		if !strings.HasPrefix(sample.Guest, GeneratedPrefix) {
			t.Fatalf("%s does not say that it is generated", sample.Guest)
		}
	}
	if n := len(Generate(1, 5, nil)); n != 0 {
		t.Errorf("%d samples came from none", n)
	}
}

// TestBacktestOfAGeneratedFleet replays a day of a fleet: the default Gearbox must not flap, and hardly ever
// give too little.
func TestBacktestOfAGeneratedFleet(t *testing.T) {
	outcome := gear.BacktestSeq(gear.Default(), v1alpha1.GearBounds{}, All(1, 100, Told()))
	t.Logf("%+v", outcome)
	if outcome.Guests != 100 || outcome.SizeMoves == 0 {
		t.Error("nothing was replayed")
	}
	if outcome.Flaps > outcome.SizeMoves/2 {
		t.Errorf("%d of %d moves were taken back within an hour", outcome.Flaps, outcome.SizeMoves)
	}
	if share := float64(outcome.UnderProvisioned) / float64(outcome.Total); share > 0.01 {
		t.Errorf("too small a gear in %.1f %% of the time", 100*share)
	}
}
