// Package runtimetest holds what every runtime must do with a guest, as one suite.
package runtimetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// Runtime is what the suite is about.
type Runtime interface {
	Guests
	Faults
}

// Guests come and go.
type Guests interface {
	Apply(ctx context.Context, m controlplane.Manifest) error
	Observe(ctx context.Context, id string) (runtime.Observation, error)
	Delete(ctx context.Context, id string) error
	Watch(ctx context.Context) (<-chan string, error)
}

// Faults that people order.
type Faults interface {
	Hold(ctx context.Context, drills []v1alpha1.Drill) error
	Discard(ctx context.Context, id, component string) error
}

// Subject is a runtime without guests, and what the suite needs to work with it.
type Subject struct {
	Runtime Runtime
	// Manifest makes the resolved manifest of a new guest: Zonal, in zones a, b and c, with the instances of
	// controlplane.Instances, which start after each other as controlplane.Render has them.
	Manifest func(t *testing.T, id string) controlplane.Manifest
	// Advance the runtime's clock; nil: its time is real.
	Advance func(time.Duration)
	// Modes of drills that it can do.
	Modes []v1alpha1.DrillMode
}

// Lifecycle runs the suite. Each part gets a Subject of its own.
func Lifecycle(t *testing.T, newSubject func(t *testing.T) Subject) {
	t.Helper()
	for _, part := range []struct {
		name string
		run  func(*guest)
	}{
		{"Create", create},
		{"ApplyAgain", applyAgain},
		{"Change", change},
		{"Resize", resize},
		{"Drop", drop},
		{"Freeze", freeze},
		{"Drill", drill},
		{"Discard", discard},
		{"Delete", deletion},
		{"Watch", watch},
		{"WatchAnew", watchAnew},
	} {
		t.Run(part.name, func(t *testing.T) {
			subject := newSubject(t)
			part.run(&guest{T: t, Subject: subject, id: "guest", manifest: subject.Manifest(t, "guest")})
		})
	}
}

// create: components become ready, none before what it starts after.
func create(g *guest) {
	g.apply()
	g.await("every component is ready, in turn", func(o runtime.Observation) bool {
		for i, c := range o.Components {
			for _, name := range g.manifest.Components[i].After {
				if needed, _ := o.Component(name); c.State == runtime.Running && needed.State != runtime.Running {
					g.Fatalf("%s runs and %s, which it starts after, is %s", c.Name, name, needed.State)
				}
			}
		}
		return settled(o)
	})
	var names []string
	for _, c := range g.observe().Components {
		names = append(names, c.Name)
		if c.Restarts != 0 || c.LastExit != "" || c.Message != "" || c.Since.IsZero() {
			g.Errorf("a new component is %+v", c)
		}
	}
	var want []string
	for _, c := range g.manifest.Components {
		want = append(want, c.Name)
	}
	if diff := cmp.Diff(want, names); diff != "" {
		g.Errorf("components (-want +got):\n%s", diff)
	}
}

// applyAgain: the same manifest changes nothing.
func applyAgain(g *guest) {
	g.ready()
	before := g.observe()
	g.apply()
	g.stays("all as before", func(o runtime.Observation) bool { return cmp.Equal(before, o) })
}

// change: what has changed restarts in turn, and nothing else does.
func change(g *guest) {
	g.ready()
	before := g.marks()
	changed := g.of(controlplane.APIServer)
	for _, i := range changed {
		g.component(i).Env = append(g.component(i).Env, "CHANGED=1")
	}
	g.apply()
	if now := g.observe(); g.Advance != nil && settled(now) { // in real time it may be done by now
		g.Errorf("the change was only just asked for, and is in force: %s", describe(now))
	}
	g.await("the change is in force", func(o runtime.Observation) bool {
		var down []string
		for _, i := range changed {
			if c := o.Components[i]; !c.Ready {
				down = append(down, c.Name)
			}
		}
		if len(down) > 1 {
			g.Fatalf("more than one restarts at once: %q: %s", down, describe(o))
		}
		return settled(o)
	})
	g.onlyChanged(before, changed)
}

