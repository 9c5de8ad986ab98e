package cli

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/gear"
)

var historyFile = filepath.Join("testdata", "fleet.jsonl")

func TestGearsBacktest(t *testing.T) {
	g := newGeared(t)
	g.box.Spec.Shifting.EnterPercent, g.box.Spec.Shifting.LeavePercent = 65, 55
	g.box.Spec.Shifting.DownDelaySeconds = new(int32(300))
	for name, words := range map[string]string{
		"gears-backtest":      "gears backtest -f testdata/gearbox.yaml --history testdata/fleet.jsonl",
		"gears-backtest-json": "gears backtest -f testdata/gearbox.yaml --history testdata/fleet.jsonl -o json",
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, interceptor.Funcs{}, g.objects()...)
			f.want(exitOK, strings.Fields(words)...)
			f.golden(name)
		})
	}
}

// TestGearsBacktestWithoutAFleet compares with what a new fleet gets, and says so.
func TestGearsBacktestWithoutAFleet(t *testing.T) {
	f := newFixture(t, interceptor.Funcs{})
	f.want(exitOK, "gears", "backtest", "--home", filepath.Join(t.TempDir(), "none"), "-f", gearboxFile, "--history", historyFile)
	if want := "Today:            the default of a new fleet (no fleet here: "; !strings.Contains(f.out.String(), want) {
		t.Errorf("must say what it compares with:\n%s", f.out.String())
	}
}

// TestGearsBacktestOfWhatComesWithMyriad says that its load is made up, and is the same for the same seed.
func TestGearsBacktestOfWhatComesWithMyriad(t *testing.T) {
	f := newFixture(t, interceptor.Funcs{}, newGeared(t).objects()...)
	words := []string{"gears", "backtest", "-f", gearboxFile, "--guests", "5", "--seed", "7"}
	f.want(exitOK, words...)
	first := f.out.String()
	if want := "scaled up to 5 clusters by a generator (seed 7)"; !strings.Contains(first, want) || !strings.Contains(first, "of 5 clusters") {
		t.Errorf("must say %q:\n%s", want, first)
	}
	f.want(exitOK, words...)
	if diff := cmp.Diff(first, f.out.String()); diff != "" {
		t.Errorf("the same seed gave another outcome:\n%s", diff)
	}
}

func TestGearsBacktestErrors(t *testing.T) {
	directory := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(directory, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	sample := `{"guest":"a","availability":"Single","load":{"sampledAt":"2026-11-22T00:00:00Z"}}` + "\n"
	cases := map[string]struct {
		reason string
		words  []string
		code   int
		want   string
	}{
		"NoFile":     {"-f is required", nil, exitUsage, "-f is missing"},
		"NoHistory":  {"says how to make one", []string{"--history", "nowhere.jsonl"}, exitNotFound, "write one: myriad gears record -A --to nowhere.jsonl"},
		"Empty":      {"nothing to replay", []string{"--history", write("empty.jsonl", "\n")}, exitUsage, "it holds no samples"},
		"JSON":       {"the line is told", []string{"--history", write("json.jsonl", sample+"{")}, exitUsage, "line 2: unexpected end of JSON input"},
		"Guest":      {"whose load it is", []string{"--history", write("guest.jsonl", strings.Replace(sample, `"a"`, `""`, 1))}, exitUsage, "line 1: a sample needs guest"},
		"Order":      {"time goes forward", []string{"--history", write("order.jsonl", sample+strings.Replace(sample, "2026", "2025", 1))}, exitUsage, "sample 2: it is older than the one of guest a before it"},
		"Kind":       {"how it is spread", []string{"--history", write("kind.jsonl", strings.Replace(sample, "Single", "Double", 1))}, exitUsage, `sample 1: availability "Double" is not known; use Single or Zonal`},
		"Cut":        {"compressed, and cut off", []string{"--history", write("cut.jsonl.gz", "\x1f\x8b\x08")}, exitUsage, "EOF"},
		"Both":       {"a history is not scaled", []string{"--history", historyFile, "--guests", "7"}, exitUsage, "--guests and --seed scale the samples that come with myriad"},
		"TooMany":    {"bounded", []string{"--guests", "1000000"}, exitUsage, "--guests 1000000 is out of range; use 1 to 10000"},
		"NameOutput": {"no object", []string{"-o", "name"}, exitUsage, "--output name says nothing here"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, interceptor.Funcs{})
			words := append([]string{"gears", "backtest"}, tc.words...)
			if name != "NoFile" {
				words = append(words, "-f", gearboxFile)
			}
			f.want(tc.code, words...)
			if !strings.Contains(f.err.String(), tc.want) {
				t.Errorf("%s: said %q, must contain %q", tc.reason, f.err.String(), tc.want)
			}
		})
	}
}

