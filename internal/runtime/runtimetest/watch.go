package runtimetest

import (
	"context"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// watch tells of each change of a guest, until all is as it should be.
func watch(g *guest) {
	ids := g.watch(g.Context())
	g.apply()
	g.follow(ids, "all are ready", settled)
	g.apply() // may be told of, and changes nothing
	for _, step := range []struct {
		what string
		do   func()
		is   func(runtime.Observation) bool
	}{
		{"a change is in force", func() {
			last := g.component(len(g.manifest.Components) - 1)
			last.Env = append(last.Env, "CHANGED=1")
			g.apply()
		}, settled},
		{"a zone is held", func() { g.hold(v1alpha1.Drill{Zone: "b", Mode: v1alpha1.DrillKill}) }, func(o runtime.Observation) bool {
			return everyComponent(o, func(i int, c runtime.Component) bool { return isHeld(c, g.component(i).Zone == "b") })
		}},
		{"the zone is back", func() { g.hold() }, settled},
		{"a member is back", func() {
			if err := g.Runtime.Discard(g.Context(), g.id, g.component(g.of(controlplane.Etcd)[1]).Name); err != nil {
				g.Fatal(err)
			}
		}, settled},
		{"the guest is gone", g.delete, func(o runtime.Observation) bool { return !o.Exists }},
	} {
		step.do()
		g.follow(ids, step.what, step.is)
	}
}

// watchAnew: the channel is closed with its context; another watcher hears of what exists, and of what changes. One that
// does not read holds nobody up.
func watchAnew(g *guest) {
	ctx, end := context.WithCancel(g.Context())
	first := g.watch(ctx)
	g.watch(g.Context()) // nobody reads
	g.ready()
	end()
	g.poll("the first watch ends", func() error {
		for {
			select {
			case _, open := <-first:
				if !open {
					return nil
				}
			default:
				return errNotYet
			}
		}
	})
	second := g.watch(g.Context())
	g.follow(second, "it is told of what exists", settled)
	g.delete()
	g.follow(second, "it is told of what changes", func(o runtime.Observation) bool { return !o.Exists })
}

func (g *guest) watch(ctx context.Context) <-chan string {
	g.Helper()
	ids, err := g.Runtime.Watch(ctx)
	if err != nil {
		g.Fatal(err)
	}
	return ids
}

// follow a watch and look at the guest only when it is told of it, until it is as it should be.
func (g *guest) follow(ids <-chan string, what string, is func(runtime.Observation) bool) {
	g.Helper()
	g.poll(what+", and the watch tells of it", func() error {
		select {
		case id, open := <-ids:
			if !open {
				g.Fatal("the watch has ended")
			}
			if id == g.id && is(g.observe()) {
				return nil
			}
		default:
		}
		return errNotYet
	})
}
