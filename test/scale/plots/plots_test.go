package plots_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/myriad-fleet/myriad/test/bench/figures"
	"github.com/myriad-fleet/myriad/test/scale/plots"
	"github.com/myriad-fleet/myriad/test/scale/plots/plotstest"
)

// written is the page of runs. Whatever they are, it is one of ours that is whole and holds no figure that is none.
func written(t *testing.T, runs ...plots.Run) string {
	t.Helper()
	dir := t.TempDir()
	plotstest.Write(t, dir, runs...)
	if err := plots.Write(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "index.html"))
	if err != nil {
		t.Fatal(err)
	}
	html := string(text)
	for _, foreign := range []string{"NaN", "Inf", "<script", "http://", "https://", "@import", "url(", "ZgotmplZ"} {
		if strings.Contains(html, foreign) {
			t.Errorf("the page holds %q", foreign)
		}
	}
	if !strings.HasSuffix(html, "</html>\n") {
		t.Error("the page is not whole")
	}
	return html
}

func TestWriteNamesFiguresAndPhases(t *testing.T) {
	run := plotstest.Run(3000, 2)
	html := written(t, plotstest.Run(1000, 1), run)
	for _, part := range []string{"hub", "etcd", "kube-apiserver", "agents"} {
		for _, name := range []string{"CPU of " + part + " to take a cluster in", "memory of " + part + " per cluster", part + " idle", part + " idle, memory"} {
			if !strings.Contains(html, "<td>"+name+"</td>") {
				t.Errorf("the page does not name %q", name)
			}
		}
	}
	for _, name := range []string{"binds, sustained", "create to Ready beyond the simulated start, p50", "create to Ready beyond the simulated start, p99"} {
		if !strings.Contains(html, "<td>"+name+"</td>") {
			t.Errorf("the page does not name %q", name)
		}
	}
	for _, phase := range run.Phases {
		if !strings.Contains(html, "<em>"+phase.Name+"</em>") {
			t.Errorf("the page does not name the phase %q", phase.Name)
		}
	}
	if got := strings.Count(html, "<section "); got != 1 {
		t.Errorf("want the largest run over time, got %d runs", got)
	}
}

// TestWriteLacking: what a run lacks is left out, and the rest is there.
func TestWriteLacking(t *testing.T) {
	const p99 = "create to Ready beyond the simulated start, p99"
	tests := []struct {
		reason string
		change func(*plots.Run)
		charts int // beside a run that lacks nothing, of the same size
		want   string
	}{
		{"a run that lacks nothing", func(*plots.Run) {}, 6 + 2*3, p99},
		{"a run without samples", func(r *plots.Run) { r.Samples = nil }, 6 + 3, "The run kept no samples."},
		{"a run without phases", func(r *plots.Run) { r.Phases = nil }, 6 + 2*3, p99},
		{"a run whose figure has no name", func(r *plots.Run) { r.Figures[2].Name = "" }, 6 + 2*3, p99},
		{"a run without figures", func(r *plots.Run) { r.Figures = nil }, 6 + 2*3, p99},
		{"a run of which nothing is known", func(r *plots.Run) { *r = plots.Run{Clusters: r.Clusters, Seed: r.Seed} }, 6 + 3, p99},
		{"a run that ended at once", func(r *plots.Run) {
			r.Samples, r.Phases = []plots.Sample{{}}, []plots.Phase{{Name: "empty"}}
		}, 6 + 3, "The run kept no samples."},
		{"a run of one sample", func(r *plots.Run) { r.Samples = r.Samples[:1] }, 6 + 2*3, p99},
		{"figures that are all nothing", func(r *plots.Run) {
			for i := range r.Figures {
				r.Figures[i].Value = 0
			}
		}, 6 + 2*3, p99},
		{"figures below nothing", func(r *plots.Run) {
			for i := range r.Figures {
				r.Figures[i].Value = -3
			}
		}, 6 + 2*3, "(−3\u00a0to\u00a0"},
		{"a name that is HTML", func(r *plots.Run) {
			r.Phases[0].Name, r.Problems = "<script>alert(1)</script>", []string{"<script>alert(2)</script>"}
		}, 6 + 2*3, "&lt;script&gt;alert(2)"},
	}
	for _, test := range tests {
		t.Run(test.reason, func(t *testing.T) {
			run := plotstest.Run(1000, 1)
			test.change(&run)
			html := written(t, run, plotstest.Run(1000, 2))
			if got := strings.Count(html, `class="graph"`); got != test.charts {
				t.Errorf("want %d charts, got %d", test.charts, got)
			}
			if !strings.Contains(html, test.want) {
				t.Errorf("the page lacks %q", test.want)
			}
		})
	}
}

func TestWriteNothing(t *testing.T) {
	if html := written(t); !strings.Contains(html, "No run was recorded yet.") {
		t.Error("the page does not say that there is no run")
	}
	html := written(t, plots.Run{Clusters: 5, Figures: []figures.Result{{}}})
	if got := strings.Count(html, "No run has these figures."); got != 6 {
		t.Errorf("want 6 charts that say that there are no figures, got %d", got)
	}
}

func TestWriteCountsBrokenPromises(t *testing.T) {
	tests := []struct {
		reason   string
		problems int
		figures  []figures.Result
		want     string
	}{
		{"the figure counts more than are kept", 1, []figures.Result{figures.Bound("promises broken", "", 120, 0)}, ">120</td>"},
		{"without the figure those that are kept count", 2, nil, ">2</td>"},
	}
	for _, test := range tests {
		run := plots.Run{Clusters: 7, Seed: 1, Figures: test.figures, Problems: slices.Repeat([]string{"a broken promise"}, test.problems)}
		html := written(t, run)
		if !strings.Contains(html, `data-key="7/1/broken"`+test.want) {
			t.Errorf("%s: the table lacks %s", test.reason, test.want)
		}
		if got := strings.Count(html, "<li>a broken promise</li>"); got != test.problems {
			t.Errorf("%s: want %d listed, got %d", test.reason, test.problems, got)
		}
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	if runs, err := plots.Read(filepath.Join(dir, "missing")); err != nil || len(runs) > 0 {
		t.Errorf("of a directory that there is not want no runs, got %d, %v", len(runs), err)
	}
	// By name 10000-10 comes before 10000-9, and 10000 before 3000.
	want := []plots.Run{plotstest.Run(3000, 1), plotstest.Run(10000, 9), plotstest.Run(10000, 10)}
	plotstest.Write(t, dir, want[2], want[0], want[1])
	got, err := plots.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("runs: -want +got\n%s", diff)
	}
	file := filepath.Join(dir, "3000-2.json")
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := plots.Read(dir); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("want an error that names %s, got %v", file, err)
	}
}
