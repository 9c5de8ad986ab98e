// Package ledger counts what is promised of regions' room, plain ports and addresses, and keeps the promises in
// the Ledgers of the API. Scheduling, which gives room to new guests, and gears, which let guests grow, go by
// the same count.
package ledger

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/order"
	"github.com/myriad-fleet/myriad/internal/hub/resolve"
	"github.com/myriad-fleet/myriad/internal/placement"
)

const (
	// expiry is how long a booking is kept that nothing stands for: no order, no bound Cluster, and no Cluster
	// that waits. Its Cluster may have been seen by another hub whose cache is ahead of ours; caches are behind
	// by milliseconds as a rule.
	expiry = 30 * time.Second
	// growthTrial is how long growth is promised that the order does not show: as long as a write to the order
	// may be under way. The API server gives a request 60 s (its --request-timeout).
	growthTrial = time.Minute
)

// Books are the Ledgers of some regions, brought up to date with what else is known of their guests.
type Books struct {
	// Cells by name.
	Cells map[string]*placement.Cell

	now     time.Time
	regions map[string]*region
	pages   map[string]*page                 // by the name of the Ledger
	held    map[string]bool                  // ids of guests, and "<cell>/<id>" of their copies
	ordered map[string][]v1alpha1.ZoneDemand // what copies take by their orders, by "<cell>/<id>"
	pending map[types.UID]order.Booking      // in cells, by Cluster
	dropped []string                         // ids whose room is free again
	next    time.Duration
}

// Source is what is counted. All of it may be shared with the cache: it is only read.
type Source struct {
	// Now is the time.
	Now time.Time
	// Regions in which the cells lie. One that an operator has removed is not among them.
	Regions []v1alpha1.Region
	// Cells whose room is wanted.
	Cells []v1alpha1.Cell
	// Orders that lie in them.
	Orders []v1alpha1.ControlPlane
	// Clusters that are bound to them or wait for them.
	Clusters []v1alpha1.Cluster
	// Catalogue that bound Clusters without an order are resolved by.
	Catalogue resolve.Catalogue
	// Ledgers by name, as Names lists them or fewer: what has no Ledger here is not booked.
	Ledgers map[string]Volume
	// Stood tells whether something stood for a guest's booking in an earlier pass (Store.Stood): once that is
	// gone, so is the guest. Nil: nobody knows.
	Stood func(id string) bool
	// Bound tells that Clusters that wait are not among Clusters: nothing that is booked for them is dropped.
	Bound bool
}

// Names of the Ledgers of some regions and cells.
func Names(regions []v1alpha1.Region, cells []v1alpha1.Cell) []string {
	var names []string
	for i := range regions {
		names = append(names, v1alpha1.RegionLedger(regions[i].Name))
		for _, vpc := range regions[i].Spec.VPCs {
			names = append(names, v1alpha1.VPCLedger(regions[i].Name, vpc.Name))
		}
	}
	for i := range cells {
		names = append(names, v1alpha1.CellLedger(cells[i].Name))
	}
	return names
}

// Count brings the Ledgers up to date: what stands for a guest is booked if it was not, and what nothing stands
// for any more is dropped.
func Count(source Source) *Books {
	b := &Books{
		Cells: map[string]*placement.Cell{}, now: source.Now, regions: map[string]*region{}, pages: map[string]*page{}, held: map[string]bool{}, ordered: map[string][]v1alpha1.ZoneDemand{},
		pending: map[types.UID]order.Booking{},
	}
	for name, volume := range source.Ledgers {
		b.pages[name] = newPage(volume)
	}
	for i := range source.Regions {
		b.regions[source.Regions[i].Name] = newRegion(&source.Regions[i], source.Cells)
	}
	for i := range source.Cells {
		cell := &source.Cells[i]
		b.Cells[cell.Name] = placement.NewCell(cell, b.region(cell.Spec.Region).placement, meta.IsStatusConditionTrue(cell.Status.Conditions, v1alpha1.ConditionReady))
	}
	facts, waiting := factsOf(source), waitingOf(source.Clusters)
	keep := func(booking v1alpha1.Booking) bool {
		stood := source.Stood != nil && source.Stood(booking.ID)
		return source.Bound || waiting[booking.Cluster] || !stood && !b.expired(booking)
	}
	for i := range source.Cells {
		b.countRoom(&source.Cells[i], facts, keep)
	}
	for _, name := range slices.Sorted(maps.Keys(b.regions)) {
		b.countRegion(b.regions[name], facts, keep)
	}
	return b
}

