package process

import (
	"context"
	"time"

	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// component is one component of a guest: what is wanted of it, its process, and how it has fared.
// Only the guest's goroutine touches it.
type component struct {
	name string
	dir  componentDir
	// spec is nil once the manifest no longer has the component.
	spec *controlplane.Component
	hash string // of spec

	process *process // nil when there is none
	record  record

	failures int       // deaths in a row
	retryAt  time.Time // when it may be started again
	// liveBehind: the last update of the live files failed.
	liveBehind bool
	// ordered: the last process ended because it was told to, and none has been ready since.
	ordered bool
	// discarding: the marker of a discard is on disk; onDiscarded are told how it ends.
	discarding  bool
	onDiscarded []chan error

	state runtime.State
	since time.Time
}

// process is a running instance of a component.
type process struct {
	handle  *handle
	spec    string // hash that it was started with
	started time.Time
	// logFrom is where in the log its own lines begin.
	logFrom int64

	ready, wasReady bool
	readySince      time.Time
	frozen          bool
	stopping        bool
	killed          bool
	killAt          time.Time
	// lost: the data directory is gone from under it.
	lost bool

	stopProbe context.CancelFunc
}

// record is what is remembered of a component across supervisors.
type record struct {
	// Restarts after deaths that nobody ordered.
	Restarts int32 `json:"restarts,omitempty"`
	// LastExit of them.
	LastExit string `json:"lastExit,omitempty"`
	// PID of the process that should run, with the boot of the host that it belongs to.
	PID int `json:"pid,omitempty"`
	// Boot is the host's boot id.
	Boot string `json:"boot,omitempty"`
	// Ready: that process has been ready, so a new supervisor takes it for ready until a probe fails.
	Ready bool `json:"ready,omitempty"`
}

// view is the component as decisions see it.
func (c *component) view() componentView {
	v := componentView{name: c.name, retryAt: c.retryAt, ordered: c.ordered, discarding: c.discarding}
	if c.spec != nil {
		v.wanted, v.after, v.member = !c.spec.Stopped, c.spec.After, c.spec.Kind == controlplane.Etcd
	}
	if p := c.process; p != nil {
		v.alive, v.current, v.lost = true, p.spec == c.hash, p.lost
		v.frozen, v.stopping, v.killAt, v.killed = p.frozen, p.stopping, p.killAt, p.killed
		v.ready, v.wasReady = p.ready, p.wasReady
	}
	return v
}

func (c *component) observation() runtime.Component {
	o := runtime.Component{
		Name: c.name, State: c.state, Since: c.since, Restarts: c.record.Restarts, LastExit: c.record.LastExit,
	}
	if p := c.process; p != nil {
		o.PID, o.Outdated = p.handle.pid, p.spec != c.hash
		if p.lost {
			o.Message = lostMessage(c.dir.data())
		}
		o.Ready = p.ready && !p.frozen && !p.stopping && !p.killed && c.state == runtime.Running
	}
	return o
}

func (c *component) setState(state runtime.State, now time.Time) {
	if c.state != state {
		c.state, c.since = state, now
	}
}

// backoff is the pause before the next start after so many deaths in a row: 0.25 s doubling to 30 s.
// The first is short, because most deaths are one of a kind and someone waits.
func (t *timing) backoff(failures int) time.Duration {
	pause := t.backoffFirst
	for range failures - 1 {
		if pause *= 2; pause >= t.backoffMost {
			return t.backoffMost
		}
	}
	return pause
}

// fail notes a death or a failed start and plans the next try.
func (c *component) fail(reason string, t *timing, now time.Time) {
	if p := c.process; p != nil && p.wasReady && now.Sub(p.readySince) >= t.healthy {
		c.failures = 0
	}
	c.failures++
	c.record.LastExit = reason
	c.retryAt = now.Add(t.backoff(c.failures))
}
