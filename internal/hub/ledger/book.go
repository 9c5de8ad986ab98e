package ledger

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/order"
	"github.com/myriad-fleet/myriad/internal/placement"
)

// Pending is what is booked for a Cluster that still waits for its bind: an earlier pass booked it, and the
// bind failed or the cache does not show it.
func (b *Books) Pending(cluster types.UID) (order.Booking, bool) {
	booked, ok := b.pending[cluster]
	return booked, ok
}

// Book what a decision gives to a Cluster. It is promised once the Store has written it.
func (b *Books) Book(tenant string, cluster types.UID, booked order.Booking, demand []placement.Demand) {
	booking := bookingOf(booked, tenant, cluster, demand)
	cell := b.Cells[booked.Cell]
	if cell == nil {
		return
	}
	b.page(v1alpha1.CellLedger(booked.Cell)).set(booking, b.now)
	b.take(booked.Cell, booking)
	r := b.region(cell.Region.Region)
	r.ports[booked.PlainPort] = true
	b.page(v1alpha1.RegionLedger(r.spec.Name)).set(portOf(booking), b.now)
	b.pageOfVPC(r, booking).set(rangesOf(booking), b.now)
	if vpc := r.vpcs[booked.VPC]; vpc != nil {
		takeRanges(vpc, booking)
	}
}

// Covers tells whether what is booked for a guest is no less than a demand.
func (b *Books) Covers(booked order.Booking, demand []placement.Demand) bool {
	booking := b.page(v1alpha1.CellLedger(booked.Cell)).find(booked.ID)
	return booking != nil && booking.Room != nil && !placement.More(demands(booking.Room.Demand), demand)
}

// Unbook what is Pending for a Cluster that may not have it any more. What an orphan stands for, which it was to adopt,
// stays booked for that.
func (b *Books) Unbook(booked order.Booking) {
	cell, room := b.Cells[booked.Cell], b.page(v1alpha1.CellLedger(booked.Cell))
	booking := room.find(booked.ID)
	if cell == nil || booking == nil {
		return
	}
	delete(b.pending, booking.Cluster)
	if _, stands := b.ordered[copyID(booked.Cell, booked.ID)]; stands {
		left := *booking
		left.Cluster = ""
		room.set(left, b.now)
		return
	}
	cell.Release(guestOf(*booking))
	delete(b.held, booked.ID)
	delete(b.held, copyID(booked.Cell, booked.ID))
	r := b.region(cell.Region.Region)
	delete(r.ports, booked.PlainPort)
	if vpc := r.vpcs[booked.VPC]; vpc != nil {
		vpc.Release(booked.ID)
	}
	for _, p := range []*page{room, b.page(v1alpha1.RegionLedger(r.spec.Name)), b.pageOfVPC(r, *booking)} {
		p.keep(func(other v1alpha1.Booking) bool { return other.ID != booked.ID })
	}
}

// GrowthProblem says why a guest that was counted cannot take to instead in its zones; empty: it can.
func (b *Books) GrowthProblem(booked order.Booking, to []placement.Demand) string {
	cell, ok := b.Cells[booked.Cell]
	if !ok {
		return "cell " + booked.Cell + " does not exist"
	}
	booking := b.page(v1alpha1.CellLedger(booked.Cell)).find(booked.ID)
	if booking == nil {
		return "guest " + booked.ID + " has no room booked in cell " + booked.Cell + " yet"
	}
	ordered, known := b.ordered[copyID(booked.Cell, booked.ID)]
	if !known {
		return placement.GrowthProblem(cell, guestOf(*booking), to)
	}
	// What was promised to it and not given may have been lost with the cell's capacity since.
	promised, now := guestOf(*booking), guestOf(*booking)
	now.Demand = demands(ordered)
	cell.Release(promised)
	cell.Take(now)
	problem := placement.GrowthProblem(cell, now, to)
	cell.Release(now)
	cell.Take(promised)
	return problem
}

// Grow books what GrowthProblem finds no problem with. What a guest gives back stays booked until its order
// shows it: it might not be written.
func (b *Books) Grow(booked order.Booking, to []placement.Demand) (problem string) {
	if problem := b.GrowthProblem(booked, to); problem != "" {
		return problem
	}
	page := b.page(v1alpha1.CellLedger(booked.Cell))
	booking := *page.find(booked.ID)
	larger := placement.Larger(demands(booking.Room.Demand), to)
	cell := b.Cells[booked.Cell]
	cell.Release(guestOf(booking))
	room := *booking.Room
	room.Demand = zoneDemands(larger)
	booking.Room = &room
	cell.Take(guestOf(booking))
	page.set(booking, b.now)
	return ""
}