// fact is a copy of a guest that stands for its booking.
type fact struct {
	booking v1alpha1.Booking
	cell    string
	region  string
	orphan  bool
	// unsized: nobody can say what it takes, since its Release or template is gone.
	unsized bool
}

func waitingOf(clusters []v1alpha1.Cluster) map[types.UID]bool {
	waiting := map[types.UID]bool{}
	for i := range clusters {
		if _, bound := order.BookingOf(&clusters[i]); !bound && clusters[i].DeletionTimestamp.IsZero() {
			waiting[clusters[i].UID] = true
		}
	}
	return waiting
}

// factsOf the source, in the order in which they count: orders, bound Clusters without one, and orphans, which
// may be adopted. A guest has one copy per cell; each counts once.
func factsOf(source Source) []fact {
	clusters := make(map[string]*v1alpha1.Cluster, len(source.Clusters))
	for i := range source.Clusters {
		clusters[source.Clusters[i].Namespace+"/"+source.Clusters[i].Name] = &source.Clusters[i]
	}
	regionOf := make(map[string]string, len(source.Cells))
	for i := range source.Cells {
		regionOf[source.Cells[i].Name] = source.Cells[i].Spec.Region
	}
	facts := make([]fact, 0, len(source.Orders)+len(source.Clusters)/8)
	add := func(booked order.Booking, tenant string, cluster types.UID, demand []placement.Demand) *fact {
		facts = append(facts, fact{booking: bookingOf(booked, tenant, cluster, demand), cell: booked.Cell, region: regionOf[booked.Cell]})
		return &facts[len(facts)-1]
	}
	for i := range source.Orders {
		o := &source.Orders[i]
		var uid types.UID
		if cluster := clusters[o.Spec.Cluster.Namespace+"/"+o.Spec.Cluster.Name]; cluster != nil && cluster.Labels[v1alpha1.LabelID] == o.Name {
			uid = cluster.UID
		}
		add(order.BookingFor(o), o.Spec.Cluster.Namespace, uid, placement.DemandOf(o.Spec.Availability, o.Spec.Size))
	}
	seen := map[string]bool{}
	for i := range facts {
		seen[copyID(facts[i].cell, facts[i].booking.ID)] = true
	}
	for i := range source.Clusters {
		cluster := &source.Clusters[i]
		if booked, bound := order.BookingOf(cluster); bound && !seen[copyID(booked.Cell, booked.ID)] {
			seen[copyID(booked.Cell, booked.ID)] = true
			resolved, problem := resolve.Cluster(cluster.Spec, source.Catalogue)
			add(booked, cluster.Namespace, cluster.UID, placement.DemandOf(resolved.Availability, resolved.Size)).unsized = problem != nil
		}
	}
	for i := range source.Cells {
		for _, orphan := range source.Cells[i].Status.Orphans {
			if o := orphan.Order; !seen[copyID(source.Cells[i].Name, orphan.ID)] {
				add(order.BookingOfOrphan(source.Cells[i].Name, &orphan), o.Cluster.Namespace, "", placement.DemandOf(o.Availability, o.Size)).orphan = true
			}
		}
	}
	return facts
}

// countRoom of one cell. Of what no fact stands for it keeps what it is told to.
func (b *Books) countRoom(cell *v1alpha1.Cell, facts []fact, keep func(v1alpha1.Booking) bool) {
	page := b.page(v1alpha1.CellLedger(cell.Name))
	stands := map[string]bool{}
	for i := range facts {
		f := &facts[i]
		if f.cell != cell.Name || stands[f.booking.ID] {
			continue
		}
		stands[f.booking.ID] = true
		if booked := page.find(f.booking.ID); f.unsized && booked != nil && booked.Room != nil {
			f.booking.Room = booked.Room // the order that is written once they are back will take it
		}
		b.ordered[copyID(cell.Name, f.booking.ID)] = f.booking.Room.Demand
		if f.orphan && page.find(f.booking.ID) == nil {
			b.take(cell.Name, f.booking)
			continue
		}
		page.set(b.settled(page.find(f.booking.ID), f.booking), b.now)
	}
	page.keep(func(booking v1alpha1.Booking) bool {
		kept := stands[booking.ID] || keep(booking)
		if !kept {
			b.dropped = append(b.dropped, booking.ID)
		}
		return kept
	})
	for _, booking := range page.bookings() {
		b.take(cell.Name, booking)
	}
}

