package roll

import (
	"fmt"
	"slices"

	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// Act is what to do with a component's workload.
type Act string

// What can be done with a workload.
const (
	Leave  Act = ""       // nothing: there is none yet
	Put    Act = "put"    // make it what is wanted, with Step.Replicas
	Scale  Act = "scale"  // only its replicas; the template keeps until its turn
	Remove Act = "remove" // with all that belongs to the component
)

// PodAct is what to do with a component's pod, once its workload is as the step says.
type PodAct string

// What can be done with a pod.
const (
	Keep    PodAct = ""
	Restart PodAct = "restart" // deleted; its workload makes a new one
	Kill    PodAct = "kill"    // deleted without any grace
	Fit     PodAct = "resize"  // its resources are changed in place
)

// Step is what to do about one component.
type Step struct {
	Act      Act
	Replicas int32
	Pod      PodAct
	State    runtime.State
	// Why it waits; empty when it does not.
	Why string
}

// Plan is a decision.
type Plan struct {
	// Steps, one per component of the guest. Carrying out one that is carried out already changes
	// nothing.
	Steps []Step
	// NeedSlot: something waits for a start slot. DropSlot: the one that is held is not needed any more.
	NeedSlot, DropSlot bool
}

// turn names whose turn it is.
type turn struct {
	zone   string     // to update; empty for none
	leader *Component // to restart
	resize *Component // to resize
}

// Decide says what to do about a guest now.
func Decide(g *Guest) Plan {
	p := Plan{Steps: make([]Step, len(g.Components))}
	t := turn{zone: g.zoneInTurn(), leader: g.leaderInTurn(), resize: g.resizeInTurn()}
	cold := !g.Unpaced && !g.Slot && !slices.ContainsFunc(g.Components, func(c Component) bool { return c.Workload != nil })
	for i := range g.Components {
		c := &g.Components[i]
		step := g.step(c, t)
		if c.active() && c.Workload == nil {
			step = g.create(c, cold)
		}
		p.Steps[i] = step
		p.NeedSlot = p.NeedSlot || step.State == runtime.Queued
	}
	p.DropSlot = g.Slot && (!g.Now.Before(g.SlotUntil) || g.coreWasReady())
	return p
}

// coreWasReady: what start slots are for is done.
func (g *Guest) coreWasReady() bool {
	return !slices.ContainsFunc(g.Components, func(c Component) bool { return c.active() && c.core() && !c.WasReady })
}

func (g *Guest) step(c *Component, t turn) Step {
	switch {
	case c.Dropped:
		return g.remove(c)
	case c.Held && c.Pod != nil:
		return Step{Act: Put, Pod: Kill, State: runtime.Held}
	case c.Held, c.Stopped:
		return Step{Act: Put, State: runtime.Held}
	case c.broken() && c.Pod.Template != c.Template && !c.nodeAway():
		return Step{Act: Put, Replicas: 1, Pod: Restart, State: runtime.Starting}
	case c.Kind == controlplane.Etcd && c.outdated() && c.Zone == t.zone:
		return g.updateEtcd(c)
	case c.Kind == controlplane.APIServer:
		return g.apiServer(c, t)
	case c == t.leader:
		return Step{Act: Put, Replicas: 1, Pod: Restart, State: runtime.Starting}
	}
	return g.rest(c, t)
}

// rest leaves a component running, or has its workload make its pod anew.
func (g *Guest) rest(c *Component, t turn) Step {
	step := Step{Act: Put, Replicas: 1, State: runtime.Starting}
	if c.Pod != nil {
		if !c.Pod.Deleting {
			step.State = c.Pod.State
		}
		if c.stale() && !c.Pod.Deleting {
			step.Act, step.Why = Scale, g.waits(c)
		}
	}
	if c == t.resize {
		step.Pod = Fit
	}
	return step
}

// waits says what a stale component waits for.
func (g *Guest) waits(c *Component) string {
	if other := g.elsewhere(c.Zone); other != nil && c.core() {
		return fmt.Sprintf("its update waits until %s is ready", other.Name)
	}
	return "its update waits for its turn"
}

// create makes a component's workload for the first time: with a slot, after what it needs.
func (g *Guest) create(c *Component, cold bool) Step {
	if cold {
		return Step{State: runtime.Queued}
	}
	for i := range g.Components {
		if needed := &g.Components[i]; slices.Contains(c.After, needed.Name) && !needed.enoughFor(c) {
			return Step{State: runtime.Waiting, Why: "waits for " + needed.Name}
		}
	}
	return Step{Act: Put, Replicas: 1, State: runtime.Starting}
}

// enoughFor tells whether another component can start with this one as it is. The starts of etcd and its
// API server overlap: the API server asks for etcd late, and then waits 20 s for it by itself (dialTimeout
// in k8s.io/apiserver/pkg/storage/storagebackend/factory/etcd3.go). Others would end at once.
func (c *Component) enoughFor(other *Component) bool {
	return c.WasReady || other.Kind == controlplane.APIServer && c.Pod != nil && c.Pod.Runs
}

// remove takes away what was dropped from the manifest: first those that would fail without others,
// and members of the quorum one at a time.
func (g *Guest) remove(c *Component) Step {
	after := false
	for i := range g.Components {
		other := &g.Components[i]
		if other.Dropped && (rank(other) > rank(c) || after && c.Kind == controlplane.Etcd && other.Kind == c.Kind) {
			return Step{State: runtime.Held}
		}
		after = after || other == c
	}
	return Step{Act: Remove, State: runtime.Held}
}

// rank of a component: it fails without those of lower ones.
func rank(c *Component) int {
	switch c.Kind {
	case controlplane.Etcd:
		return 0
	case controlplane.APIServer:
		return 1
	}
	return 2
}
