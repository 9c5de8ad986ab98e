package recorded

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/gear"
)

var update = flag.Bool("update", false, "write samples.jsonl.gz")

func TestEmbeddedSamplesAreThoseThatAreTold(t *testing.T) {
	if *update {
		var file bytes.Buffer
		if err := Write(&file, Told()); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("samples.jsonl.gz", file.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		embedded = file.Bytes()
	}
	samples, err := Samples()
	if err != nil {
		t.Fatal(err)
	}
	var got, want bytes.Buffer
	if err := Write(&got, samples); err != nil {
		t.Fatal(err)
	}
	if err := Write(&want, Told()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Errorf("the file is not what is told (%d samples, %d told): run the test with -update", len(samples), len(Told()))
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
