package simulated

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// instant is a time in nanoseconds since the runtime was made.
type instant int64

// never comes.
const never instant = math.MaxInt64

// after adds a duration, up to never.
func (i instant) after(d time.Duration) instant {
	if i > never-instant(d) {
		return never
	}
	return i + instant(d)
}

// What zones have and components take: thousandths of cores, bytes, and how many pods, addresses and volumes.
const (
	cpu = iota
	memory
	pods
	addresses
	volumes
	resources
)

// resourceNames as a scheduler has them.
var resourceNames = [resources]string{"cpu", "memory", "pods", "addresses", "volumes"}

// room is an amount of each resource.
type room [resources]int64

func (r room) plus(other room) room {
	for i := range r {
		r[i] += other[i]
	}
	return r
}

func (r room) minus(other room) room {
	for i := range r {
		r[i] -= other[i]
	}
	return r
}

// most of each resource of both.
func (r room) most(other room) room {
	for i := range r {
		r[i] = max(r[i], other[i])
	}
	return r
}

// zone of the cell.
type zone struct {
	name string
	// nodes that it is made of, for messages; 0: the cell has no such zone.
	nodes int64
	// capacity in all, and what of it is set aside.
	capacity, used room
	// drill in force; empty for none.
	drill v1alpha1.DrillMode
}

// lacking resources are a set: bit i is for resource i.
type lacking uint8

// lacks says what of more the zone has not enough of.
func (z *zone) lacks(more room) lacking {
	if z.nodes == 0 {
		return 1 << resources
	}
	var lacks lacking
	for i := range more {
		if more[i] > 0 && z.used[i]+more[i] > z.capacity[i] {
			lacks |= 1 << i
		}
	}
	return lacks
}

// message as a scheduler writes it.
func (z *zone) message(lacks lacking) string {
	if z.nodes == 0 {
		return fmt.Sprintf("0/0 nodes are available: this cell has no zone %q", z.name)
	}
	var list []string
	for i, name := range resourceNames {
		if lacks&(1<<i) != 0 {
			list = append(list, fmt.Sprintf("%d Insufficient %s", z.nodes, name))
		}
	}
	return fmt.Sprintf("0/%d nodes are available: %s", z.nodes, strings.Join(list, ", "))
}

// world is what all guests of a cell share. Like guests it reads no clock; Runtime has the lock.
type world struct {
	starts        Starts
	deathsPerYear float64
	zones         []zone

	slots, holders int
	queue          []*guest // may hold guests that have left it
	// blocked guests wait for room. It may hold guests that wait no more.
	blocked []*guest
	// touched guests may have something to do now, because others gave something back.
	touched []*guest
}

func newWorld(o Options) *world {
	w := &world{starts: o.Starts, deathsPerYear: o.DeathsPerYear, slots: o.Slots}
	for i := range o.Capacity {
		w.zones = append(w.zones, zoneOf(&o.Capacity[i]))
	}
	return w
}

func zoneOf(c *v1alpha1.ZoneCapacity) zone {
	counted := func(n *int64) int64 {
		if n == nil {
			return math.MaxInt64 / 2 // nothing counts them
		}
		return *n
	}
	nodes := int64(1)
	if c.Nodes != nil {
		nodes = max(1, *c.Nodes)
	}
	return zone{
		name: c.Name, nodes: nodes,
		capacity: room{
			cpu: c.CPU.MilliValue(), memory: c.Memory.Value(),
			pods: counted(c.Pods), addresses: counted(c.Addresses), volumes: counted(c.Volumes),
		},
	}
}

// place of a zone by its name; -1 for none.
func (w *world) place(name string) int {
	if name == "" {
		return -1
	}
	if at := slices.IndexFunc(w.zones, func(z zone) bool { return z.name == name }); at >= 0 {
		return at
	}
	w.zones = append(w.zones, zone{name: name})
	return len(w.zones) - 1
}

// drill in force in a zone.
func (w *world) drill(zone int) v1alpha1.DrillMode {
	if zone < 0 {
		return ""
	}
	return w.zones[zone].drill
}

// release room of a zone, and have those looked at that wait for some.
func (w *world) release(zone int, amount room) {
	if zone < 0 || amount == (room{}) {
		return
	}
	w.zones[zone].used = w.zones[zone].used.minus(amount)
	for _, g := range w.blocked {
		g.blocked = false // it asks again if it still needs to
	}
	w.touched = append(w.touched, w.blocked...)
	w.blocked = nil
}

// block a guest until there is room.
func (w *world) block(g *guest) {
	if !g.blocked {
		g.blocked = true
		w.blocked = append(w.blocked, g)
	}
}

// slotTime bounds how long a guest holds a start slot, as in the other runtimes: one that cannot start must not
// hold up others.
const slotTime = time.Minute

// acquire a start slot, or a place in the queue.
func (w *world) acquire(g *guest, now instant) {
	if g.slot != noSlot {
		return
	}
	g.slot = queued
	w.queue = append(w.queue, g)
	w.serve(now)
}

// leave gives a slot or a place in the queue back.
func (w *world) leave(g *guest, now instant) {
	held := g.slot == holding
	g.slot = noSlot
	if held {
		w.holders--
		w.serve(now)
	}
}

// serve the queue.
func (w *world) serve(now instant) {
	for len(w.queue) > 0 && w.holders < w.slots {
		g := w.queue[0]
		w.queue[0], w.queue = nil, w.queue[1:]
		if g.slot != queued {
			continue
		}
		g.slot, g.slotUntil = holding, now.after(slotTime)
		w.holders++
		w.touched = append(w.touched, g)
	}
}

// year of deaths.
const year = 365 * 24 * time.Hour

// startTime of a component that is started for the n-th time.
func (w *world) startTime(kind controlplane.Kind, seed, name uint64, n uint32) time.Duration {
	start, known := w.starts[kind]
	if !known {
		start = otherStart
	}
	return time.Duration(logNormal(float64(start.Median), float64(start.P99), seed, name, ofStart, uint64(n)))
}

// lifeTime of a process that was started for the n-th time.
func (w *world) lifeTime(seed, name uint64, n uint32) time.Duration {
	if w.deathsPerYear == 0 {
		return math.MaxInt64
	}
	life := exponential(w.deathsPerYear, seed, name, ofDeath, uint64(n)) * float64(year)
	return time.Duration(min(life, float64(math.MaxInt64/2)))
}

// hold puts exactly these drills in force.
func (w *world) hold(drills []v1alpha1.Drill) {
	for i := range w.zones {
		w.zones[i].drill = ""
	}
	for _, drill := range drills {
		if at := w.place(drill.Zone); at >= 0 {
			w.zones[at].drill = drill.Mode
		}
	}
}

// stateOf names a state that is kept as a number.
var stateOf = [...]runtime.State{"", runtime.Waiting, runtime.Queued, runtime.Starting, runtime.Running, runtime.BackOff, runtime.Held, runtime.Blocked}

// The states as numbers: a word takes 16 bytes in each component.
const (
	untold uint8 = iota
	waiting
	queuedState
	startingState
	running
	backOff
	held
	blockedState
)
