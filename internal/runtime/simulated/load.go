package simulated

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/myriad-fleet/myriad/internal/controlplane"
)

// Class of size that guests fall into by chance.
type Class struct {
	// Name for people.
	Name string
	// Weight of the class: guests fall into it as often as its share of all weights.
	Weight float64
	// NodesFrom and NodesTo that a guest of the class has: few in many guests, many in few.
	NodesFrom, NodesTo float64
	// PodsPerNode and CustomPerNode are how many pods and custom resources there are for each node.
	PodsPerNode, CustomPerNode float64
	// Swing of the load within a day, as a share of its mean: at most that much, below 1.
	Swing float64
	// GrowthPerMonth of the guest in 30 days, as a share of its first size: at most that much.
	GrowthPerMonth float64
}

// DefaultClasses have shares and sizes as in generated fleets (package gear/recorded: 60, 25, 10, 4 and 1 of a
// hundred, from 1 to 40 times as large), and 30 pods per node as the default ladder of gears counts on. The largest has what
// Kubernetes supports, 5,000 nodes. Custom resources, swing (0.3 there) and growth are our own choice.
func DefaultClasses() []Class {
	class := func(name string, weight, from, to float64) Class {
		return Class{Name: name, Weight: weight, NodesFrom: from, NodesTo: to, PodsPerNode: 30, CustomPerNode: 10, Swing: 0.3, GrowthPerMonth: 0.08}
	}
	return []Class{
		class("tiny", 60, 3, 10), class("small", 25, 10, 30), class("medium", 10, 30, 120), class("large", 4, 120, 600), class("huge", 1, 600, 5000),
	}
}

func (c *Class) check() error {
	switch {
	case !(c.Weight >= 0) || math.IsInf(c.Weight, 0):
		return fmt.Errorf("class %q has weight %g: give it one of 0 or more", c.Name, c.Weight)
	case !(c.NodesFrom > 0) || !(c.NodesTo >= c.NodesFrom) || math.IsInf(c.NodesTo, 0):
		return fmt.Errorf("class %q has from %g to %g nodes: want more than 0, and no less at the end", c.Name, c.NodesFrom, c.NodesTo)
	case !(c.PodsPerNode >= 0) || !(c.CustomPerNode >= 0):
		return fmt.Errorf("class %q has %g pods and %g custom resources per node: want 0 or more", c.Name, c.PodsPerNode, c.CustomPerNode)
	case !(c.Swing >= 0 && c.Swing < 1):
		return fmt.Errorf("class %q swings by %g within a day: want 0 or more and less than 1", c.Name, c.Swing)
	case !(c.GrowthPerMonth >= 0) || math.IsInf(c.GrowthPerMonth, 0):
		return fmt.Errorf("class %q grows by %g a month: want a share of 0 or more", c.Name, c.GrowthPerMonth)
	}
	return nil
}

const (
	secondsOfDay   = 24 * 3600
	secondsOfMonth = 30 * secondsOfDay
)

// character of a guest: all that its load follows from, beside the time. It is computed when it is needed.
type character struct {
	class         *Class
	nodes         float64 // at first
	growth        float64 // per second, of its first size
	swing, phase  float64
	podsAt, ownAt float64 // pods and custom resources at first
}

func characterOf(seed uint64, classes []Class) character {
	total := 0.0
	for i := range classes {
		total += classes[i].Weight
	}
	at, drawn := 0, uniform(seed, ofClass)*total
	for at < len(classes)-1 && drawn >= classes[at].Weight {
		drawn -= classes[at].Weight
		at++
	}
	class := &classes[at]
	nodes := class.NodesFrom * math.Pow(class.NodesTo/class.NodesFrom, uniform(seed, ofNodes))
	return character{
		class: class, nodes: nodes, podsAt: nodes * class.PodsPerNode, ownAt: nodes * class.CustomPerNode,
		growth: class.GrowthPerMonth * uniform(seed, ofGrowth) / secondsOfMonth,
		swing:  class.Swing * (0.5 + 0.5*uniform(seed, ofSwing)),
		phase:  2 * math.Pi * uniform(seed, ofPhase),
	}
}

// omega of a day.
const omega = 2 * math.Pi / secondsOfDay

// grown is the guest's size as a multiple of its first one at a time of the load, in seconds.
func (c *character) grown(at float64) float64 { return 1 + c.growth*at }

// activity is what all that moves follows: the size by the curve of the day.
func (c *character) activity(at float64) float64 {
	return c.grown(at) * (1 + c.swing*math.Sin(omega*at+c.phase))
}

// sumTo is the antiderivative of activity.
func (c *character) sumTo(at float64) float64 {
	sin, cos := math.Sincos(omega*at + c.phase)
	return at + c.growth*at*at/2 - c.swing*cos/omega + c.growth*c.swing*(sin/(omega*omega)-at*cos/omega)
}

// sum is the integral of activity between two times of the load.
func (c *character) sum(from, to float64) float64 {
	if math.Abs(to-from) < 1 { // the difference of two large numbers would say nothing
		return c.activity((from+to)/2) * (to - from)
	}
	return c.sumTo(to) - c.sumTo(from)
}

// gauges of a guest in all.
type gauges struct {
	nodes, pods, leases, others, custom, watches, seats float64
	database, inUse                                     float64 // bytes
}

