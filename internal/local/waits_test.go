package local

import (
	"testing"

	"github.com/myriad-fleet/myriad/internal/runtime"
)

func TestUnready(t *testing.T) {
	cases := map[string]struct {
		reason   string
		seen     runtime.Observation
		missing  string
		hopeless bool
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
		"Hopeless": {
			reason: "what has died five times does not come up by waiting",
			seen: runtime.Observation{Exists: true, Components: []runtime.Component{
				{Name: "etcd-a", State: runtime.BackOff, Restarts: hopelessRestarts},
			}},
			missing:  "etcd-a is BackOff",
			hopeless: true,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			missing, hopeless := unready(c.seen)
			if missing != c.missing || hopeless != c.hopeless {
				t.Errorf("%s: got %q, %v; want %q, %v", c.reason, missing, hopeless, c.missing, c.hopeless)
			}
		})
	}
}
