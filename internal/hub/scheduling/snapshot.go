package scheduling

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/index"
	"github.com/myriad-fleet/myriad/internal/hub/order"
	"github.com/myriad-fleet/myriad/internal/hub/resolve"
	"github.com/myriad-fleet/myriad/internal/placement"
)

// snapshot is a region as one pass sees it. Everything in it is shared with the cache: read only.
type snapshot struct {
	catalogue resolve.Catalogue
	cells     []v1alpha1.Cell
	orders    []v1alpha1.ControlPlane
	clusters  []v1alpha1.Cluster
	pending   map[types.UID]assumption
	ledger    *ledger
}

func (r *reconciler) read(ctx context.Context, p *pass) error {
	var (
		regions   v1alpha1.RegionList
		templates v1alpha1.ClusterTemplateList
		releases  v1alpha1.ReleaseList
		cells     v1alpha1.CellList
		orders    v1alpha1.ControlPlaneList
		clusters  v1alpha1.ClusterList
	)
	here := client.MatchingFields{index.Region: p.region}
	for _, read := range []struct {
		list    client.ObjectList
		options []client.ListOption
	}{
		{list: &regions},
		{list: &templates},
		{list: &releases},
		{list: &cells, options: []client.ListOption{here}},
		{list: &orders, options: []client.ListOption{here}},
		{list: &clusters, options: []client.ListOption{here}},
	} {
		if err := r.client.List(ctx, read.list, append(read.options, client.UnsafeDisableDeepCopy)...); err != nil {
			return fmt.Errorf("list %T: %w", read.list, err)
		}
	}
	s := &snapshot{
		catalogue: resolve.Catalogue{Regions: regions.Items, Templates: templates.Items, Releases: releases.Items},
		cells:     cells.Items,
		orders:    orders.Items,
		clusters:  clusters.Items,
		pending:   r.bookings.pending(p.region, clusters.Items),
	}
	s.ledger = s.count()
	p.snapshot = s
	return nil
}

// waiting Clusters of the region.
func (s *snapshot) waiting() []*v1alpha1.Cluster {
	var waiting []*v1alpha1.Cluster
	for i := range s.clusters {
		if isWaiting(&s.clusters[i]) {
			waiting = append(waiting, &s.clusters[i])
		}
	}
	return waiting
}

// count enters everything that holds room or a port: orders, bound Clusters whose order is not
// written yet, binds that the cache does not show yet, and orphans, which may be adopted.
func (s *snapshot) count() *ledger {
	l := newLedger()
	for i := range s.cells {
		l.cells[s.cells[i].Name] = placement.NewCell(&s.cells[i], isReady(&s.cells[i]))
	}
	for i := range s.orders {
		o := &s.orders[i]
		l.enter(o.Spec.Cluster.Namespace, order.BookingFor(o), placement.DemandOf(o.Spec.Availability, o.Spec.Size))
	}
	for i := range s.clusters {
		if booking, bound := order.BookingOf(&s.clusters[i]); bound {
			resolved, _ := resolve.Cluster(s.clusters[i].Spec, s.catalogue)
			l.enter(s.clusters[i].Namespace, booking, placement.DemandOf(resolved.Availability, resolved.Size))
		}
	}
	for _, assumed := range s.pending {
		l.enter(assumed.tenant, assumed.booking, assumed.demand)
	}
	for i := range s.cells {
		for _, orphan := range s.cells[i].Status.Orphans {
			o := orphan.Order
			booking := order.Booking{ID: orphan.ID, Cell: s.cells[i].Name, Zones: o.Zones, PlainPort: o.Endpoint.PlainPort}
			l.enter(o.Cluster.Namespace, booking, placement.DemandOf(o.Availability, o.Size))
		}
	}
	return l
}

// ledger is the room and the ports of a region, and what is promised of them.
type ledger struct {
	cells map[string]*placement.Cell
	ids   map[string]bool
	ports map[int32]bool
}

func newLedger() *ledger {
	return &ledger{cells: map[string]*placement.Cell{}, ids: map[string]bool{}, ports: map[int32]bool{}}
}

// enter a booking. A guest has one copy per cell; each counts once, and they share a port.
func (l *ledger) enter(tenant string, booking order.Booking, demand []placement.Demand) {
	l.ports[booking.PlainPort] = true
	copyID := booking.Cell + "/" + booking.ID
	if l.ids[copyID] {
		return
	}
	l.ids[copyID], l.ids[booking.ID] = true, true
	if cell, ok := l.cells[booking.Cell]; ok {
		cell.Take(tenant, booking.Zones, demand)
	}
}

// freePort is the lowest free plain port of a gateway, or false when all are given away.
func (l *ledger) freePort(gateway v1alpha1.RegionGateway) (int32, bool) {
	for port := gateway.FirstPlainPort; port <= gateway.LastPlainPort; port++ {
		if !l.ports[port] {
			return port, true
		}
	}
	return 0, false
}