// gauges at a time of the load. What an idle guest has comes from recorded pages (internal/load/testdata); what each
// node and pod adds is our own choice: a Lease per node, a ConfigMap, a Secret and an EndpointSlice or the like for
// every pod or two, some ten watches by each kubelet and one for each pod, and 3 KiB in etcd for an object.
func (c *character) gauges(at float64) gauges {
	size, active := c.grown(at), c.activity(at)
	g := gauges{nodes: math.Round(c.nodes * size), pods: math.Round(c.podsAt * active), custom: math.Round(c.ownAt * size)}
	g.leases = g.nodes + 2
	g.others = 230 + math.Round(2*c.podsAt*size)
	g.watches = 120 + 10*g.nodes + g.pods
	rates := c.rates()
	g.seats = math.Round(0.02 * (rates.gets.at(active) + 5*rates.lists.at(active) + 2*rates.writes.at(active)))
	g.inUse = 2<<20 + 3<<10*(g.nodes+c.podsAt*size+g.leases+g.others+g.custom)
	g.database = 1.4 * g.inUse // between two defragmentations
	return g
}

// rate per second, for a guest at rest and for each unit of activity.
type rate struct{ rest, active float64 }

func (r rate) at(activity float64) float64 { return r.rest + r.active*activity }

// over is the number of requests that a share of the guest's time carries.
func (r rate) over(s share) float64 { return r.rest*s.seconds + r.active*s.activity }

// rates of requests.
type rates struct{ gets, lists, writes, leases, bindings rate }

// rates of the guest. At rest they are those of the leader elections and controllers of an idle guest; each kubelet
// renews its Lease every 10 s and updates little else. The rest is our own choice, so that a guest with 30 pods per
// node demands about the gear whose limit it has (gear.Default).
func (c *character) rates() rates {
	return rates{
		gets:     rate{2, 0.15*c.nodes + 0.003*c.podsAt},
		lists:    rate{0.2, 0.01 * c.nodes},
		leases:   rate{1, 0.1 * c.nodes},
		writes:   rate{1, 0.01*c.nodes + 0.002*c.podsAt},
		bindings: rate{0, 0.0003 * c.podsAt},
	}
}

// share of a guest's time that one API server has carried: seconds, and the integral of activity over them.
type share struct{ seconds, activity float64 }

func (s share) plus(other share) share {
	return share{s.seconds + other.seconds, s.activity + other.activity}
}

func (s share) over(n int) share { return share{s.seconds / float64(n), s.activity / float64(n)} }

// carried is which API servers have carried a guest's load since when.
type carried struct {
	since   instant
	servers uint64
}

// account for what was carried until now, by those that ran until now.
func (g *guest) account(now instant, t *tempo, classes []Class) {
	servers := g.serving()
	if servers == g.carried.servers {
		return
	}
	if g.carried.servers != 0 {
		more := g.recently(now, t, classes)
		for i := range g.parts {
			another := g.parts[i].began > g.carried.since // process by now
			if g.carried.servers&(1<<i) != 0 && !another {
				g.parts[i].served = g.parts[i].served.plus(more)
			}
		}
	}
	g.carried = carried{since: now, servers: servers}
}

// serving is the set of API servers that run: bit i is for component i.
func (g *guest) serving() uint64 {
	var set uint64
	for i := range g.parts {
		if p := &g.parts[i]; g.shape.parts[i].kind == controlplane.APIServer && p.phase == up && !p.frozen {
			set |= 1 << i
		}
	}
	return set
}

// count of a set.
func count(set uint64) int { return bits.OnesCount64(set) }

// recently is what each API server that runs has carried since that last changed.
func (g *guest) recently(now instant, t *tempo, classes []Class) share {
	c := characterOf(g.seed, classes)
	return t.over(&c, g.carried.since, now).over(count(g.carried.servers))
}

// servedBy an API server until now, since its process began.
func (g *guest) servedBy(i int, now instant, t *tempo, classes []Class) share {
	served := g.parts[i].served
	if g.carried.servers&(1<<i) != 0 {
		served = served.plus(g.recently(now, t, classes))
	}
	return served
}

// tempo maps the runtime's time to that of the load.
type tempo struct{ spans []span }

// span of time with one pace.
type span struct {
	from instant
	at   float64 // time of the load at from, in seconds
	pace float64 // of its seconds per second
}

func newTempo() tempo { return tempo{spans: []span{{pace: 1}}} }

// set the pace from now on.
func (t *tempo) set(pace float64, now instant) {
	if !(pace > 0) || math.IsInf(pace, 0) {
		pace = 0
	}
	last := &t.spans[len(t.spans)-1]
	switch {
	case last.pace == pace:
	case last.from == now:
		last.pace = pace
	default:
		t.spans = append(t.spans, span{from: now, at: last.loadAt(now), pace: pace})
	}
}

// loadAt a time in the span, or after it.
func (s *span) loadAt(now instant) float64 { return s.at + s.pace*seconds(now-s.from) }

// loadAt is the time of the load now, in seconds since the runtime was made.
func (t *tempo) loadAt(now instant) float64 { return t.spans[len(t.spans)-1].loadAt(now) }

// over a time: its seconds, and the integral of activity over them.
func (t *tempo) over(c *character, from, to instant) share {
	sum := share{seconds: seconds(to - from)}
	for i := len(t.spans) - 1; i >= 0 && to > from; i-- {
		s := &t.spans[i]
		begin := max(from, s.from)
		if begin >= to {
			continue
		}
		if s.pace == 0 {
			sum.activity += c.activity(s.at) * seconds(to-begin)
		} else {
			sum.activity += c.sum(s.loadAt(begin), s.loadAt(to)) / s.pace
		}
		to = begin
	}
	return sum
}

func seconds(d instant) float64 { return float64(d) / 1e9 }

// kindShare is how a guest's load is divided over its kinds of components: as the requests of gear.Default's
// gears, nearly the same in all of them (large: 200, 760, 160 and 80 of 1200 thousandths of a core).
var kindShare = map[controlplane.Kind]float64{
	controlplane.Etcd: 0.17, controlplane.APIServer: 0.63, controlplane.ControllerManager: 0.13, controlplane.Scheduler: 0.07,
}
