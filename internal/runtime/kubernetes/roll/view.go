// Package roll decides what to do next about a guest in a Kubernetes cluster: what to create, in which
// order to restart what has changed, what to resize in place and what to remove. It is pure: a view of
// the guest in, one step per component out. Each decision follows from the view alone, so that an agent
// that is killed at any point is followed by one that goes on.
package roll

import (
	"slices"
	"time"

	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// Guest is a guest as a decision sees it.
type Guest struct {
	Now time.Time
	// Components in the manifest's order, then those that were dropped from it.
	Components []Component
	// Unpaced guests need no slot to start.
	Unpaced bool
	// Slot is held, at most until SlotUntil.
	Slot      bool
	SlotUntil time.Time
}

// Component is one component: what is wanted of it, and what there is.
type Component struct {
	Name  string
	Kind  controlplane.Kind
	Zone  string
	After []string
	// Dropped from the manifest.
	Dropped bool
	// Stopped in the manifest: nothing runs, data is kept.
	Stopped bool
	// Held dead by a drill.
	Held bool
	// Spec is the hash of what a restart is needed for.
	Spec string
	// Template is the hash of everything that a new pod is made of.
	Template string
	// WasReady: a pod of it has been ready once.
	WasReady bool
	// Workload that makes its pod; nil for none yet.
	Workload *Workload
	// Pod that it has; nil for none.
	Pod *Pod
}

// Workload is the StatefulSet or ReplicaSet of a component.
type Workload struct {
	// Spec of the pods that it makes.
	Spec     string
	Replicas int32
}

// Pod of a component.
type Pod struct {
	// Spec and Template that it was made with.
	Spec, Template string
	// Runs: its container runs, ready or not.
	Runs  bool
	Ready bool
	// State: Running, Starting, Blocked or BackOff. With one of the last two it is broken: replacing it
	// costs nothing.
	State runtime.State
	// Deleting: it was told to end.
	Deleting bool
	// NodeAway: its node does not answer. Nothing that is asked of the pod will happen.
	NodeAway bool
	// Sized: its own resources are those that are wanted.
	Sized bool
	// Resize that was asked for and is not done.
	Resize Resize
}

// Resize says how far the change of a pod's resources is.
type Resize string

// How far a resize can be.
const (
	NoResize   Resize = ""           // none is under way
	InProgress Resize = "InProgress" // the kubelet is at it
	Deferred   Resize = "Deferred"   // the node has no room now; the kubelet tries again
	Impossible Resize = "Impossible" // only a new pod can have these resources
)

// active: it is meant to run.
func (c *Component) active() bool { return !c.Dropped && !c.Stopped && !c.Held }

// core components make a quorum: those of two zones are never disturbed at once.
func (c *Component) core() bool {
	return c.Kind == controlplane.Etcd || c.Kind == controlplane.APIServer
}

// ok: it serves, and nothing was asked of it that ends that.
func (c *Component) ok() bool { return c.Pod != nil && c.Pod.Ready && !c.Pod.Deleting }

// broken: it has a pod that does not run.
func (c *Component) broken() bool {
	return c.Pod != nil && !c.Pod.Deleting && (c.Pod.State == runtime.Blocked || c.Pod.State == runtime.BackOff)
}

func (c *Component) nodeAway() bool { return c.Pod != nil && c.Pod.NodeAway }

// outdated: its pod must be replaced.
func (c *Component) outdated() bool {
	return c.active() && c.Pod != nil && !c.Pod.Deleting && (c.Pod.Spec != c.Spec || c.Pod.Resize == Impossible)
}

// stale: its pod must be replaced, or the next one would have to be.
func (c *Component) stale() bool {
	return c.outdated() || c.active() && c.Workload != nil && c.Workload.Spec != c.Spec
}

// drained: its API server was stopped by a roll, and is meant to run.
func (c *Component) drained() bool {
	return c.active() && c.Kind == controlplane.APIServer && c.Workload != nil && c.Workload.Replicas == 0
}

// find returns the component of a kind in a zone; nil for none.
func (g *Guest) find(kind controlplane.Kind, zone string) *Component {
	i := slices.IndexFunc(g.Components, func(c Component) bool { return !c.Dropped && c.Kind == kind && c.Zone == zone })
	if i < 0 {
		return nil
	}
	return &g.Components[i]
}

// zones that have core components, in the manifest's order.
func (g *Guest) zones() []string {
	var zones []string
	for i := range g.Components {
		if c := &g.Components[i]; c.core() && !c.Dropped && !slices.Contains(zones, c.Zone) {
			zones = append(zones, c.Zone)
		}
	}
	return zones
}

// disturbed names a core component of the zone that does not serve; nil for none. What is stopped by
// the manifest is not missed.
func (g *Guest) disturbed(zone string) *Component {
	for i := range g.Components {
		if c := &g.Components[i]; c.core() && !c.Dropped && !c.Stopped && c.Zone == zone && (c.Held || !c.ok()) {
			return c
		}
	}
	return nil
}

// elsewhere names a core component of another zone that does not serve; nil for none.
func (g *Guest) elsewhere(zone string) *Component {
	for _, other := range g.zones() {
		if other == zone {
			continue
		}
		if c := g.disturbed(other); c != nil {
			return c
		}
	}
	return nil
}
