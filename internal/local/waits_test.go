package local

import (
	"testing"

	"github.com/myriad-fleet/myriad/internal/runtime"
)

func TestUnready(t *testing.T) {
	cases := map[string]struct {
		reason  string
		seen    runtime.Observation
		missing string
	}{
		"Nothing": {
			reason:  "a manifest that was just applied has no processes yet",
			seen:    runtime.Observation{},
			missing: "nothing runs yet",
		},
		"Ready": {
			reason: "components that are ready are not named",
			seen:   runtime.Observation{Exists: true, Components: []runtime.Component{{Name: "etcd-a", Ready: true}}},
		},
		"Dying": {
			reason: "its last words tell a person what to mend",
			seen: runtime.Observation{Exists: true, Components: []runtime.Component{
				{Name: "etcd-a", State: runtime.BackOff, Restarts: 1, LastExit: "exit status 1: address already in use"},
			}},
			missing: "etcd-a is BackOff (exit status 1: address already in use)",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if missing := unready(c.seen); missing != c.missing {
				t.Errorf("%s: got %q, want %q", c.reason, missing, c.missing)
			}
		})
	}
}

func TestHopeless(t *testing.T) {
	dying := func(restarts int32) runtime.Observation {
		return runtime.Observation{Exists: true, Components: []runtime.Component{{Name: "hub", State: runtime.BackOff, Restarts: restarts}}}
	}
	var seen deaths
	if seen.hopeless(dying(100)) {
		t.Error("deaths of days ago say nothing about this wait")
	}
	if seen.hopeless(dying(100 + hopelessRestarts - 1)) {
		t.Error("a few deaths, while the hub restarts, mend themselves")
	}
	if !seen.hopeless(dying(100 + hopelessRestarts)) {
		t.Error("what dies again and again does not come up by waiting")
	}
}