// settled is what is booked for a guest that has an order, or is bound: what that says, or what it was promised
// besides for as long as the order may not show it yet.
func (b *Books) settled(booked *v1alpha1.Booking, fact v1alpha1.Booking) v1alpha1.Booking {
	if booked == nil || booked.Room == nil {
		return fact
	}
	room := *fact.Room
	if left := growthTrial - b.now.Sub(booked.BookedAt.Time); left > 0 {
		room.Demand = zoneDemands(placement.Larger(demands(fact.Room.Demand), demands(booked.Room.Demand)))
		if !equality.Semantic.DeepEqual(room.Demand, fact.Room.Demand) {
			b.lookAgain(left) // it may be free then
		}
	}
	fact.Room, fact.BookedAt = &room, booked.BookedAt
	fact.Cluster = cmp.Or(fact.Cluster, booked.Cluster)
	return fact
}

// take a booking's room.
func (b *Books) take(cell string, booking v1alpha1.Booking) {
	b.held[booking.ID], b.held[copyID(cell, booking.ID)] = true, true
	if booking.Cluster != "" && booking.Room != nil {
		b.pending[booking.Cluster] = order.Booking{
			ID: booking.ID, Cell: cell, Zones: booking.Room.Zones, PlainPort: booking.PlainPort, VPC: booking.Room.VPC, Ranges: booking.Ranges,
		}
	}
	if known := b.Cells[cell]; known != nil && booking.Room != nil {
		known.Take(guestOf(booking))
	}
}

// expired tells whether a booking that nothing stands for is to be dropped; if not, somebody must look again.
func (b *Books) expired(booking v1alpha1.Booking) bool {
	left := expiry - b.now.Sub(booking.BookedAt.Time)
	if left > 0 {
		b.lookAgain(left)
	}
	return left <= 0
}

func (b *Books) lookAgain(after time.Duration) {
	if b.next == 0 || after < b.next {
		b.next = after
	}
}

// Next is when something that is booked may be free without any event, from now; 0: nothing will.
func (b *Books) Next() time.Duration { return b.next }

// Taken tells whether a guest has that id.
func (b *Books) Taken(id string) bool { return b.held[id] }

// page of a Ledger; an empty one that is not written when the Ledger is not among those that are counted.
func (b *Books) page(name string) *page {
	if b.pages[name] == nil {
		return nowhere()
	}
	return b.pages[name]
}

// region by name, also one that an operator has removed while it was in use.
func (b *Books) region(name string) *region {
	if b.regions[name] == nil {
		gone := &v1alpha1.Region{}
		gone.Name = name
		b.regions[name] = newRegion(gone, nil)
	}
	return b.regions[name]
}

// edit is a Volume as it is to be.
type edit struct {
	Volume
	newBase bool
}

// changed Ledgers in the order in which they are written: first all that is booked for guests besides their room, and
// then that. Those that are written together are sorted by name.
func (b *Books) changed() [][]edit {
	turns := make([][]edit, 2)
	for _, name := range slices.Sorted(maps.Keys(b.pages)) {
		next, newBase, changed := b.pages[name].written()
		if !changed {
			continue
		}
		turn := 0
		if isRoom(name) {
			turn = 1
		}
		turns[turn] = append(turns[turn], edit{Volume: next, newBase: newBase})
	}
	return turns
}

// isRoom tells whether a Ledger is of a cell's room.
func isRoom(name string) bool { return strings.HasPrefix(name, v1alpha1.CellLedger("")) }

func copyID(cell, id string) string { return cell + "/" + id }
