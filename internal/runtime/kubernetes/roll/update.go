package roll

import (
	"slices"

	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// An update goes zone by zone. In a zone the API server is stopped, which drains it: for 3 s it serves
// while /readyz fails, and the gateways send elsewhere. When it is gone, etcd restarts if it must; it
// hands its leadership over by itself on SIGTERM. When etcd is ready the API server starts, and when
// that is ready the next zone's turn comes. An API server is never replaced by one that starts beside
// it: their Service would lead to either.

// zoneInTurn is the zone whose update goes on or begins: one that was begun, then one that does not
// serve anyway, then in the manifest's order.
func (g *Guest) zoneInTurn() string {
	var stale []string
	for _, zone := range g.zones() {
		api := g.find(controlplane.APIServer, zone)
		if api != nil && api.drained() {
			return zone
		}
		if g.staleZone(zone) {
			stale = append(stale, zone)
		}
	}
	for _, zone := range stale {
		if c := g.disturbed(zone); c != nil && !c.nodeAway() && !c.Held {
			return zone
		}
	}
	if len(stale) > 0 {
		return stale[0]
	}
	return ""
}

func (g *Guest) staleZone(zone string) bool {
	return slices.ContainsFunc(g.Components, func(c Component) bool { return c.core() && c.Zone == zone && c.stale() })
}

// mayGoOn: restarting the zone's etcd, if it must, takes away no quorum.
func (g *Guest) mayGoOn(zone string) bool {
	member := g.find(controlplane.Etcd, zone)
	return member == nil || !member.outdated() || !member.ok() || g.elsewhere(zone) == nil
}

// updateEtcd restarts the member of the zone in turn once its API server has gone.
func (g *Guest) updateEtcd(c *Component) Step {
	api := g.find(controlplane.APIServer, c.Zone)
	gone := api == nil || api.Pod == nil && (!api.active() || api.Workload == nil || api.Workload.Replicas == 0)
	if !gone || !g.mayGoOn(c.Zone) || c.nodeAway() {
		return Step{Act: Scale, Replicas: 1, State: c.Pod.State, Why: g.waits(c)}
	}
	return Step{Act: Put, Replicas: 1, Pod: Restart, State: runtime.Starting}
}

// apiServer decides about an API server that is meant to run.
func (g *Guest) apiServer(c *Component, t turn) Step {
	member := g.find(controlplane.Etcd, c.Zone)
	update := c.Zone == t.zone && (c.stale() || member != nil && member.outdated())
	switch {
	case c.Pod == nil && c.drained():
		return g.undrain(c, member)
	case c.Pod != nil && c.drained():
		return Step{Act: Scale, State: runtime.Starting, Why: "is being drained"}
	case !update || c.Pod == nil || c.nodeAway():
		return g.rest(c, t)
	case g.mayGoOn(c.Zone) && (!c.Pod.Ready || g.elsewhere(c.Zone) == nil):
		return Step{Act: Scale, State: runtime.Starting, Why: "is being drained"}
	}
	return Step{Act: Scale, Replicas: 1, State: c.Pod.State, Why: g.waits(c)}
}

// undrain starts an API server again when its etcd is ready; or because its zone's update cannot go on
// now.
func (g *Guest) undrain(c, member *Component) Step {
	switch {
	case member == nil || !member.active() || !member.outdated() && member.ok():
		return Step{Act: Put, Replicas: 1, State: runtime.Starting}
	case !g.mayGoOn(c.Zone):
		return Step{Act: Scale, Replicas: 1, State: runtime.Starting}
	}
	return Step{Act: Scale, State: runtime.Waiting, Why: "waits for " + member.Name}
}

// leaderInTurn is the controller manager or scheduler to restart: after every etcd member and API server
// is up to date and ready, and one at a time. One that is not ready goes first, and waits for no other
// to be ready.
func (g *Guest) leaderInTurn() *Component {
	var next *Component
	blocked := false
	for i := range g.Components {
		c := &g.Components[i]
		switch {
		case c.core():
			if c.stale() || c.drained() {
				return nil
			}
			blocked = blocked || c.active() && !c.ok() && !c.nodeAway()
		case !c.active() || c.nodeAway():
		case c.outdated():
			if next == nil || next.Pod.Ready && !c.Pod.Ready {
				next = c
			}
		case !c.ok():
			blocked = true
		}
	}
	if next != nil && next.Pod.Ready && blocked {
		return nil
	}
	return next
}

// resizeInTurn is the component whose pod is resized next: one at a time, and only pods that need no
// restart, which would bring the resources anyway. One that is deferred holds up no other.
func (g *Guest) resizeInTurn() *Component {
	var next *Component
	for i := range g.Components {
		c := &g.Components[i]
		if !c.active() || c.Pod == nil || c.Pod.Deleting || c.Pod.NodeAway {
			continue
		}
		if c.Pod.Resize == InProgress && c.Pod.Sized {
			return nil
		}
		if next == nil && !c.Pod.Sized && !c.outdated() && !c.broken() {
			next = c
		}
	}
	return next
}
