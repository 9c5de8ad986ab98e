package capacity

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/placement"
)

// Fleet is cells with their guests at one time.
type Fleet struct {
	// Cells with their guests taken, sorted by name.
	Cells []*placement.Cell
	// Guests that live in the cells, sorted by id.
	Guests []Guest
	// Ladder of gears that guests drift on, the smallest first; empty: none drifts.
	Ladder []Rung
}

// Rung is one gear of the ladder.
type Rung struct {
	// Name of the gear.
	Name string
	// Size of a control plane in the gear.
	Size v1alpha1.ControlPlaneSize
}

// Guest is what the planner knows of a guest.
type Guest struct {
	// ID of the guest.
	ID string
	// Tenant is the namespace of the guest's Cluster.
	Tenant string
	// Kind of the guest's template.
	Kind string
	// Version of Kubernetes.
	Version string
	// Gear whose size the guest has; one that is not on the ladder does not drift.
	Gear string
	// Availability of the guest.
	Availability v1alpha1.Availability
	// Demand of the guest in each of its zones.
	Demand []placement.Demand
	// APIServer is what one API server of the guest takes: an upgrade runs two for a moment.
	APIServer placement.Vector
	// VPC that the guest reaches into; empty: none.
	VPC string
	// Region that its Cluster asks for; empty: any that Residency allows.
	Region string
	// Residency that the guest's place must meet; nil: none is asked for.
	Residency *v1alpha1.Residency
	// Cell that the guest lives in, and its zones in the order of Demand.
	Cell  string
	Zones []string
	// CreatedAt is when its Cluster was made; zero: not known.
	CreatedAt time.Time
}

// NewFleet takes the guests in their cells, which hold none yet. A guest of a cell that is not there counts nowhere.
func NewFleet(cells []*placement.Cell, guests []Guest, ladder []Rung) Fleet {
	fleet := Fleet{Cells: slices.Clone(cells), Guests: slices.Clone(guests), Ladder: ladder}
	slices.SortFunc(fleet.Cells, func(a, b *placement.Cell) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(fleet.Guests, func(a, b Guest) int { return cmp.Compare(a.ID, b.ID) })
	for _, guest := range fleet.Guests {
		if cell := fleet.cell(guest.Cell); cell != nil {
			cell.Take(guest.placed())
		}
	}
	return fleet
}

// LadderOf a Gearbox.
func LadderOf(gears []v1alpha1.Gear) []Rung {
	ladder := make([]Rung, 0, len(gears))
	for _, gear := range gears {
		ladder = append(ladder, Rung{Name: gear.Name, Size: v1alpha1.ControlPlaneSize{
			Gear: gear.Name, Etcd: gear.Size.Etcd, APIServer: gear.Size.APIServer,
			ControllerManager: gear.Size.ControllerManager, Scheduler: gear.Size.Scheduler,
		}})
	}
	return ladder
}

// sized gives a guest what a control plane of that size takes.
func (g Guest) sized(size v1alpha1.ControlPlaneSize) Guest {
	g.Gear = size.Gear
	g.Demand = placement.DemandOf(g.Availability, size)
	g.APIServer = placement.Vector{MilliCPU: size.APIServer.CPU.MilliValue(), Memory: size.APIServer.Memory.Value()}
	return g
}

// placed is the guest as placement books it.
func (g Guest) placed() placement.Guest {
	return placement.Guest{Tenant: g.Tenant, VPC: g.VPC, Zones: g.Zones, Demand: g.Demand}
}

// request for a place for the guest.
func (g Guest) request() placement.Request {
	return placement.Request{
		Region: g.Region, Residency: g.Residency, Tenant: g.Tenant, Kind: g.Kind, Version: g.Version, VPC: g.VPC, Demand: g.Demand,
	}
}

// like is a new guest of the same making for a region. It is a tenant of its own: how much a tenant may have is no
// matter of a cell's capacity.
func (g Guest) like(number int, region string) Guest {
	g.ID = fmt.Sprintf("planned-%06d", number)
	g.Tenant, g.Cell, g.Zones, g.Region, g.Residency = g.ID, "", nil, region, nil
	return g
}

// place a guest in one of the cells by the production's decision, and take it there. The second result is that
// decision.
func place(guest Guest, cells []*placement.Cell) (Guest, placement.Decision) {
	decision := placement.Place(guest.request(), cells)
	if decision.Cell == "" {
		return guest, decision
	}
	guest.Cell, guest.Zones = decision.Cell, decision.Zones
	find(cells, guest.Cell).Take(guest.placed())
	return guest, decision
}

func find(cells []*placement.Cell, name string) *placement.Cell {
	for _, cell := range cells {
		if cell.Name == name {
			return cell
		}
	}
	return nil
}

// Clone the fleet: what is done to the clone's cells and guests does not touch the original.
func (f Fleet) Clone() Fleet {
	return Fleet{Cells: cloneCells(f.Cells), Guests: slices.Clone(f.Guests), Ladder: f.Ladder}
}

// In is the part of the fleet that lies in a region. It shares cells with the whole.
func (f Fleet) In(region string) Fleet {
	part := Fleet{Ladder: f.Ladder}
	for _, cell := range f.Cells {
		if cell.Region.Region == region {
			part.Cells = append(part.Cells, cell)
		}
	}
	for _, guest := range f.Guests {
		if part.cell(guest.Cell) != nil {
			part.Guests = append(part.Guests, guest)
		}
	}
	return part
}

// Regions that have cells, sorted by name.
func (f Fleet) Regions() []string {
	var names []string
	for _, cell := range f.Cells {
		names = append(names, cell.Region.Region)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// in lists the guests of a cell.
func (f Fleet) in(cell string) []Guest {
	var here []Guest
	for _, guest := range f.Guests {
		if guest.Cell == cell {
			here = append(here, guest)
		}
	}
	return here
}

func (f Fleet) cell(name string) *placement.Cell {
	i, found := slices.BinarySearchFunc(f.Cells, name, func(c *placement.Cell, name string) int { return cmp.Compare(c.Name, name) })
	if !found {
		return nil
	}
	return f.Cells[i]
}
