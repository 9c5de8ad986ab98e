package gear

import (
	"testing"
	"time"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

func TestWindowOpen(t *testing.T) {
	night := v1alpha1.MaintenanceWindow{Start: "23:00", DurationMinutes: 180}
	sunday := v1alpha1.MaintenanceWindow{Days: []string{"Sunday"}, Start: "23:00", DurationMinutes: 180}
	day := func(d, hour, minute int) time.Time { return time.Date(2026, 11, d, hour, minute, 0, 0, time.UTC) }
	for _, tc := range []struct {
		reason string
		window *v1alpha1.MaintenanceWindow
		now    time.Time
		open   bool
		until  time.Duration
	}{
		{"no window is always open", nil, start, true, 0},
		{"before it begins", &night, day(23, 22, 59), false, time.Minute},
		{"when it begins", &night, day(23, 23, 0), true, 0},
		{"after midnight", &night, day(24, 1, 59), true, 0},
		{"when it ends", &night, day(24, 2, 0), false, 21 * time.Hour},
		{"it began on Sunday, and it is Monday", &sunday, day(23, 1, 0), true, 0},
		{"on the next day until next Sunday", &sunday, day(24, 23, 0), false, 5 * 24 * time.Hour},
		{"just over, a week to go", &sunday, day(23, 2, 0), false, 6*24*time.Hour + 21*time.Hour},
		{"another zone's clock", &night, day(24, 0, 30).In(time.FixedZone("CST", 8*3600)), true, 0},
		{"what cannot be read is closed", &v1alpha1.MaintenanceWindow{Start: "25:00", DurationMinutes: 60}, start, false, 0},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			if open, until := WindowOpen(tc.window, tc.now); open != tc.open || until != tc.until {
				t.Errorf("got %v, %s", open, until)
			}
		})
	}
}
