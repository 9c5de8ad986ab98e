package plan

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Tick is the time between two looks of a Planner at what there is to do.
const Tick = 50 * time.Millisecond

// Action is what an operation does.
type Action string

// The actions. Update replaces an object, Patch changes an annotation, Renew renews a fake node's Lease,
// Watch and Unwatch open and close the watch Object.Index. The last four are those of controllers that
// misbehave; Contest's Object.Index is the controller, 0 or 1.
const (
	Create  Action = "create"
	Delete  Action = "delete"
	Get     Action = "get"
	List    Action = "list"
	ListAll Action = "list-all"
	Update  Action = "update"
	Patch   Action = "patch"
	Renew   Action = "renew"
	Watch   Action = "watch"
	Unwatch Action = "unwatch"

	ListLoop  Action = "list-loop"
	Contest   Action = "contest"
	DropWatch Action = "drop-watch"
	Flood     Action = "flood"
)

// Churn and NodeChurn never leave the planner: they become Delete and Create.
const (
	Churn     Action = "churn"
	NodeChurn Action = "node-churn"
)

// Misbehaves is true for what a controller should not do. Such an operation may be left out when the
// one before it is still under way.
func (a Action) Misbehaves() bool {
	return slices.Contains([]Action{ListLoop, Contest, DropWatch, Flood}, a)
}

// Operation is one thing to do.
type Operation struct {
	// At is the time since the phase began.
	At     time.Duration
	Action Action
	Object Object
	// Number of the operation in the phase and one of the phase itself make contents distinct.
	Phase, Number int
	// Bytes and Replicas of what is written, and Node that a pod is bound to.
	Bytes, Replicas, Node int
}

// Planner turns a mix into operations, tick by tick. What a phase plans depends on its seed, on its
// number and on what existed when it began, and not on how long the phases before it were held.
type Planner struct {
	mix    Mix
	seed   uint64
	leases bool // of fake nodes are the planner's work

	random   *rand.Rand
	phase    int
	elapsed  time.Duration
	number   int
	budget   float64               // requests that may be planned now
	credits  map[Action]float64    // of actions that are due, in parts
	wanted   map[Population]Amount // of the phase
	from     map[Population]int    // counts at the phase's begin
	live     map[Population]int
	watches  struct{ from, live int }
	renewed  int // the next node whose Lease is renewed
	flooded  int
	contests int
	planned  []Operation // in this tick
}

// NewPlanner starts before the first phase of a valid mix. Without leases, somebody else keeps the
// Leases of fake nodes.
func NewPlanner(mix Mix, seed uint64, leases bool) *Planner {
	p := &Planner{mix: mix, seed: seed, leases: leases, live: map[Population]int{}}
	p.enter(0)
	return p
}

// Phase that is planned, and its number.
func (p *Planner) Phase() (Phase, int) { return p.mix.Phases[p.phase], p.phase }

// Over is true once the phase has to end, whether it is held or not.
func (p *Planner) Over() bool { return p.elapsed >= p.mix.Phases[p.phase].Duration.Duration }

// Ramped is true once the phase's ramp is over and its targets are reached.
func (p *Planner) Ramped() bool {
	if p.elapsed < p.mix.Phases[p.phase].Ramp.Duration {
		return false
	}
	for _, population := range populationsInOrder {
		if p.live[population] != p.wanted[population].Count {
			return false
		}
	}
	return p.watches.live == p.mix.Phases[p.phase].Target.Watches
}

// Advance goes to the next phase, and is false when there is none.
func (p *Planner) Advance() bool {
	if p.phase+1 >= len(p.mix.Phases) {
		return false
	}
	p.enter(p.phase + 1)
	return true
}

func (p *Planner) enter(phase int) {
	p.phase, p.elapsed, p.number = phase, 0, 0
	p.random = rand.New(rand.NewPCG(p.seed, uint64(phase)))
	p.credits = map[Action]float64{}
	p.from = maps.Clone(p.live)
	p.watches.from = p.watches.live
	p.wanted = p.mix.Phases[phase].populations()
	if !p.leases {
		delete(p.wanted, Population{Kind: NodeLeases})
	}
}

// Tick plans what is to be done in the next Tick of time. It never plans more requests than the mix's
// MaxRate has room for: what exists grows with what its rates leave.
func (p *Planner) Tick() []Operation {
	p.planned = nil
	perTick := p.mix.Rate() * Tick.Seconds()
	p.budget = min(p.budget+perTick, max(perTick, 1))
	p.renew()
	for _, action := range p.mix.Phases[p.phase].actions() {
		p.due(action)
	}
	p.resize()
	p.rewatch()
	p.elapsed += Tick
	return p.planned
}

// ramp is the part of the ramp that is done, 0 to 1.
func (p *Planner) ramp() float64 {
	ramp := p.mix.Phases[p.phase].Ramp.Duration
	done := p.elapsed + Tick // at the end of the tick that is planned
	if done >= ramp {
		return 1
	}
	return float64(done) / float64(ramp)
}

func (p *Planner) emit(operation Operation) {
	operation.At, operation.Phase, operation.Number = p.elapsed, p.phase, p.number
	p.number++
	p.planned = append(p.planned, operation)
}

// renew the Leases of fake nodes, one after the other, each every RenewEvery.
func (p *Planner) renew() {
	leases := Population{Kind: NodeLeases}
	p.credits[Renew] += float64(p.live[leases]) * Tick.Seconds() / RenewEvery.Seconds()
	for ; p.credits[Renew] >= 1; p.credits[Renew]-- {
		p.renewed = (p.renewed + 1) % max(p.live[leases], 1)
		p.budget--
		p.emit(Operation{Action: Renew, Object: Object{leases, p.renewed}})
	}
}

