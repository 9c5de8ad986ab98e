package placement

import (
	"cmp"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

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
	// MaxGuestsPerTenant that the cell accepts; 0: any number.
	MaxGuestsPerTenant int
	// Guests that are placed here.
	Guests int
	// ReservePercent of every zone that stays free, 0 to 100.
	ReservePercent int64
	// AddressesPerInterface: as many guests of one VPC share an interface in each of their zones; 0: 1.
	AddressesPerInterface int64
	// CorePerHour and GibibytePerHour are prices in the fleet's currency; 0: free.
	CorePerHour, GibibytePerHour float64
	// Zones sorted by name.
	Zones []*Zone
	// Tenants counts guests by the namespace of their Clusters.
	Tenants map[string]int

	// roundTrips between zones in microseconds, by the places of both in Zones; 0: not measured. nil: none is.
	roundTrips [][]int64
	// longest of roundTrips.
	longest int64
}

// Zone is what placement knows of a zone of a cell.
type Zone struct {
	// Name of the zone.
	Name string
	// Capacity in all, before any reserve. Pods, Addresses and Volumes may be Unlimited.
	Capacity Vector
	// Interfaces that the zone's nodes may attach to VPCs; may be Unlimited.
	Interfaces int64
	// Used by the guests that are placed here.
	Used Vector
	// Held by a drill: nothing starts there.
	Held bool

	// takeover is the CPU (thousandths of a core) that this zone must carry besides when another zone is
	// lost, by its place in Cell.Zones.
	takeover []int64
	// vpcs counts the guests of this zone by their VPC.
	vpcs map[string]int64
	// attached interfaces: those that the guests of vpcs share.
	attached int64
}

// NewCell describes a cell of a region that holds no guest yet. Room lies only in zones that the operator
// names and whose capacity the agent reports. What is reported below zero counts as zero.
func NewCell(cell *v1alpha1.Cell, region *Region, ready bool) *Cell {
	state := &Cell{
		Name:               cell.Name,
		Region:             region,
		Ready:              ready,
		RuntimeProblem:     RuntimeProblem(cell),
		Cordoned:           cell.Spec.Cordoned,
		Kinds:              cell.Spec.Kinds,
		Versions:           cell.Status.Versions,
		MaxGuests:          int(cell.Spec.MaxGuests),
		MaxGuestsPerTenant: int(cell.Spec.MaxGuestsPerTenant),
		ReservePercent:     defaultReservePercent,
		Tenants:            map[string]int{},
	}
	if cell.Spec.ReservePercent != nil {
		state.ReservePercent = min(max(int64(*cell.Spec.ReservePercent), 0), 100)
	}
	if cost := cell.Spec.Cost; cost != nil {
		state.CorePerHour, state.GibibytePerHour = cost.CorePerHour.AsApproximateFloat64(), cost.GibibytePerHour.AsApproximateFloat64()
	}
	if network := cell.Spec.Network; network != nil && network.AddressesPerInterface != nil {
		state.AddressesPerInterface = int64(*network.AddressesPerInterface)
	}
	for i := range cell.Status.Zones {
		if slices.Contains(cell.Spec.Zones, cell.Status.Zones[i].Name) {
			state.Zones = append(state.Zones, newZone(cell, &cell.Status.Zones[i]))
		}
	}
	slices.SortFunc(state.Zones, func(a, b *Zone) int { return cmp.Compare(a.Name, b.Name) })
	for _, zone := range state.Zones {
		zone.takeover = make([]int64, len(state.Zones))
	}
	state.measure(cell.Status.RoundTrips)
	return state
}

func newZone(cell *v1alpha1.Cell, reported *v1alpha1.ZoneCapacity) *Zone {
	zone := &Zone{
		Name: reported.Name,
		Capacity: Vector{
			MilliCPU: max(reported.CPU.MilliValue(), 0), Memory: max(reported.Memory.Value(), 0),
			Pods: counted(reported.Pods), Addresses: counted(reported.Addresses), Volumes: counted(reported.Volumes),
		},
		Interfaces: Unlimited,
		Held:       slices.ContainsFunc(cell.Spec.Drills, func(d v1alpha1.Drill) bool { return d.Zone == reported.Name }),
	}
	if network := cell.Spec.Network; network != nil && network.InterfacesPerNode != nil && reported.Nodes != nil {
		zone.Interfaces = max(*reported.Nodes, 0) * int64(*network.InterfacesPerNode)
	}
	return zone
}

// counted is a capacity that may not be reported at all.
func counted(reported *int64) int64 {
	if reported == nil {
		return Unlimited
	}
	return max(*reported, 0)
}

