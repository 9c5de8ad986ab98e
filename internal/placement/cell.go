package placement

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/residency"
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

// Region is what placement knows of a region; its cells share it.
type Region struct {
	residency.Place

	// Weights of the scores by name.
	Weights map[string]int64
	// MaxRoundTrip between two zones of a guest, in microseconds.
	MaxRoundTrip int64
	// Quotas by tenant; that of "*" is for all others.
	Quotas map[string]v1alpha1.TenantQuota
	// Used is what each tenant has in all cells of the region. Take and Release of its cells keep it.
	Used map[string]TenantUse
}

// TenantUse is what a tenant has in a region, over all zones.
type TenantUse struct {
	Guests int
	Vector
}

// NewRegion without guests.
func NewRegion(region *v1alpha1.Region) *Region {
	return &Region{Place: residency.PlaceOf(region), Used: map[string]TenantUse{}}
}

// Cell is what placement knows of a cell.
type Cell struct {
	// Name of the cell.
	Name string
	// Region of the cell.
	Region *Region
	// Ready while the cell's agent renews its Lease.
	Ready bool
	// RuntimeProblem is why no control plane can be run here; empty when one can.
	RuntimeProblem string
	// Cordoned keeps new guests away.
	Cordoned bool
	// Kinds of template that the cell accepts; empty accepts all.
	Kinds []string
	// Versions of Kubernetes that the cell can run.
	Versions []string
	// MaxGuests that the cell accepts; 0 leaves the number to its capacity.
	MaxGuests int
	// Guests that are placed here.
	Guests int
	// ReservePercent of every zone that stays free.
	ReservePercent int64
	// Zones by name.
	Zones map[string]*Zone
	// Tenants counts guests by the namespace of their Clusters.
	Tenants map[string]int
}

// Zone is what placement knows of a zone of a cell.
type Zone struct {
	// Capacity in all, before any reserve.
	Capacity Vector
	// Used by the guests that are placed here.
	Used Vector
	// Takeover is the CPU (thousandths of a core) that this zone must carry besides when the zone
	// of that name is lost.
	Takeover map[string]int64
	// Held by a drill: nothing starts there.
	Held bool
}

// NewCell describes a cell of a region that holds no guest yet. Room lies only in zones that the operator
// names and whose capacity the agent reports.
func NewCell(cell *v1alpha1.Cell, region *Region, ready bool) *Cell {
	state := &Cell{
		Name:           cell.Name,
		Region:         region,
		Ready:          ready,
		RuntimeProblem: RuntimeProblem(cell),
		Cordoned:       cell.Spec.Cordoned,
		Kinds:          cell.Spec.Kinds,
		Versions:       cell.Status.Versions,
		MaxGuests:      int(cell.Spec.MaxGuests),
		ReservePercent: defaultReservePercent,
		Zones:          map[string]*Zone{},
		Tenants:        map[string]int{},
	}
	if cell.Spec.ReservePercent != nil {
		state.ReservePercent = int64(*cell.Spec.ReservePercent)
	}
	for _, zone := range cell.Status.Zones {
		if slices.Contains(cell.Spec.Zones, zone.Name) {
			state.Zones[zone.Name] = &Zone{
				Capacity: Vector{MilliCPU: zone.CPU.MilliValue(), Memory: zone.Memory.Value()},
				Takeover: map[string]int64{},
				Held:     slices.ContainsFunc(cell.Spec.Drills, func(d v1alpha1.Drill) bool { return d.Zone == zone.Name }),
			}
		}
	}
	return state
}

// RuntimeProblem is why a cell's runtime can run no control planes, as its agent reports; empty when
// it can, or when nothing is said of that: some runtimes always can.
func RuntimeProblem(cell *v1alpha1.Cell) string {
	fit := meta.FindStatusCondition(cell.Status.Conditions, v1alpha1.ConditionRuntimeReady)
	if fit == nil || fit.Status == metav1.ConditionTrue {
		return ""
	}
	return fit.Reason + ": " + fit.Message
}

// Take books a guest in its zones of the cell. Zones that the cell no longer has are passed over.
func (c *Cell) Take(guest Guest) {
	c.Guests++
	c.Tenants[guest.Tenant]++
	c.book(guest.Zones, guest.Demand, 1)
}

// Release undoes Take.
func (c *Cell) Release(guest Guest) {
	c.Guests--
	c.Tenants[guest.Tenant]--
	c.book(guest.Zones, guest.Demand, -1)
}

// book a demand in zones, times times: 1 adds it, -1 takes exactly that out again.
func (c *Cell) book(zones []string, demand []Demand, times int64) {
	for i, name := range zones[:min(len(zones), len(demand))] {
		zone, ok := c.Zones[name]
		if !ok {
			continue
		}
		zone.Used = zone.Used.Add(Vector{MilliCPU: times * demand[i].MilliCPU, Memory: times * demand[i].Memory})
		for j, other := range zones {
			if j != i && c.Zones[other] != nil {
				c.Zones[other].Takeover[name] += times * share(demand[i].APIServerMilliCPU, len(zones)-1)
			}
		}
	}
}

// share of an amount that each of n takes over, rounded up: the reserve errs to the safe side.
func share(amount int64, n int) int64 { return (amount + int64(n) - 1) / int64(n) }

// DemandOf is what a control plane of that size takes in each of its zones.
func DemandOf(availability v1alpha1.Availability, size v1alpha1.ControlPlaneSize) []Demand {
	names := []string{"0"}
	if availability == v1alpha1.Zonal {
		names = []string{"0", "1", "2"}
	}
	demand := make([]Demand, len(names))
	order := v1alpha1.ControlPlaneSpec{Availability: availability, Zones: names}
	for _, instance := range controlplane.Instances(&order, controlplane.Guest) {
		zone := &demand[slices.Index(names, instance.Zone)]
		amount := vectorOf(sizeOf(instance.Kind, size))
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

func vectorOf(size v1alpha1.ComponentSize) Vector {
	return Vector{MilliCPU: size.CPU.MilliValue(), Memory: size.Memory.Value()}
}
