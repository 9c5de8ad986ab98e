package placement

import (
	"slices"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
)

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

// DemandOf is what a control plane of that size takes in each of its zones: CPU and memory of its instances,
// and for each of them a pod with an address; a volume for each member of etcd.
func DemandOf(availability v1alpha1.Availability, size v1alpha1.ControlPlaneSize) []Demand {
	names := []string{"0"}
	if availability == v1alpha1.Zonal {
		names = []string{"0", "1", "2"}
	}
	demand := make([]Demand, len(names))
	order := v1alpha1.ControlPlaneSpec{Availability: availability, Zones: names}
	for _, instance := range controlplane.Instances(&order, controlplane.Guest) {
		zone := &demand[slices.Index(names, instance.Zone)]
		taken := vectorOf(sizeOf(instance.Kind, size))
		taken.Pods, taken.Addresses = 1, 1
		if instance.Kind == controlplane.Etcd {
			taken.Volumes = 1
		}
		zone.Vector = zone.Add(taken)
		if instance.Kind == controlplane.APIServer && len(names) > 1 {
			zone.APIServerMilliCPU += taken.MilliCPU
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

// total of a demand over all zones.
func total(demand []Demand) Vector {
	var sum Vector
	for i := range demand {
		sum = sum.Add(demand[i].Vector)
	}
	return sum
}

// share of an amount that each of n takes over, rounded up: the reserve errs to the safe side.
func share(amount int64, n int) int64 { return (amount + int64(n) - 1) / int64(n) }