// recordedIn reads what 'gears record' wrote.
func recordedIn(t *testing.T, file string) []gear.Sample {
	t.Helper()
	samples, err := readHistory(file)
	if err != nil {
		t.Fatal(err)
	}
	return samples
}

func TestGearsRecord(t *testing.T) {
	for _, name := range []string{"fleet.jsonl", "fleet.jsonl.gz"} {
		g := newGeared(t)
		elsewhere := helloPlane()
		elsewhere.Name, elsewhere.Spec.ID, elsewhere.Spec.Cluster.Namespace = "k0000000ab", "k0000000ab", "team-b"
		elsewhere.Status.Load = g.plane.Status.Load
		f := newFixture(t, interceptor.Funcs{}, append(g.objects(), elsewhere)...)
		f.clock.onWait = func(wait int) {
			if wait == 3 { // the agent reports anew
				f.report(g.plane, "30")
			}
		}
		file := filepath.Join(t.TempDir(), name)
		f.want(exitOK, "gears", "record", "--for", "3m", "--every", "30s", "--to", file)
		samples := recordedIn(t, file)
		if len(samples) != 2 || samples[0].Guest != "k3x9q0v7ab" || samples[1].Load.Metrics[0].Value.Value() != 30 {
			t.Errorf("%s: each sample of the namespace once: %+v", name, samples)
		}
		if want := "2 samples of 1 clusters are written\n"; f.err.String() != want || f.clock.waits != 6 {
			t.Errorf("%s: said %q after %d waits, want %q after 6", name, f.err.String(), f.clock.waits, want)
		}
		f.want(exitConflict, "gears", "record", "--to", file)
		f.want(exitOK, "gears", "record", "-A", "--for", "0s")
		if got := bytes.Count(f.out.Bytes(), []byte("\n")); got != 2 {
			t.Errorf("-A records all namespaces: %d lines", got)
		}
	}
}

// report plays the agent: a new sample with so many nodes.
func (f *fixture) report(plane *v1alpha1.ControlPlane, nodes string) {
	f.t.Helper()
	var now v1alpha1.ControlPlane
	if err := f.hub.Get(f.t.Context(), client.ObjectKeyFromObject(plane), &now); err != nil {
		f.t.Fatal(err)
	}
	now.Status.Load = testLoad(map[v1alpha1.LoadMetricName]string{v1alpha1.LoadNodes: nodes})
	now.Status.Load.SampledAt.Time = f.clock.Now().Truncate(time.Second)
	if err := f.hub.Status().Update(f.t.Context(), &now); err != nil {
		f.t.Fatal(err)
	}
}

// TestGearsRecordInterrupted: Ctrl-C loses nothing, and the file can be read.
func TestGearsRecordInterrupted(t *testing.T) {
	g := newGeared(t)
	f := newFixture(t, interceptor.Funcs{}, g.objects()...)
	ctx, cancel := context.WithCancel(t.Context())
	f.clock.onWait = func(wait int) {
		if wait == 2 {
			cancel()
		}
	}
	file := filepath.Join(t.TempDir(), "fleet.jsonl.gz")
	if code := f.session.main(ctx, []string{"gears", "record", "--to", file}); code != exitInterrupted {
		t.Errorf("exit code %d, want %d: %s", code, exitInterrupted, f.err.String())
	}
	if samples := recordedIn(t, file); len(samples) != 1 {
		t.Errorf("%d samples, want the one that was there", len(samples))
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var sample gear.Sample
	if err := json.NewDecoder(reader).Decode(&sample); err != nil || !cmp.Equal(sample.Availability, v1alpha1.Single) {
		t.Errorf("sample %+v, error %v", sample, err)
	}
}

func TestGearsRecordOutlivesTheHub(t *testing.T) {
	down := true
	f := newFixture(t, interceptor.Funcs{
		List: func(ctx context.Context, hub client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			if down {
				return apierrors.NewServiceUnavailable("starting")
			}
			return hub.List(ctx, list, options...)
		},
	}, newGeared(t).objects()...)
	f.clock.onWait = func(wait int) { down = wait < 3 }
	f.want(exitOK, "gears", "record", "--for", "2m")
	if got := bytes.Count(f.out.Bytes(), []byte("\n")); got != 1 || !strings.Contains(f.err.String(), "the hub does not answer; asking again in 30s") {
		t.Errorf("%d samples, said %q: a hub that restarts must not end a recording", got, f.err.String())
	}
	f.want(exitUsage, "gears", "record", "--every", "10ms")
	f.want(exitUsage, "gears", "record", "--for", "-1s")
}