// due plans an action as often as its rate says.
func (p *Planner) due(action rated) {
	before := 0.0
	if p.phase > 0 {
		for _, r := range p.mix.Phases[p.phase-1].actions() {
			if r.kind == action.kind {
				before = r.rate
			}
		}
	}
	p.credits[action.kind] += (before + (action.rate-before)*p.ramp()) * Tick.Seconds()
	for ; p.credits[action.kind] >= 1; p.credits[action.kind]-- {
		p.budget -= action.costs
		p.act(action.kind)
	}
}

// kindsOf are the kinds of objects that an action is done to.
var kindsOf = map[Action][]Kind{
	Get:       append([]Kind{Nodes, CustomResources}, objectKinds...),
	List:      append([]Kind{Nodes, CustomResources}, objectKinds...),
	ListAll:   append([]Kind{Nodes, CustomResources}, objectKinds...),
	Update:    {ConfigMaps, Secrets},
	Patch:     append([]Kind{Nodes, CustomResources}, objectKinds...),
	Churn:     append([]Kind{CustomResources}, objectKinds...),
	NodeChurn: {Nodes},
}

// act plans one action on a random object, if there is one.
func (p *Planner) act(action Action) {
	switch action {
	case ListLoop:
		p.emit(Operation{Action: action, Object: Object{Index: p.random.IntN(len(Everything()))}})
	case Contest:
		p.contests++
		p.emit(Operation{Action: action, Object: Object{Index: p.contests % 2}})
	case Flood:
		if p.flooded < MaxFlood {
			p.flooded++
			p.emit(Operation{Action: action, Object: Object{Population{Kind: Events}, p.flooded}})
		}
	case DropWatch:
		p.emit(Operation{Action: action, Object: Object{Population: p.any(kindsOf[List]).Population}})
	default:
		object := p.any(kindsOf[action])
		if p.live[object.Population] > 0 {
			p.touch(action, object)
		}
	}
}

// touch plans one action on an object.
func (p *Planner) touch(action Action, object Object) {
	switch action {
	case Churn:
		p.write(Delete, object)
		p.write(Create, object)
	case NodeChurn:
		lease := Object{Population{Kind: NodeLeases}, object.Index}
		leased := object.Index < p.live[lease.Population]
		p.write(Delete, object)
		if leased {
			p.write(Delete, lease)
		}
		p.write(Create, object)
		if leased {
			p.write(Create, lease)
		}
	default:
		p.write(action, object)
	}
}

// write plans an action on an object with what its phase says about its kind.
func (p *Planner) write(action Action, object Object) {
	amount := p.wanted[object.Population]
	node := object.Index % max(1, p.live[Population{Kind: Nodes}])
	p.emit(Operation{Action: action, Object: object, Bytes: amount.Bytes, Replicas: amount.Replicas, Node: node})
}

// any object of some kinds, each as probable as any other; ConfigMaps when there are none.
func (p *Planner) any(kinds []Kind) Object {
	total := 0
	for _, population := range populationsInOrder {
		if slices.Contains(kinds, population.Kind) {
			total += p.live[population]
		}
	}
	if total == 0 {
		return Object{Population: Population{Kind: ConfigMaps}}
	}
	n := p.random.IntN(total)
	for _, population := range populationsInOrder {
		if !slices.Contains(kinds, population.Kind) {
			continue
		}
		if n < p.live[population] {
			return Object{population, n}
		}
		n -= p.live[population]
	}
	panic("unreachable: n is less than the sum")
}

// resize plans what brings the counts of objects to where the ramp is: what is too much goes first.
func (p *Planner) resize() {
	for _, population := range populationsInReversed {
		for want := p.want(population); p.live[population] > want && p.budget >= 1; p.budget-- {
			p.live[population]--
			p.write(Delete, Object{population, p.live[population]})
		}
	}
	for _, population := range populationsInOrder {
		for want := p.want(population); p.live[population] < want && p.budget >= 1; p.budget-- {
			p.live[population]++
			p.write(Create, Object{population, p.live[population] - 1})
		}
	}
}

// want is how many of a population there should be now.
func (p *Planner) want(population Population) int {
	want := between(p.from[population], p.wanted[population].Count, p.ramp())
	switch population.Kind {
	case CustomResources:
		if p.live[Population{Kind: CRDs}] <= population.CRD {
			return 0 // its kind is not there yet
		}
	case CRDs:
		for crd := MaxCRDs - 1; crd >= want; crd-- {
			if p.live[Population{Kind: CustomResources, CRD: crd}] > 0 {
				return crd + 1 // a kind stays while it has objects
			}
		}
	case NodePods:
		if p.live[Population{Kind: Nodes}] == 0 {
			return 0 // there is nothing to bind them to yet
		}
	case Nodes:
		if p.live[Population{Kind: NodePods}] > 0 {
			return max(want, 1)
		}
	default:
	}
	return want
}

// rewatch plans what brings the number of watches to where the ramp is.
func (p *Planner) rewatch() {
	want := between(p.watches.from, p.mix.Phases[p.phase].Target.Watches, p.ramp())
	for ; p.watches.live > want; p.watches.live-- {
		p.emit(Operation{Action: Unwatch, Object: Object{Index: p.watches.live - 1}})
	}
	for ; p.watches.live < want && p.budget >= 1; p.watches.live++ {
		p.budget--
		p.emit(Operation{Action: Watch, Object: Object{p.any(kindsOf[List]).Population, p.watches.live}})
	}
}

// between two counts, part of the way.
func between(from, to int, part float64) int {
	return from + int(math.Round(float64(to-from)*part))
}
