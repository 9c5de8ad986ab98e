// Package heartbeat renews the Lease by which the hub knows that the cell's agent lives, and says in
// the log when the hub goes away, comes back, or refuses the agent.
package heartbeat

import (
	"context"
	"log/slog"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
)

const (
	// Interval between two renewals.
	Interval = 10 * time.Second
	// lifetime of the Lease: three renewals may fail in a row.
	lifetime = 4 * Interval
	// retry is the pause after a renewal that failed.
	retry = 2 * time.Second
)

// Hub takes the renewals.
type Hub interface {
	RenewLease(ctx context.Context, holder string, now time.Time, lifetime time.Duration) error
	// Reconnect ends all connections: the next ones use the certificate that is on disk by then.
	Reconnect()
}

// state of the connection to the hub, as last logged.
type state string

const (
	unknown state = ""
	good    state = "good"
	away    state = "away"
	refused state = "refused"
)

// Heart renews one Lease.
type Heart struct {
	Hub Hub
	// Holder names this process, for people who read the Lease.
	Holder string
	Clock  clock.Clock
	Log    *slog.Logger

	last state
}

// Run renews the Lease until the context ends.
func (h *Heart) Run(ctx context.Context) {
	for {
		pause := Interval
		if h.beat(ctx) != good {
			pause = retry
		}
		select {
		case <-ctx.Done():
			return
		case <-h.Clock.After(pause):
		}
	}
}

func (h *Heart) beat(ctx context.Context) state {
	err := h.Hub.RenewLease(ctx, h.Holder, h.Clock.Now(), lifetime)
	if ctx.Err() != nil || apierrors.IsConflict(err) {
		return h.last
	}
	now := classify(err)
	if now == refused {
		h.Hub.Reconnect() // somebody may have put another certificate there
	}
	if now == h.last {
		return now
	}
	switch {
	case now == refused:
		h.Log.Error("the hub refuses this agent: its certificate was revoked or has expired, or its cell is not registered; "+
			"its guests keep running; run 'myriad up' to have it join again", "error", err)
	case now == away:
		h.Log.Warn("the hub cannot be reached; the guests keep running by their orders on disk", "error", err)
	case h.last != unknown:
		h.Log.Info("the hub answers again")
	}
	h.last = now
	return now
}

func classify(err error) state {
	switch {
	case err == nil:
		return good
	case apierrors.IsUnauthorized(err), apierrors.IsForbidden(err):
		return refused
	default:
		return away
	}
}
