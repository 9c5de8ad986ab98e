package ledger

import (
	"slices"
	"strings"
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
	before *v1alpha1.Ledger // shared: read only
	byID   map[string]v1alpha1.Booking
	edited bool
}

func newPage(ledger *v1alpha1.Ledger) *page {
	p := &page{before: ledger, byID: make(map[string]v1alpha1.Booking, len(ledger.Bookings))}
	for _, booking := range ledger.Bookings {
		p.byID[booking.ID] = booking
	}
	return p
}

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
	p.byID[booking.ID], p.edited = booking, true
}

// keep the bookings that a function says yes to.
func (p *page) keep(kept func(v1alpha1.Booking) bool) {
	for id, booking := range p.byID {
		if !kept(booking) {
			delete(p.byID, id)
			p.edited = true
		}
	}
}

// bookings sorted by id.
func (p *page) bookings() []v1alpha1.Booking {
	all := make([]v1alpha1.Booking, 0, len(p.byID))
	for _, booking := range p.byID {
		all = append(all, booking)
	}
	slices.SortFunc(all, func(a, b v1alpha1.Booking) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// written is the Ledger as it is to be, and whether it differs from what it was.
func (p *page) written() (*v1alpha1.Ledger, bool) {
	if !p.edited || p.before.Name == "" {
		return nil, false
	}
	ledger := &v1alpha1.Ledger{Bookings: p.bookings()}
	ledger.Name, ledger.ResourceVersion, ledger.UID = p.before.Name, p.before.ResourceVersion, p.before.UID
	return ledger, true
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
