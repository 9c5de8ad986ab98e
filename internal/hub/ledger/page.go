package ledger

import (
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/order"
	"github.com/myriad-fleet/myriad/internal/placement"
)

// page is one Ledger while it is brought up to date.
type page struct {
	before  Volume
	byID    map[string]v1alpha1.Booking
	touched map[string]bool // ids of which something new is to be said
}

func newPage(volume Volume) *page {
	return &page{before: volume, byID: volume.byID(), touched: map[string]bool{}}
}

// nowhere is a page that is never written.
func nowhere() *page { return newPage(Volume{Head: &v1alpha1.Ledger{}, Base: &v1alpha1.Ledger{}}) }

func (p *page) find(id string) *v1alpha1.Booking {
	if booking, ok := p.byID[id]; ok {
		return &booking
	}
	return nil
}

// set a booking; one that says something new is of now.
func (p *page) set(booking v1alpha1.Booking, now time.Time) {
	before, ok := p.byID[booking.ID]
	booking.BookedAt = before.BookedAt
	if ok && equality.Semantic.DeepEqual(before, booking) {
		return
	}
	booking.BookedAt = metav1.NewTime(now)
	p.byID[booking.ID], p.touched[booking.ID] = booking, true
}

// keep the bookings that a function says yes to.
func (p *page) keep(kept func(v1alpha1.Booking) bool) {
	for id, booking := range p.byID {
		if !kept(booking) {
			delete(p.byID, id)
			p.touched[id] = true
		}
	}
}

// bookings sorted by id.
func (p *page) bookings() []v1alpha1.Booking { return sorted(p.byID) }

// written is the Volume as it is to be, with whether its base is new, too; false: it is as it was.
func (p *page) written() (next Volume, newBase, changed bool) {
	if len(p.touched) == 0 || p.before.Head.Name == "" {
		return Volume{}, false, false
	}
	next.Base = p.before.Base
	said := p.before.says()
	if newBase = len(said) >= foldAt; newBase {
		next.Base, said = p.before.folded(), map[string]bool{}
	}
	maps.Copy(said, p.touched)
	next.Head = successor(p.before.Head)
	for _, id := range slices.Sorted(maps.Keys(said)) {
		if booking, ok := p.byID[id]; ok {
			next.Head.Bookings = append(next.Head.Bookings, booking)
		} else {
			next.Head.Dropped = append(next.Head.Dropped, id)
		}
	}
	return next, newBase, true
}

// bookingOf a guest in the Ledger of its cell.
func bookingOf(booked order.Booking, tenant string, cluster types.UID, demand []placement.Demand) v1alpha1.Booking {
	return v1alpha1.Booking{
		ID: booked.ID, Tenant: tenant, Cluster: cluster,
		PlainPort: booked.PlainPort, Ranges: booked.Ranges,
		Room: &v1alpha1.BookedRoom{VPC: booked.VPC, Zones: booked.Zones, Demand: zoneDemands(demand)},
	}
}

func guestOf(booking v1alpha1.Booking) placement.Guest {
	return placement.Guest{Tenant: booking.Tenant, VPC: booking.Room.VPC, Zones: booking.Room.Zones, Demand: demands(booking.Room.Demand)}
}

func demands(zones []v1alpha1.ZoneDemand) []placement.Demand {
	all := make([]placement.Demand, len(zones))
	for i, zone := range zones {
		all[i].MilliCPU, all[i].Memory, all[i].APIServerMilliCPU = zone.MilliCPU, zone.Memory, zone.APIServerMilliCPU
		all[i].Pods, all[i].Addresses, all[i].Volumes = zone.Pods, zone.Pods, zone.Volumes
	}
	return all
}

func zoneDemands(demand []placement.Demand) []v1alpha1.ZoneDemand {
	all := make([]v1alpha1.ZoneDemand, len(demand))
	for i, d := range demand {
		all[i] = v1alpha1.ZoneDemand{MilliCPU: d.MilliCPU, Memory: d.Memory, APIServerMilliCPU: d.APIServerMilliCPU, Pods: d.Pods, Volumes: d.Volumes}
	}
	return all
}
