// Package ledger counts what is promised of a region's room and ports. Scheduling, which gives it to new
// guests, and gears, which let guests grow, go by the same count.
package ledger

import (
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/order"
	"github.com/myriad-fleet/myriad/internal/hub/resolve"
	"github.com/myriad-fleet/myriad/internal/placement"
)

// Ledger is the room and the ports of a region, or of one cell of it, and what is promised of them.
type Ledger struct {
	// Cells by name.
	Cells map[string]*placement.Cell

	demands map[string][]placement.Demand // by copyID
	ids     map[string]bool
	ports   map[int32]bool
}

// Source is what is counted. All of it may be shared with the cache: it is only read.
type Source struct {
	// Catalogue that Clusters without an order are resolved by.
	Catalogue resolve.Catalogue
	// Cells whose room is wanted.
	Cells []v1alpha1.Cell
	// Orders and Clusters that may lie in them.
	Orders   []v1alpha1.ControlPlane
	Clusters []v1alpha1.Cluster
	// Promises that none of these shows yet.
	Promises *Promises
}

// Count enters everything that holds room or a port: orders, bound Clusters whose order is not
// written yet, binds and growth that the cache does not show yet, and orphans, which may be adopted.
func Count(region string, source Source) *Ledger {
	l := &Ledger{Cells: map[string]*placement.Cell{}, demands: map[string][]placement.Demand{}, ids: map[string]bool{}, ports: map[int32]bool{}}
	for i := range source.Cells {
		l.Cells[source.Cells[i].Name] = placement.NewCell(&source.Cells[i], meta.IsStatusConditionTrue(source.Cells[i].Status.Conditions, v1alpha1.ConditionReady))
	}
	for i := range source.Orders {
		o := &source.Orders[i]
		l.Enter(o.Spec.Cluster.Namespace, order.BookingFor(o), source.Promises.demandOf(o))
	}
	for i := range source.Clusters {
		if booking, bound := order.BookingOf(&source.Clusters[i]); bound {
			resolved, _ := resolve.Cluster(source.Clusters[i].Spec, source.Catalogue)
			l.Enter(source.Clusters[i].Namespace, booking, placement.DemandOf(resolved.Availability, resolved.Size))
		}
	}
	for _, bind := range source.Promises.binds(region) {
		l.Enter(bind.Tenant, bind.Booking, bind.Demand)
	}
	for i := range source.Cells {
		for _, orphan := range source.Cells[i].Status.Orphans {
			o := orphan.Order
			booking := order.Booking{ID: orphan.ID, Cell: source.Cells[i].Name, Zones: o.Zones, PlainPort: o.Endpoint.PlainPort}
			l.Enter(o.Cluster.Namespace, booking, placement.DemandOf(o.Availability, o.Size))
		}
	}
	return l
}

// Enter a booking. A guest has one copy per cell; each counts once, and they share a port.
func (l *Ledger) Enter(tenant string, booking order.Booking, demand []placement.Demand) {
	l.ports[booking.PlainPort] = true
	id := copyID(booking.Cell, booking.ID)
	if l.ids[id] {
		return
	}
	l.ids[id], l.ids[booking.ID] = true, true
	if cell, ok := l.Cells[booking.Cell]; ok {
		cell.Take(tenant, booking.Zones, demand)
		l.demands[id] = demand
	}
}

// Taken tells whether a guest has that id.
func (l *Ledger) Taken(id string) bool { return l.ids[id] }

// GrowthProblem says why a guest that was counted cannot take to instead in its zones; empty: it can.
func (l *Ledger) GrowthProblem(booking order.Booking, to []placement.Demand) string {
	cell, ok := l.Cells[booking.Cell]
	if !ok {
		return "cell " + booking.Cell + " does not exist"
	}
	return placement.GrowthProblem(cell, booking.Zones, l.demands[copyID(booking.Cell, booking.ID)], to)
}

// Grow enters what GrowthProblem finds no problem with. What a guest gives back stays counted until the
// cache shows it: it might not be written.
func (l *Ledger) Grow(booking order.Booking, to []placement.Demand) (problem string) {
	if problem := l.GrowthProblem(booking, to); problem != "" {
		return problem
	}
	id := copyID(booking.Cell, booking.ID)
	larger := placement.Larger(l.demands[id], to)
	if problem := placement.Grow(l.Cells[booking.Cell], booking.Zones, l.demands[id], larger); problem != "" {
		return problem
	}
	l.demands[id] = larger
	return ""
}

// FreePort is the lowest free plain port of a gateway, or false when all are given away.
func (l *Ledger) FreePort(gateway v1alpha1.RegionGateway) (int32, bool) {
	for port := gateway.FirstPlainPort; port <= gateway.LastPlainPort; port++ {
		if !l.ports[port] {
			return port, true
		}
	}
	return 0, false
}

func copyID(cell, id string) string { return cell + "/" + id }
