package e2e

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestZoneFailure fails the zones of a Zonal guest in turn under load. Nothing that was acknowledged
// may be lost, writes must be back in time, and the zone must heal by itself.
func TestZoneFailure(t *testing.T) {
	const killBudget, hangBudget = 5 * time.Second, 10 * time.Second
	cases := []struct {
		zone, mode string
		budget     time.Duration
	}{
		{"a", "kill", killBudget},
		{"b", "kill", killBudget},
		{"c", "kill", killBudget},
		{"a", "hang", hangBudget},
		{"b", "hang", hangBudget},
		{"c", "hang", hangBudget},
	}
	for i, tc := range cases {
		t.Run(tc.mode+"-"+tc.zone, func(t *testing.T) {
			g := steadyGuest(t)
			inZone := g.inZone(t, tc.zone)
			t.Cleanup(func() { g.hold(t, tc.zone, "") })
			run := g.load(t, uint64(100+i))
			quiet(t, run)
			run.Mark("fail")
			g.hold(t, tc.zone, tc.mode)
			if alive := g.inZone(t, tc.zone); len(alive) > 0 {
				t.Errorf("zone %s is held, yet these run: %v", tc.zone, alive)
			}
			quiet(t, run)
			run.Mark("restore")
			g.hold(t, tc.zone, "")
			eventually(t, healBudget, "the zone's components to run", func(context.Context) (string, bool) {
				alive := g.inZone(t, tc.zone)
				return fmt.Sprint(alive), slices.Equal(alive, inZone)
			})
			g.healthy(t, nil)
			quiet(t, run)

			report := stop(t, run)
			if err := report.Consistent(); err != nil {
				t.Error(err)
			}
			for _, mark := range report.Marks {
				if mark.WritesBackSeconds > tc.budget.Seconds() {
					t.Errorf("after %q writes are back within %.1fs, want %s", mark.Name, mark.WritesBackSeconds, tc.budget)
				}
			}
		})
	}
}
