package placement

import (
	"slices"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
)

// Vector is an amount of what zones run out of.
type Vector struct {
	// MilliCPU in thousandths of a core.
	MilliCPU int64
	// Memory in bytes.
	Memory int64
	// Pods in number. Each has one address.
	Pods int64
	// Addresses of pods, in number.
	Addresses int64
	// Volumes in number.
	Volumes int64
}

// Unlimited is a capacity that nothing counts.
const Unlimited = -1

// Add returns the sum.
func (v Vector) Add(other Vector) Vector {
	return Vector{
		MilliCPU: v.MilliCPU + other.MilliCPU, Memory: v.Memory + other.Memory,
		Pods: v.Pods + other.Pods, Addresses: v.Addresses + other.Addresses, Volumes: v.Volumes + other.Volumes,
	}
}

// times returns n times the vector.
func (v Vector) times(n int64) Vector {
	return Vector{MilliCPU: n * v.MilliCPU, Memory: n * v.Memory, Pods: n * v.Pods, Addresses: n * v.Addresses, Volumes: n * v.Volumes}
}

// larger of both, of each thing.
func (v Vector) larger(other Vector) Vector {
	return Vector{
		MilliCPU: max(v.MilliCPU, other.MilliCPU), Memory: max(v.Memory, other.Memory),
		Pods: max(v.Pods, other.Pods), Addresses: max(v.Addresses, other.Addresses), Volumes: max(v.Volumes, other.Volumes),
	}
}

// Demand is what a guest takes in one zone.
type Demand struct {
	Vector
	// APIServerMilliCPU is the part of MilliCPU that the guest's other zones take over when this
	// one is lost; 0 for a Single guest, whose load goes nowhere.
	APIServerMilliCPU int64
}

// Guest is what placement knows of a guest that has its place.
type Guest struct {
	// Tenant is the namespace of the guest's Cluster.
	Tenant string
	// VPC that the guest reaches into; empty: none.
	VPC string
	// Zones of the cell, and Demand in each of them.
	Zones  []string
	Demand []Demand
}

// total of a demand over all zones.
func total(demand []Demand) Vector {
	var sum Vector
	for i := range demand {
		sum = sum.Add(demand[i].Vector)
	}
	return sum
}

// share of an amount that each of the other zones takes over when one of n is lost, rounded up: the
// reserve errs to the safe side.
func share(amount int64, n int) int64 {
	if n < 2 {
		return 0
	}
	others := int64(n - 1)
	return (amount + others - 1) / others
}

// DemandOf is what a control plane of that size takes in each of its zones: CPU and memory of its components,
// one pod and one address for each of them, and one volume for each etcd member.
func DemandOf(availability v1alpha1.Availability, size v1alpha1.ControlPlaneSize) []Demand {
	names := []string{"0"}
	if availability == v1alpha1.Zonal {
		names = []string{"0", "1", "2"}
	}
	demand := make([]Demand, len(names))
	order := v1alpha1.ControlPlaneSpec{Availability: availability, Zones: names}
	for _, instance := range controlplane.Instances(&order, controlplane.Guest) {
		zone := &demand[slices.Index(names, instance.Zone)]
		component := sizeOf(instance.Kind, size)
		amount := Vector{MilliCPU: component.CPU.MilliValue(), Memory: component.Memory.Value(), Pods: 1, Addresses: 1}
		if instance.Kind == controlplane.Etcd {
			amount.Volumes = 1
		}
		zone.Vector = zone.Add(amount)
		if instance.Kind == controlplane.APIServer && len(names) > 1 {
			zone.APIServerMilliCPU += amount.MilliCPU
		}
	}
	return demand
}

func sizeOf(kind controlplane.Kind, size v1alpha1.ControlPlaneSize) v1alpha1.ComponentSize {
	switch kind {
	case controlplane.Etcd:
		return size.Etcd
	case controlplane.APIServer:
		return size.APIServer
	case controlplane.ControllerManager:
		return size.ControllerManager
	default:
		return size.Scheduler
	}
}
