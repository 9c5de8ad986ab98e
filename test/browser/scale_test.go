package browser

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/myriad-fleet/myriad/test/scale/plots"
	"github.com/myriad-fleet/myriad/test/scale/plots/plotstest"
)

// chartsOfScale: growth, and three of each run of the largest size.
const chartsOfScale = 6 + 3*plotstest.Seeds

// TestScalePlots: nine runs of three sizes, on a phone and on a desk, light and dark.
func TestScalePlots(t *testing.T) {
	browser := newBrowser(t)
	dir := t.TempDir()
	if kept := os.Getenv("MYRIAD_KEEP_REPORTS"); kept != "" {
		dir = filepath.Join(kept, "scale")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	runs := plotstest.Runs()
	plotstest.Write(t, dir, runs...)
	if err := plots.Write(dir); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, run := range runs {
		want[fmt.Sprintf("%d/%d/broken", run.Clusters, run.Seed)] = "0"
	}
	address := (&url.URL{Scheme: "file", Path: filepath.Join(dir, "index.html")}).String()
	for _, width := range []int64{390, 1280} {
		for _, scheme := range []string{"light", "dark"} {
			name := fmt.Sprintf("%d px, %s", width, scheme)
			seen := browser.open(t, address, width, scheme)
			seen.check(t, name, want)
			if seen.Page.Charts != chartsOfScale {
				t.Errorf("%s: want %d charts, got %d", name, chartsOfScale, seen.Page.Charts)
			}
		}
	}
}
