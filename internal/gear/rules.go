package gear

import (
	"time"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// rules are a GearShifting with its defaults, in Go's units.
type rules struct {
	enter, leave                        int32
	up, down, tuningDown, window, stale time.Duration
	health                              time.Duration
	moves                               int
}

// rulesOf fills in the defaults: those of the API, which are those of Default.
func rulesOf(s v1alpha1.GearShifting) rules {
	standard := defaultShifting()
	number := func(n, other int32) int32 {
		if n > 0 {
			return n
		}
		return other
	}
	delay := func(n, other *int32) time.Duration {
		if n == nil {
			n = other
		}
		return time.Duration(max(0, *n)) * time.Second
	}
	return rules{
		enter:      number(s.EnterPercent, standard.EnterPercent),
		leave:      number(s.LeavePercent, standard.LeavePercent),
		up:         delay(s.UpDelaySeconds, standard.UpDelaySeconds),
		down:       delay(s.DownDelaySeconds, standard.DownDelaySeconds),
		tuningDown: delay(s.TuningDownDelaySeconds, standard.TuningDownDelaySeconds),
		window:     time.Duration(number(s.WindowSeconds, standard.WindowSeconds)) * time.Second,
		stale:      time.Duration(number(s.StaleSeconds, standard.StaleSeconds)) * time.Second,
		health:     time.Duration(number(s.HealthSeconds, standard.HealthSeconds)) * time.Second,
		moves:      min(maxMoves, int(number(s.Moves, standard.Moves))),
	}
}
