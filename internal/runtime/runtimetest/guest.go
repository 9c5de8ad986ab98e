package runtimetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

const (
	// deadline of every wait in real time. Most take far less; a loaded machine takes longer.
	deadline = time.Minute
	poll     = 5 * time.Millisecond
	// lookFor is how long what must stay is looked at where time is real.
	lookFor = 300 * time.Millisecond
	// tick is how far a clock is advanced between two looks, patience how far it is at most for one wait: longer than
	// any of a guest's starts and restarts take.
	tick, patience = 100 * time.Millisecond, 10 * time.Minute
)

// guest of a Subject.
type guest struct {
	*testing.T
	Subject

	id       string
	manifest controlplane.Manifest
}

func (g *guest) component(i int) *controlplane.Component { return &g.manifest.Components[i] }

// of a kind, by their place in the manifest.
func (g *guest) of(kind controlplane.Kind) []int {
	var list []int
	for i := range g.manifest.Components {
		if g.component(i).Kind == kind {
			list = append(list, i)
		}
	}
	return list
}

// apply the manifest as it is now; the runtime gets a copy of its own.
func (g *guest) apply() {
	g.Helper()
	m := g.manifest
	m.Components = slices.Clone(m.Components)
	for i := range m.Components {
		m.Components[i].Env = slices.Clone(m.Components[i].Env)
	}
	if err := g.Runtime.Apply(g.Context(), m); err != nil {
		g.Fatal(err)
	}
}

func (g *guest) observe() runtime.Observation {
	g.Helper()
	o, err := g.Runtime.Observe(g.Context(), g.id)
	if err != nil {
		g.Fatal(err)
	}
	return o
}

func (g *guest) delete() {
	g.Helper()
	if err := g.Runtime.Delete(g.Context(), g.id); err != nil {
		g.Fatal(err)
	}
}

func (g *guest) hold(drills ...v1alpha1.Drill) {
	g.Helper()
	if err := g.Runtime.Hold(g.Context(), drills); err != nil {
		g.Fatal(err)
	}
}

// ready applies the manifest and waits until it is in force.
func (g *guest) ready() {
	g.Helper()
	g.apply()
	g.await("every component is ready", settled)
}

// mark changes when a component is started anew.
type mark struct {
	pid   int
	since time.Time
}

func (g *guest) marks() []mark {
	g.Helper()
	var all []mark
	for _, c := range g.observe().Components {
		all = append(all, mark{c.PID, c.Since})
	}
	return all
}

// onlyChanged checks which components were started anew, or held for a while. Of what is gone nothing is asked.
func (g *guest) onlyChanged(before []mark, want []int) {
	g.Helper()
	after := g.marks()
	for i := range after {
		if changed := before[i] != after[i]; changed != slices.Contains(want, i) {
			g.Errorf("%s: disturbed is %t, want %t (%+v became %+v)", g.component(i).Name, changed, !changed, before[i], after[i])
		}
	}
}

// noRestarts: what is ordered is not counted.
func (g *guest) noRestarts() {
	g.Helper()
	for _, c := range g.observe().Components {
		if c.Restarts != 0 || c.LastExit != "" {
			g.Errorf("%s: %d restarts are counted, the last with %q", c.Name, c.Restarts, c.LastExit)
		}
	}
}

func everyComponent(o runtime.Observation, is func(i int, c runtime.Component) bool) bool {
	for i, c := range o.Components {
		if !is(i, c) {
			return false
		}
	}
	return o.Exists && len(o.Components) > 0
}

// settled: everything runs as the manifest says.
func settled(o runtime.Observation) bool {
	return everyComponent(o, func(_ int, c runtime.Component) bool { return c.State == runtime.Running && c.Ready && !c.Outdated })
}

// isHeld tells whether a component is held if it should be, and else does its work.
func isHeld(c runtime.Component, should bool) bool {
	if should {
		return c.State == runtime.Held && !c.Ready
	}
	return c.State == runtime.Running && c.Ready
}

func (g *guest) await(what string, is func(runtime.Observation) bool) {
	g.Helper()
	g.poll(what, func() error {
		if o := g.observe(); !is(o) {
			return fmt.Errorf("the guest is %s", describe(o))
		}
		return nil
	})
}

var errNotYet = errors.New("not yet")

// poll until it is so.
func (g *guest) poll(what string, check func() error) {
	g.Helper()
	until, turns := time.Now().Add(deadline), int(patience/tick)
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for turn := 0; ; turn++ {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(until) {
			g.Fatalf("%s: it never is: %v", what, err)
		}
		if g.Advance != nil && turn < turns {
			g.Advance(tick)
		}
		if g.Advance == nil || turn >= turns || errors.Is(err, errNotYet) {
			<-ticker.C // let the others run
		}
	}
}

// stays so for a while.
func (g *guest) stays(what string, is func(runtime.Observation) bool) {
	g.Helper()
	until := time.Now().Add(lookFor)
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for turn := 0; ; turn++ {
		if o := g.observe(); !is(o) {
			g.Fatalf("%s: it does not stay so: the guest is %s", what, describe(o))
		}
		if g.Advance == nil {
			if <-ticker.C; time.Now().After(until) {
				return
			}
			continue
		}
		if g.Advance(tick); turn > int(time.Minute/tick) {
			return
		}
	}
}

func describe(o runtime.Observation) string {
	lines := []string{fmt.Sprintf("exists=%t", o.Exists)}
	for _, c := range o.Components {
		lines = append(lines, fmt.Sprintf("%s %s ready=%t outdated=%t restarts=%d %q %q", c.Name, c.State, c.Ready, c.Outdated, c.Restarts, c.LastExit, c.Message))
	}
	return strings.Join(lines, "\n  ")
}