// measure enters round trips. Their keys are "a-b" for zones a and b; names of zones may hold a '-', too.
func (c *Cell) measure(roundTrips []v1alpha1.RoundTrip) {
	if len(roundTrips) == 0 {
		return
	}
	c.roundTrips = make([][]int64, len(c.Zones))
	for i := range c.roundTrips {
		c.roundTrips[i] = make([]int64, len(c.Zones))
	}
	for i, a := range c.Zones {
		for j, b := range c.Zones {
			for _, measured := range roundTrips {
				if i != j && measured.Between == a.Name+"-"+b.Name {
					longer := max(c.roundTrips[i][j], measured.MedianMicroseconds)
					c.roundTrips[i][j], c.roundTrips[j][i] = longer, longer
					c.longest = max(c.longest, longer)
				}
			}
		}
	}
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

// Zone by its name; nil: the cell has none of that name.
func (c *Cell) Zone(name string) *Zone {
	if i := c.index(name); i >= 0 {
		return c.Zones[i]
	}
	return nil
}

// index of a zone in Zones; -1: the cell has none of that name.
func (c *Cell) index(name string) int {
	for i, zone := range c.Zones {
		if zone.Name == name {
			return i
		}
	}
	return -1
}

// Takeover is the CPU (thousandths of a core) that a zone must carry besides when another one is lost; 0 when
// the cell has no such zones.
func (c *Cell) Takeover(zone, lost string) int64 {
	i, j := c.index(zone), c.index(lost)
	if i < 0 || j < 0 {
		return 0
	}
	return c.Zones[i].takeover[j]
}

// Take books a guest in its zones of the cell, and in the region. Zones that the cell no longer has are
// passed over.
func (c *Cell) Take(guest Guest) { c.enter(&guest, 1) }

// Release undoes Take.
func (c *Cell) Release(guest Guest) { c.enter(&guest, -1) }

// enter a guest times times: 1 adds it, -1 takes exactly that out again.
func (c *Cell) enter(guest *Guest, times int64) {
	c.Guests += int(times)
	if c.Tenants == nil {
		c.Tenants = map[string]int{}
	}
	c.Tenants[guest.Tenant] += int(times)
	c.Region.book(guest.Tenant, int(times), total(guest.Demand).times(times))
	c.book(guest.Zones, guest.Demand, times)
	if guest.VPC == "" {
		return
	}
	for _, name := range guest.Zones {
		if zone := c.Zone(name); zone != nil {
			zone.attach(guest.VPC, times, c.perInterface())
		}
	}
}

// book a demand in zones, times times.
func (c *Cell) book(zones []string, demand []Demand, times int64) {
	for i, name := range zones[:min(len(zones), len(demand))] {
		lost := c.index(name)
		if lost < 0 {
			continue
		}
		c.Zones[lost].Used = c.Zones[lost].Used.Add(demand[i].times(times))
		taken := times * share(demand[i].APIServerMilliCPU, len(zones))
		for j, other := range zones {
			if zone := c.Zone(other); j != i && zone != nil {
				zone.takeover[lost] += taken
			}
		}
	}
}

// perInterface guests of one VPC, at least one.
func (c *Cell) perInterface() int64 { return max(c.AddressesPerInterface, 1) }

// attach guests of a VPC to the zone, or detach them with times below zero.
func (z *Zone) attach(vpc string, times, perInterface int64) {
	if z.vpcs == nil {
		z.vpcs = map[string]int64{}
	}
	before := z.vpcs[vpc]
	z.vpcs[vpc] = before + times
	z.attached += interfaces(before+times, perInterface) - interfaces(before, perInterface)
}

// interfaces that so many guests of one VPC take.
func interfaces(guests, perInterface int64) int64 { return (guests + perInterface - 1) / perInterface }

// Clone returns a copy that shares nothing that Take and Release change, with a region of its own. To clone
// cells that share a region, use the function Clone.
func (c *Cell) Clone() *Cell { return c.cloneIn(c.Region.Clone()) }

func (c *Cell) cloneIn(region *Region) *Cell {
	same := *c
	same.Region, same.Tenants, same.Zones = region, maps.Clone(c.Tenants), make([]*Zone, len(c.Zones))
	for i, zone := range c.Zones {
		copied := *zone
		copied.takeover, copied.vpcs = slices.Clone(zone.takeover), maps.Clone(zone.vpcs)
		same.Zones[i] = &copied
	}
	return &same
}

// Clone copies cells, and each of their regions once: copies share a region where the cells did.
func Clone(cells []*Cell) []*Cell {
	regions := map[*Region]*Region{}
	same := make([]*Cell, len(cells))
	for i, cell := range cells {
		if _, found := regions[cell.Region]; !found {
			regions[cell.Region] = cell.Region.Clone()
		}
		same[i] = cell.cloneIn(regions[cell.Region])
	}
	return same
}
