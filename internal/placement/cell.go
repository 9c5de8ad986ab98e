package placement

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

const (
	// defaultReservePercent is the default of Cell.spec.reservePercent.
	defaultReservePercent = 40
	// reserveAfterLossPercent of every zone stays free after any one other zone is lost.
	reserveAfterLossPercent = 10
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
	// MaxGuests that the cell accepts, and MaxPerTenant of one tenant; 0 leaves the number to its capacity.
	MaxGuests, MaxPerTenant int
	// Guests that are placed here.
	Guests int
	// ReservePercent of every zone that stays free.
	ReservePercent int64
	// CorePrice and GibibytePrice per hour, in thousandths of the fleet's currency.
	CorePrice, GibibytePrice int64
	// Zones, sorted by name.
	Zones []Zone
	// Tenants counts guests by the namespace of their Clusters.
	Tenants map[string]int
	// AddressesPerInterface is how many guests of one VPC share an interface in a zone; 0: interfaces are not counted.
	AddressesPerInterface int64
}

// Zone is what placement knows of a zone of a cell.
type Zone struct {
	// Name of the zone.
	Name string
	// Capacity in all, before any reserve.
	Capacity Vector
	// Used by the guests that are placed here.
	Used Vector
	// Takeover is the CPU (thousandths of a core) that this zone must carry besides when the zone
	// of that index is lost.
	Takeover []int64
	// RoundTrip to the zone of that index in microseconds, as measured; 0: nobody knows.
	RoundTrip []int64
	// Held by a drill: nothing starts there.
	Held bool
	// Interfaces that its nodes may attach to VPCs; Unlimited: nothing counts them.
	Interfaces int64
	// VPCs counts guests by the VPC that they reach into.
	VPCs map[string]int64

	// before and after are what may be used before any loss, and after that of another zone.
	before, after Vector
	// interfaces that are in use.
	interfaces int64
}

// NewCell describes a cell of a region that holds no guest yet. Room lies only in zones that the operator
// names and whose capacity the agent reports.
func NewCell(cell *v1alpha1.Cell, region *Region, ready bool) *Cell {
	c := &Cell{
		Name:           cell.Name,
		Region:         region,
		Ready:          ready,
		RuntimeProblem: RuntimeProblem(cell),
		Cordoned:       cell.Spec.Cordoned,
		Kinds:          cell.Spec.Kinds,
		Versions:       cell.Status.Versions,
		MaxGuests:      int(cell.Spec.MaxGuests),
		MaxPerTenant:   int(cell.Spec.MaxGuestsPerTenant),
		ReservePercent: defaultReservePercent,
		Tenants:        map[string]int{},
	}
	if cell.Spec.ReservePercent != nil {
		c.ReservePercent = int64(*cell.Spec.ReservePercent)
	}
	if cost := cell.Spec.Cost; cost != nil {
		c.CorePrice, c.GibibytePrice = cost.CorePerHour.MilliValue(), cost.GibibytePerHour.MilliValue()
	}
	if n := cell.Spec.Network; n != nil && n.InterfacesPerNode != nil && n.AddressesPerInterface != nil {
		c.AddressesPerInterface = int64(*n.AddressesPerInterface)
	}
	for i := range cell.Status.Zones {
		if slices.Contains(cell.Spec.Zones, cell.Status.Zones[i].Name) {
			c.Zones = append(c.Zones, newZone(cell, &cell.Status.Zones[i]))
		}
	}
	slices.SortFunc(c.Zones, func(a, b Zone) int { return strings.Compare(a.Name, b.Name) })
	c.measure(cell.Status.RoundTrips)
	c.limit()
	return c
}

func newZone(cell *v1alpha1.Cell, reported *v1alpha1.ZoneCapacity) Zone {
	zone := Zone{
		Name: reported.Name,
		Capacity: Vector{
			MilliCPU: reported.CPU.MilliValue(), Memory: reported.Memory.Value(),
			Pods: counted(reported.Pods), Addresses: counted(reported.Addresses), Volumes: counted(reported.Volumes),
		},
		Held:       slices.ContainsFunc(cell.Spec.Drills, func(d v1alpha1.Drill) bool { return d.Zone == reported.Name }),
		Interfaces: Unlimited,
	}
	if n := cell.Spec.Network; n != nil && n.InterfacesPerNode != nil && reported.Nodes != nil {
		zone.Interfaces = max(0, *reported.Nodes) * int64(*n.InterfacesPerNode)
	}
	return zone
}

