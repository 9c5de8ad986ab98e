package heartbeat

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clocktesting "k8s.io/utils/clock/testing"
)

type fakeHub struct {
	err         error
	reconnected int
}

func (f *fakeHub) Reconnect() { f.reconnected++ }

func (f *fakeHub) RenewLease(context.Context, string, time.Time, time.Duration) error { return f.err }

// TestLog: each change of the connection is one line, however many beats it lasts.
func TestLog(t *testing.T) {
	leases := schema.GroupResource{Resource: "leases"}
	forbidden := apierrors.NewForbidden(leases, "agent", errors.New("no binding"))
	away := errors.New("connection refused")
	beats := []struct {
		reason string
		err    error
		want   string
	}{
		{"the first beat is no news", nil, ""},
		{"the hub goes", away, "cannot be reached"},
		{"it is still gone", away, ""},
		{"it comes back", nil, "answers again"},
		{"two processes wrote at once", apierrors.NewConflict(leases, "agent", nil), ""},
		{"the agent was revoked", forbidden, "run 'myriad up'"},
		{"it still is", forbidden, ""},
		{"its certificate has expired as well", apierrors.NewUnauthorized("expired"), ""},
		{"it joined again", nil, "answers again"},
	}
	var log bytes.Buffer
	hub := &fakeHub{}
	heart := &Heart{
		Hub: hub, Clock: clocktesting.NewFakeClock(time.Now()), Log: slog.New(slog.NewTextHandler(&log, nil)),
	}
	for _, beat := range beats {
		log.Reset()
		hub.err = beat.err
		heart.beat(t.Context())
		got := log.String()
		if (beat.want == "") != (got == "") || !strings.Contains(got, beat.want) || strings.Count(got, "\n") > 1 {
			t.Errorf("%s: logged %q, want %q", beat.reason, got, beat.want)
		}
	}
	if hub.reconnected != 3 {
		t.Errorf("tried %d times with new connections after 3 refusals", hub.reconnected)
	}
}
