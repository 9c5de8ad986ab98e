package gear

import (
	"slices"
	"time"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// WindowOpen tells whether a maintenance window is open, and otherwise how long until it is. No window is
// always open; one whose start cannot be read never is, and until is then 0.
func WindowOpen(window *v1alpha1.MaintenanceWindow, now time.Time) (open bool, until time.Duration) {
	if window == nil {
		return true, 0
	}
	start, err := time.Parse("15:04", window.Start)
	if err != nil {
		return false, 0
	}
	now = now.UTC()
	length := time.Duration(window.DurationMinutes) * time.Minute
	// A window of yesterday may reach into today; one that begins on one day of the week begins again
	// within seven days.
	for day := -1; day <= 7; day++ {
		begin := time.Date(now.Year(), now.Month(), now.Day()+day, start.Hour(), start.Minute(), 0, 0, time.UTC)
		if len(window.Days) > 0 && !slices.Contains(window.Days, begin.Weekday().String()) {
			continue
		}
		if now.Before(begin) {
			return false, begin.Sub(now)
		}
		if now.Before(begin.Add(length)) {
			return true, 0
		}
	}
	return false, 0
}
