package simulated

import (
	"container/heap"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// Runtime simulates one cell. All methods are safe for concurrent use.
type Runtime struct {
	options Options
	seed    uint64 // of the cell
	epoch   time.Time
	changes runtime.Changes
	sooner  chan struct{} // something is due earlier than Run knows

	mu      sync.Mutex
	last    instant // time never goes back
	world   *world
	tempo   tempo
	guests  map[string]*guest
	shapes  map[string]*shape
	agenda  agenda
	numbers uint64 // of guests so far
	awaited instant
}

// New makes a Runtime without guests. An error says what is wrong with the options and what to write instead.
func New(options Options) (*Runtime, error) {
	options, err := options.complete()
	if err != nil {
		return nil, err
	}
	return &Runtime{
		options: options, seed: options.Seed, epoch: options.Clock.Now(), sooner: make(chan struct{}, 1),
		world: newWorld(options), tempo: newTempo(), guests: map[string]*guest{}, shapes: map[string]*shape{}, awaited: never,
	}, nil
}

// Run has what is due happen while nobody calls, until ctx ends, so that those who watch hear of it.
func (r *Runtime) Run(ctx context.Context) {
	for {
		now := r.lock()
		next := never
		if len(r.agenda) > 0 {
			next = r.agenda[0].due
		}
		r.awaited = next
		r.mu.Unlock()
		timer := r.options.Clock.NewTimer(time.Duration(next - now))
		if r.now() >= next { // a fake clock may have gone on before there was a timer
			timer.Stop()
			continue
		}
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C():
		case <-r.sooner:
			timer.Stop()
		}
	}
}

// now in the runtime's time.
func (r *Runtime) now() instant { return instant(r.options.Clock.Since(r.epoch)) }

// time of an instant.
func (r *Runtime) time(at instant) time.Time { return r.epoch.Add(time.Duration(at)) }

// lock and catch up with the clock: all that was due happens, each at its own time. The caller unlocks.
func (r *Runtime) lock() (now instant) {
	r.mu.Lock()
	now = max(r.last, r.now())
	for len(r.agenda) > 0 && r.agenda[0].due <= now {
		g := r.agenda[0]
		r.last = max(r.last, g.due)
		r.step(g, r.last)
	}
	r.last = now
	return now
}

// step moves a guest on, and has those follow that it gave something to.
func (r *Runtime) step(g *guest, now instant) {
	next, changed := g.step(now, r.world)
	g.account(now, &r.tempo, r.options.Classes)
	if changed {
		r.changes.Notify(g.id)
	}
	r.plan(g, next)
	r.follow(now)
}

// follow has those guests looked at now that others gave something back for, the oldest first.
func (r *Runtime) follow(now instant) {
	for _, g := range r.world.touched {
		if !g.gone {
			r.plan(g, now)
		}
	}
	r.world.touched = r.world.touched[:0]
}

// plan when to look at a guest.
func (r *Runtime) plan(g *guest, at instant) {
	switch {
	case at == never && g.index < 0:
		return
	case at == never:
		heap.Remove(&r.agenda, g.index)
	case g.index < 0:
		g.due = at
		heap.Push(&r.agenda, g)
	default:
		g.due = at
		heap.Fix(&r.agenda, g.index)
	}
	if at < r.awaited {
		r.awaited = at
		select {
		case r.sooner <- struct{}{}:
		default:
		}
	}
}

// settle what a call has touched, before it returns.
func (r *Runtime) settle(now instant) {
	for len(r.agenda) > 0 && r.agenda[0].due <= now {
		r.step(r.agenda[0], now)
	}
}

// Apply makes a manifest what is wanted of its guest. Nothing of it is kept but hashes and numbers.
func (r *Runtime) Apply(_ context.Context, m controlplane.Manifest) error {
	if err := checkManifest(&m); err != nil {
		return err
	}
	now := r.lock()
	defer r.mu.Unlock()
	g := r.guests[m.ID]
	if g == nil {
		g = &guest{id: m.ID, seed: chance(r.seed, word(m.ID)), applied: now, started: never, number: r.numbers, index: -1, carried: carried{since: now}}
		r.numbers++
		r.guests[m.ID] = g
	}
	key := shapeKey(&m)
	s := r.shapes[key]
	if s == nil {
		s = newShape(&m, r.world)
		r.shapes[key] = s
	}
	g.account(now, &r.tempo, r.options.Classes)
	g.adopt(&m, s, r.world, now)
	g.carried = carried{since: now, servers: g.serving()}
	r.changes.Notify(g.id)
	r.step(g, now)
	r.settle(now)
	return nil
}

