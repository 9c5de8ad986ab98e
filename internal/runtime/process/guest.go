package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// host is what all guests of one supervisor share.
type host struct {
	dir      string
	boot     string // the host's boot id
	programs Programs
	clock    clock.Clock
	log      *slog.Logger
	timing   timing
	pacer    *pacer
	changes  *changes
	// write replaces a file atomically.
	write func(path string, data []byte) error
	// removeAll is os.RemoveAll.
	removeAll func(path string) error
	// release gives a deleted guest's addresses back.
	release func(id string) error
}

var errGone = errors.New("the guest has just been deleted")

// guest runs one control plane. One goroutine owns it: what happens (requests, deaths, probes, slots)
// comes as functions through mail, and after each one it decides anew what to do.
type guest struct {
	*host
	id   string
	dir  string
	mail chan func()
	// loaded is closed when the goroutine has first decided, ended when it has returned.
	loaded, ended chan struct{}
	// life ends with the goroutine; probers live in it.
	life context.Context

	manifest   *controlplane.Manifest // nil before the first Apply, or when it cannot be read
	raw        []byte                 // of manifest
	components []*component           // in the manifest's order, then those dropped from it
	drills     map[string]v1alpha1.DrillMode
	halted     bool // by Client.Stop
	deleting   bool
	finished   bool
	onDeleted  []chan error
	onHalted   []chan struct{}

	leaveQueue  func() // while waiting for a slot
	releaseSlot func() // while holding one
	slotUntil   time.Time
	unpaced     bool
	rollUntil   time.Time
	maintainAt  time.Time

	mu       sync.Mutex
	observed runtime.Observation
}

func newGuest(h *host, id string, drills map[string]v1alpha1.DrillMode) *guest {
	return &guest{
		host: h, id: id, dir: filepath.Join(h.dir, guestsDir, id), drills: drills,
		mail: make(chan func()), loaded: make(chan struct{}), ended: make(chan struct{}),
	}
}

// run is the guest's goroutine; running are the processes that an earlier supervisor left. When ctx
// is done it returns and leaves the processes running.
func (g *guest) run(ctx context.Context, running []found) {
	life, end := context.WithCancel(ctx)
	g.life = life
	defer func() {
		end()
		g.dropSlot()
		for _, c := range g.components {
			g.detach(c)
		}
		close(g.ended)
	}()
	g.load(running)
	wake := g.reconcile()
	close(g.loaded)
	for ; !g.finished; wake = g.reconcile() {
		timer := g.clock.NewTimer(max(0, wake.Sub(g.clock.Now())))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case f := <-g.mail:
			f()
		case <-timer.C():
		}
		timer.Stop()
	}
}

// post hands f to the guest's goroutine; false when that has returned.
func (g *guest) post(f func()) bool {
	select {
	case g.mail <- f:
		return true
	case <-g.ended:
		return false
	}
}

// do has the guest's goroutine run f and waits for it.
func (g *guest) do(ctx context.Context, f func(*guest)) error {
	done := make(chan struct{})
	if !g.post(func() { f(g); close(done) }) {
		return errGone
	}
	select {
	case <-done:
		return nil
	case <-g.ended:
		return errGone
	case <-ctx.Done():
		return ctx.Err()
	}
}

// isDeleted tells whether the guest was deleted to the end: nothing of it is left, and nobody serves it.
func (g *guest) isDeleted() bool {
	select {
	case <-g.ended:
		return g.finished
	default:
		return false
	}
}

// reconcile decides and acts until there is nothing to do, and returns when to look again.
func (g *guest) reconcile() time.Time {
	g.maintain()
	// Each action changes what the next decision sees; a failed one moves retryAt, so this ends.
	var p plan
	for acted := true; acted; {
		view := g.view()
		p = decide(&view)
		acted = g.carryOut(&p)
	}
	g.forgetDropped()
	g.finish()
	g.publish()
	p.wakeAt(g.maintainAt)
	return p.wake
}

func (g *guest) view() guestView {
	v := guestView{
		now: g.clock.Now(), deleting: g.deleting, unpaced: g.unpaced || !g.pacer.enabled(),
		slot: g.releaseSlot != nil, slotUntil: g.slotUntil, rollUntil: g.rollUntil,
	}
	for _, c := range g.components {
		cv := c.view()
		switch {
		case g.deleting || g.halted:
			cv.wanted = false
		case g.manifest == nil:
			// Nobody knows what is wanted: what runs keeps running until a manifest comes.
			cv.wanted, cv.current, cv.lost, cv.discarding = cv.alive, true, false, false
		}
		if c.spec != nil && c.spec.Zone != "" {
			cv.drill = g.drills[c.spec.Zone]
		}
		v.components = append(v.components, cv)
	}
	return v
}

// carryOut acts on a plan and tells whether anything was done.
func (g *guest) carryOut(p *plan) bool {
	acted, healthy := false, len(p.steps) > 0
	for i, step := range p.steps {
		c := g.components[i]
		c.setState(step.state, g.clock.Now())
		healthy = healthy && (step.state == runtime.Running || step.state == runtime.Held)
		if step.action != leave {
			g.act(c, step.action)
			acted = true
		}
	}
	switch {
	case p.needSlot && g.leaveQueue == nil:
		g.leaveQueue = g.pacer.join(g.granted)
	case !p.needSlot && g.leaveQueue != nil:
		g.leaveQueue()
		g.leaveQueue = nil
	}
	if p.dropSlot {
		g.dropSlot()
	}
	if healthy {
		g.unpaced = false
	}
	return acted
}

