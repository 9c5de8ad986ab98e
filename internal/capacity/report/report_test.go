package report_test

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/myriad-fleet/myriad/internal/capacity"
	"github.com/myriad-fleet/myriad/internal/capacity/capacitytest"
	"github.com/myriad-fleet/myriad/internal/capacity/report"
)

var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func TestCapacity(t *testing.T) {
	fleet := capacity.FleetOf(capacitytest.Objects(capacitytest.Small(now)))
	found := capacity.CapacityOf(fleet, "", nil, capacity.Options{Now: now, Days: 365, Runs: 20, Seed: 1, Drift: capacity.DefaultDrift()})
	found.Regions[0].Cells[0].Closed = `<script>alert("x")</script>`
	var page bytes.Buffer
	if err := report.Capacity(&page, found); err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("REPORT_DIR"); dir != "" {
		_ = os.WriteFile(dir+"/small.html", page.Bytes(), 0o600)
	}
	for _, foreign := range []string{"<script", "http://", "https://", "@import", "url(", "ZgotmplZ"} {
		if strings.Contains(page.String(), foreign) {
			t.Errorf("the page holds %q", foreign)
		}
	}
}