// resize: a changed size restarts nothing.
func resize(g *guest) {
	g.ready()
	before := g.marks()
	for i := range g.manifest.Components {
		size := &g.component(i).Size
		size.Memory.Add(size.Memory)
		size.CPU.Add(size.CPU)
	}
	g.apply()
	g.await("the sizes are in place", settled)
	g.onlyChanged(before, nil)
}

// drop: components that the manifest no longer has vanish, and come back with it.
func drop(g *guest) {
	g.ready()
	before, whole := g.marks(), g.manifest
	last := len(whole.Components) - 1
	g.manifest.Components = slices.Clone(whole.Components[:last])
	g.apply()
	g.await("the last component has vanished", func(o runtime.Observation) bool { return settled(o) && len(o.Components) == last })
	g.onlyChanged(before, nil)
	g.manifest = whole
	g.ready()
}

// freeze: stopped components are held, and the others go on; once they are not stopped all is as before.
func freeze(g *guest) {
	g.ready()
	before := g.marks()
	var stopped []int
	for i := range g.manifest.Components {
		if g.component(i).Kind != controlplane.Etcd {
			g.component(i).Stopped = true
			stopped = append(stopped, i)
		}
	}
	held := func(o runtime.Observation) bool {
		return everyComponent(o, func(i int, c runtime.Component) bool { return isHeld(c, slices.Contains(stopped, i)) })
	}
	g.apply()
	g.await("the stopped components are held, the others ready", held)
	g.stays("held", held)
	for _, i := range stopped {
		g.component(i).Stopped = false
	}
	g.ready()
	g.onlyChanged(before, stopped)
	g.noRestarts()
}

// drill: all of a zone is held while a drill is in force, and the others go on.
func drill(g *guest) {
	g.ready()
	for _, mode := range g.Modes {
		before := g.marks()
		var zone []int
		for i := range g.manifest.Components {
			if g.component(i).Zone == "b" {
				zone = append(zone, i)
			}
		}
		held := func(o runtime.Observation) bool {
			return everyComponent(o, func(i int, c runtime.Component) bool { return isHeld(c, slices.Contains(zone, i)) })
		}
		g.hold(v1alpha1.Drill{Zone: "b", Mode: mode})
		g.await(fmt.Sprintf("zone b is held (%s)", mode), held)
		g.stays("held", held)
		g.hold()
		g.await("all are ready again", settled)
		g.onlyChanged(before, zone)
		g.noRestarts()
	}
}

// discard: the component starts anew, the others stay. What does not exist cannot be discarded.
func discard(g *guest) {
	g.ready()
	before := g.marks()
	member := g.of(controlplane.Etcd)[1]
	if err := g.Runtime.Discard(g.Context(), g.id, g.component(member).Name); err != nil {
		g.Fatal(err)
	}
	g.await("the member is back", settled)
	g.onlyChanged(before, []int{member})
	g.noRestarts()
	for _, what := range [][2]string{{g.id, "etcd-z"}, {"nobody", "etcd-a"}} {
		if err := g.Runtime.Discard(g.Context(), what[0], what[1]); err == nil || !strings.Contains(err.Error(), what[0]) {
			g.Errorf("discarding %s of %s, which does not exist: %v", what[1], what[0], err)
		}
	}
}

// deletion leaves nothing, may be asked for again, and the guest may come back.
func deletion(g *guest) {
	if o := g.observe(); o.Exists || len(o.Components) > 0 {
		g.Errorf("a guest that was never made: %+v", o)
	}
	g.ready()
	for range 2 {
		g.delete()
		if o := g.observe(); o.Exists || len(o.Components) > 0 {
			g.Errorf("observed after it was deleted: %+v", o)
		}
	}
	g.ready()
	g.delete()
	g.apply()
	g.delete() // while it starts
	g.stays("gone", func(o runtime.Observation) bool { return !o.Exists })
}
