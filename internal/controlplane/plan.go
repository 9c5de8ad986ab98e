// Package controlplane turns an order (a ControlPlane's spec) into the manifest of the components
// that make it true. It is pure: the same order, addresses and revision give the same manifest.
package controlplane

import (
	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// Instance is one component of a control plane before it has an address.
type Instance struct {
	// Name is InstanceName of Kind and Zone.
	Name string
	Kind Kind
	// Zone that it dies and lives with.
	Zone string
}

// Profile says what a control plane is for.
type Profile string

// The profiles.
const (
	Guest Profile = "guest" // everything that a user's cluster needs
	Hub   Profile = "hub"   // the fleet's own API: no scheduler, no workload controllers
)

// Input of Render.
type Input struct {
	// Order to render.
	Order v1alpha1.ControlPlaneSpec
	// Profile: Guest or Hub.
	Profile Profile
	// Hosts maps the name of each instance to its address (IP or DNS name).
	Hosts map[string]string
	// AnyAddress has components listen on all of their addresses, because Hosts only lead to them:
	// each is the address of a Service in front of one pod.
	AnyAddress bool
	// EtcdStarts says, by the name of the instance, what a member does that finds its data directory
	// empty. What is not named is EtcdNew.
	EtcdStarts map[string]EtcdStart
	// Frozen holds API servers, controller managers and schedulers stopped and keeps their data.
	Frozen bool
}

// EtcdStart is what an etcd member does that finds its data directory empty.
type EtcdStart string

// The ways in which a member starts without data.
const (
	EtcdNew    EtcdStart = ""       // founds the cluster, together with the others
	EtcdJoin   EtcdStart = "Join"   // joins it, in the place that was made for it
	EtcdSealed EtcdStart = "Sealed" // refuses: it had data, which is lost
)

// InstanceName names the instance of a kind in a zone.
func InstanceName(kind Kind, zone string) string { return string(kind) + "-" + zone }

// Instances lists the components that an order needs, in start order.
func Instances(order *v1alpha1.ControlPlaneSpec, profile Profile) []Instance {
	zones, leaders := order.Zones, 2
	if order.Availability == v1alpha1.Single {
		zones, leaders = order.Zones[:min(1, len(order.Zones))], 1
	}
	var instances []Instance
	add := func(kind Kind, zones []string) {
		for _, zone := range zones {
			instances = append(instances, Instance{Name: InstanceName(kind, zone), Kind: kind, Zone: zone})
		}
	}
	add(Etcd, zones)
	add(APIServer, zones)
	add(ControllerManager, zones[:min(leaders, len(zones))])
	if profile == Guest {
		add(Scheduler, zones[:min(leaders, len(zones))])
	}
	return instances
}