// granted is called by the pacer.
func (g *guest) granted(release func()) bool {
	return g.post(func() {
		if g.leaveQueue == nil { // no longer needed
			release()
			return
		}
		g.leaveQueue = nil
		g.releaseSlot, g.slotUntil = release, g.clock.Now().Add(g.timing.slot)
	})
}

// dropSlot gives the slot back. A guest that could not use it starts without from now on, so that
// it does not take the slots of others again and again.
func (g *guest) dropSlot() {
	if g.leaveQueue != nil {
		g.leaveQueue()
		g.leaveQueue = nil
	}
	if g.releaseSlot != nil {
		g.releaseSlot()
		g.releaseSlot, g.unpaced = nil, true
	}
}

// maintain does what is due now and then: logs are rotated, live files caught up with.
func (g *guest) maintain() {
	now := g.clock.Now()
	if now.Before(g.maintainAt) {
		return
	}
	g.maintainAt = now.Add(g.timing.maintain)
	for _, c := range g.components {
		if err := rotateLog(c.dir.log(), g.timing.logBytes); err != nil {
			g.log.Warn("log not kept", "guest", g.id, "component", c.name, "error", err)
		}
		if c.liveBehind && c.spec != nil && c.process != nil {
			g.writeLive(c)
		}
	}
}

// publish makes the observation that others read, and tells watchers when it has changed.
func (g *guest) publish() {
	o := runtime.Observation{Exists: !g.finished && (g.deleting || g.manifest != nil || len(g.components) > 0)}
	for _, c := range g.components {
		if c.spec != nil {
			o.Components = append(o.Components, c.observation())
		}
	}
	g.mu.Lock()
	changed := o.Exists != g.observed.Exists || !slices.Equal(o.Components, g.observed.Components)
	g.observed = o
	g.mu.Unlock()
	if changed {
		g.changes.notify(g.id)
	}
}

func (g *guest) observe() runtime.Observation {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.observed
}

// apply makes m what is wanted; it returns once m is on disk.
func (g *guest) apply(m *controlplane.Manifest) error {
	if g.deleting {
		return fmt.Errorf("guest %s is being deleted: delete it to the end first", g.id)
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encoding the manifest of guest %s: %w", g.id, err)
	}
	if g.manifest != nil && slices.Equal(raw, g.raw) {
		return nil
	}
	if err := os.MkdirAll(g.dir, dirMode); err != nil {
		return fmt.Errorf("making the directory of guest %s: %w", g.id, err)
	}
	if err := g.write(filepath.Join(g.dir, manifestFile), raw); err != nil {
		_ = os.Remove(g.dir) // only goes when it is empty: a guest that never was leaves nothing
		return fmt.Errorf("writing the manifest of guest %s (the last one stays in force): %w", g.id, err)
	}
	g.adopt(m, raw)
	return nil
}

// adopt makes m what is wanted in memory.
func (g *guest) adopt(m *controlplane.Manifest, raw []byte) {
	old := g.components
	g.manifest, g.raw, g.components = m, raw, nil
	g.rollUntil = g.clock.Now().Add(g.timing.roll)
	for i := range m.Components {
		spec := &m.Components[i]
		var c *component
		if at := slices.IndexFunc(old, func(o *component) bool { return o.name == spec.Name }); at >= 0 {
			c = old[at]
			old = slices.Delete(old, at, at+1)
		} else {
			c = g.newComponent(spec.Name)
		}
		g.setSpec(c, spec)
		g.components = append(g.components, c)
	}
	for _, c := range old {
		c.spec = nil
		g.components = append(g.components, c)
	}
}

func (g *guest) newComponent(name string) *component {
	c := &component{name: name, dir: componentDir(filepath.Join(g.dir, name))}
	if _, err := readJSON(c.dir.record(), &c.record); err != nil {
		// Only a count is lost.
		g.log.Warn("restarts are counted from zero", "guest", g.id, "component", name, "error", err)
	}
	c.discarding = c.dir.marked()
	return c
}

func (g *guest) setSpec(c *component, spec *controlplane.Component) {
	hash := specHash(spec)
	if hash != c.hash { // a new try deserves no old pause
		c.failures, c.retryAt = 0, time.Time{}
	}
	reprobe := c.spec == nil || !equalProbe(c.spec.Probe, spec.Probe)
	c.spec, c.hash = spec, hash
	if c.process == nil {
		return
	}
	g.writeLive(c)
	if reprobe && c.process.spec == hash {
		g.startProbe(c)
	}
}

// writeLive updates the live files of a running component; what fails is tried again later.
func (g *guest) writeLive(c *component) {
	err := writeFiles(c.spec, c.dir, true, g.write)
	c.liveBehind = err != nil
	if err != nil {
		g.log.Error("live files not updated, trying again", "guest", g.id, "component", c.name, "error", err)
	}
}

func equalProbe(a, b *controlplane.Probe) bool {
	return a == b || a != nil && b != nil && *a == *b
}