// Observe returns how a guest is. Of a guest that does not exist it says so without an error.
func (r *Runtime) Observe(_ context.Context, id string) (runtime.Observation, error) {
	r.lock()
	defer r.mu.Unlock()
	g := r.guests[id]
	if g == nil {
		return runtime.Observation{}, nil
	}
	o := runtime.Observation{Exists: true, Components: make([]runtime.Component, 0, len(g.parts))}
	for i := range g.parts {
		p := &g.parts[i]
		o.Components = append(o.Components, runtime.Component{
			Name: g.shape.parts[i].name, State: stateOf[p.state], Ready: p.ready, Outdated: p.outdated,
			Restarts: p.restarts, LastExit: p.lastExit, Message: r.message(g, i), Since: r.time(p.since),
		})
	}
	return o, nil
}

func (r *Runtime) message(g *guest, i int) string {
	p := &g.parts[i]
	switch {
	case p.lacks == 0:
		return ""
	case p.state == blockedState:
		return r.world.zones[g.shape.parts[i].zone].message(p.lacks)
	default:
		return "its size is not changed yet: " + r.world.zones[g.shape.parts[i].zone].message(p.lacks)
	}
}

// Delete a guest. Nothing remains when it returns; deleting what does not exist is no error.
func (r *Runtime) Delete(_ context.Context, id string) error {
	r.Forget(id)
	return nil
}

// Forget loses a guest, as a host does that is installed anew.
func (r *Runtime) Forget(id string) {
	now := r.lock()
	defer r.mu.Unlock()
	g := r.guests[id]
	if g == nil {
		return
	}
	delete(r.guests, id)
	g.leave(now, r.world)
	r.plan(g, never)
	r.changes.Notify(id)
	r.follow(now)
	r.settle(now)
}

// Watch sends the id of every guest at first, and then of each one whose observation may have changed. The channel is
// closed when ctx is done. Whoever reads slowly gets each id once.
func (r *Runtime) Watch(ctx context.Context) (<-chan string, error) {
	r.lock()
	defer r.mu.Unlock()
	return r.changes.Watch(ctx, func() []string { return slices.Collect(maps.Keys(r.guests)) }), nil
}

// Hold puts exactly these drills in force, until the next call.
func (r *Runtime) Hold(_ context.Context, drills []v1alpha1.Drill) error {
	for _, drill := range drills {
		if drill.Mode != v1alpha1.DrillKill && drill.Mode != v1alpha1.DrillHang {
			return fmt.Errorf("simulated runtime: drill of zone %q has mode %q: use %s or %s", drill.Zone, drill.Mode, v1alpha1.DrillKill, v1alpha1.DrillHang)
		}
	}
	now := r.lock()
	defer r.mu.Unlock()
	r.world.hold(drills)
	all := slices.SortedFunc(maps.Values(r.guests), func(a, b *guest) int { return int(a.number) - int(b.number) })
	for _, g := range all {
		r.step(g, now)
	}
	r.settle(now)
	return nil
}

// Discard throws away what a component's data holds, whether it runs or not: it is killed, and starts as if it had
// never run.
func (r *Runtime) Discard(_ context.Context, id, component string) error {
	now := r.lock()
	defer r.mu.Unlock()
	g, i, err := r.find(id, component)
	if err != nil {
		return err
	}
	g.discard(i)
	r.changes.Notify(id)
	r.step(g, now)
	r.settle(now)
	return nil
}

func (r *Runtime) find(id, component string) (*guest, int, error) {
	g := r.guests[id]
	if g == nil {
		return nil, 0, fmt.Errorf("simulated runtime: there is no guest %s", id)
	}
	i := g.shape.index(component)
	if i < 0 {
		return nil, 0, fmt.Errorf("simulated runtime: guest %s has no component %q", id, component)
	}
	return g, i, nil
}

// Capacity of the zones in all, as in the options.
func (r *Runtime) Capacity(context.Context) (runtime.Capacity, error) {
	capacity := make(runtime.Capacity, 0, len(r.options.Capacity))
	for i := range r.options.Capacity {
		capacity = append(capacity, *r.options.Capacity[i].DeepCopy())
	}
	return capacity, nil
}

// SetPace sets how many seconds of the load's day go by in a second of Clock: 0 keeps the load exactly level (gauges
// stay, counters grow at constant rates), 1 is real time, as at first. Arrivals, starts and deaths follow Clock alone. What is
// below 0 counts as 0.
func (r *Runtime) SetPace(pace float64) {
	now := r.lock()
	defer r.mu.Unlock()
	r.tempo.set(pace, now)
}

// Started is how long a guest took from its first Apply until all of its components had become ready for the first
// time; false while they have not.
func (r *Runtime) Started(id string) (took time.Duration, ok bool) {
	r.lock()
	defer r.mu.Unlock()
	g := r.guests[id]
	if g == nil || g.started == never {
		return 0, false
	}
	return time.Duration(g.started - g.applied), true
}

// IDs of the guests in their order.
func (r *Runtime) IDs() []string {
	r.lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.guests))
}