// counted is a capacity that an agent reports; none: nothing counts it. CPU and memory are always counted.
func counted(reported *int64) int64 {
	if reported == nil {
		return Unlimited
	}
	return max(0, *reported)
}

// measure enters round trips between zones.
func (c *Cell) measure(roundTrips []v1alpha1.RoundTrip) {
	for i := range c.Zones {
		c.Zones[i].RoundTrip = make([]int64, len(c.Zones))
	}
	for _, trip := range roundTrips {
		for i := range c.Zones {
			for j := range c.Zones {
				if i != j && (trip.Between == c.Zones[i].Name+"-"+c.Zones[j].Name || trip.Between == c.Zones[j].Name+"-"+c.Zones[i].Name) {
					c.Zones[i].RoundTrip[j] = trip.MedianMicroseconds
				}
			}
		}
	}
}

// limit computes what may be used of each zone, and makes room for what may be booked there.
func (c *Cell) limit() {
	for i := range c.Zones {
		zone := &c.Zones[i]
		zone.before = limit(zone.Capacity, 100-c.ReservePercent)
		zone.after = limit(zone.Capacity, 100-reserveAfterLossPercent)
		if zone.Takeover == nil {
			zone.Takeover = make([]int64, len(c.Zones))
		}
		if zone.RoundTrip == nil {
			zone.RoundTrip = make([]int64, len(c.Zones))
		}
		if zone.VPCs == nil {
			zone.VPCs = map[string]int64{}
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

// Take books a guest in its zones of the cell. Zones that the cell no longer has are passed over.
func (c *Cell) Take(guest Guest) { c.book(guest, 1) }

// Release undoes Take.
func (c *Cell) Release(guest Guest) { c.book(guest, -1) }

// book a guest, times times: 1 adds it, -1 takes exactly that out again.
func (c *Cell) book(guest Guest, times int64) {
	c.Guests += int(times)
	if c.Tenants[guest.Tenant] += int(times); c.Tenants[guest.Tenant] == 0 {
		delete(c.Tenants, guest.Tenant)
	}
	c.Region.use(guest.Tenant, total(guest.Demand), times)
	parts := min(len(guest.Zones), len(guest.Demand))
	for i, name := range guest.Zones[:parts] {
		z := c.index(name)
		if z < 0 {
			continue
		}
		zone := &c.Zones[z]
		zone.Used = zone.Used.times(guest.Demand[i].Vector, times)
		c.attach(zone, guest.VPC, times)
		for j, other := range guest.Zones {
			if o := c.index(other); j != i && o >= 0 {
				c.Zones[o].Takeover[z] += times * share(guest.Demand[i].APIServerMilliCPU, len(guest.Zones)-1)
			}
		}
	}
}

// attach a guest to its VPC in a zone: an interface serves so many guests of one VPC.
func (c *Cell) attach(zone *Zone, vpc string, times int64) {
	if vpc == "" {
		return
	}
	before := zone.VPCs[vpc]
	zone.VPCs[vpc] = before + times
	zone.interfaces += c.interfacesFor(before+times) - c.interfacesFor(before)
	if zone.VPCs[vpc] == 0 {
		delete(zone.VPCs, vpc)
	}
}

// interfacesFor that many guests of one VPC in one zone.
func (c *Cell) interfacesFor(guests int64) int64 {
	if c.AddressesPerInterface <= 0 {
		return 0
	}
	return (guests + c.AddressesPerInterface - 1) / c.AddressesPerInterface
}

// index of a zone by name, or -1.
func (c *Cell) index(zone string) int {
	for i := range c.Zones {
		if c.Zones[i].Name == zone {
			return i
		}
	}
	return -1
}

// Clone of the cell, of the same Region.
func (c *Cell) Clone() *Cell {
	clone := *c
	clone.Tenants = maps.Clone(c.Tenants)
	clone.Zones = slices.Clone(c.Zones)
	for i := range clone.Zones {
		clone.Zones[i].Takeover = slices.Clone(c.Zones[i].Takeover)
		clone.Zones[i].VPCs = maps.Clone(c.Zones[i].VPCs)
	}
	return &clone
}

// Clone of cells and of the regions that they share.
func Clone(cells []*Cell) []*Cell {
	regions := map[*Region]*Region{}
	clones := make([]*Cell, len(cells))
	for i, cell := range cells {
		if regions[cell.Region] == nil {
			regions[cell.Region] = cell.Region.Clone()
		}
		clones[i] = cell.Clone()
		clones[i].Region = regions[cell.Region]
	}
	return clones
}
