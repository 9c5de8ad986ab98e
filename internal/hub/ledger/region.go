package ledger

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/network"
	"github.com/myriad-fleet/myriad/internal/placement"
)

// region is what is given away of a region beside the room of its cells.
type region struct {
	spec      *v1alpha1.Region
	placement *placement.Region
	ports     map[int32]bool
	vpcs      map[string]*network.VPC
	problems  map[string]string // of VPCs, by name
}

func newRegion(spec *v1alpha1.Region, cells []v1alpha1.Cell) *region {
	r := &region{
		spec: spec, placement: placement.NewRegion(spec),
		ports: map[int32]bool{}, vpcs: map[string]*network.VPC{}, problems: map[string]string{},
	}
	reserved := reservedBy(spec.Name, cells)
	for _, vpc := range spec.Spec.VPCs {
		planned, err := network.NewVPC(vpc, reserved)
		if err != nil {
			r.problems[vpc.Name] = err.Error()
			continue
		}
		r.vpcs[vpc.Name] = planned
	}
	return r
}

// reservedBy the cells of a region: no guest gets an address of theirs.
func reservedBy(region string, cells []v1alpha1.Cell) []netip.Prefix {
	var reserved []netip.Prefix
	for i := range cells {
		if cells[i].Spec.Region != region || cells[i].Spec.Network == nil {
			continue
		}
		for _, cidr := range cells[i].Spec.Network.CIDRs {
			if prefix, err := netip.ParsePrefix(cidr); err == nil { // the API lets no other in
				reserved = append(reserved, prefix)
			}
		}
	}
	return reserved
}

// countRegion brings the Ledgers of ports and addresses up to date: copies of one guest share both. Of what no fact
// stands for it keeps what it is told to.
func (b *Books) countRegion(r *region, facts []fact, keep func(v1alpha1.Booking) bool) {
	ports := b.page(v1alpha1.RegionLedger(r.spec.Name))
	for i := range facts {
		f := &facts[i]
		if f.region != r.spec.Name {
			continue
		}
		r.ports[f.booking.PlainPort] = true
		if !f.orphan {
			ports.set(portOf(f.booking), b.now)
			b.pageOfVPC(r, f.booking).set(rangesOf(f.booking), b.now)
		}
	}
	kept := func(booking v1alpha1.Booking) bool { return b.held[booking.ID] || keep(booking) }
	ports.keep(kept)
	for _, booking := range ports.bookings() {
		r.ports[booking.PlainPort] = true
	}
	for name, vpc := range r.vpcs {
		page := b.page(v1alpha1.VPCLedger(r.spec.Name, name))
		page.keep(kept)
		for _, booking := range page.bookings() {
			takeRanges(vpc, booking)
		}
	}
	for i := range facts {
		if f := &facts[i]; f.orphan && f.region == r.spec.Name && f.booking.Ranges != nil && r.vpcs[f.booking.Room.VPC] != nil {
			takeRanges(r.vpcs[f.booking.Room.VPC], f.booking)
		}
	}
}

// pageOfVPC that a booking has ranges in; of others one that is never written.
func (b *Books) pageOfVPC(r *region, booking v1alpha1.Booking) *page {
	if booking.Ranges == nil {
		return nowhere()
	}
	return b.page(v1alpha1.VPCLedger(r.spec.Name, booking.Room.VPC))
}

// takeRanges of a booking. Ranges that overlap others' were given by somebody else than this hub; they stay
// booked, and the first one by id counts.
func takeRanges(vpc *network.VPC, booking v1alpha1.Booking) {
	if booking.Ranges == nil {
		return
	}
	if ranges, err := network.ParseRanges(*booking.Ranges); err == nil {
		_ = vpc.Take(booking.ID, ranges)
	}
}

func portOf(booking v1alpha1.Booking) v1alpha1.Booking {
	booking.Room, booking.Ranges = nil, nil
	return booking
}

func rangesOf(booking v1alpha1.Booking) v1alpha1.Booking {
	booking.Room, booking.PlainPort = nil, 0
	return booking
}

// Offer is what a region has for a guest beside room.
type Offer struct {
	// PlainPort of its gateways.
	PlainPort int32
	// Ranges in the VPC; nil: the guest has a network of its own.
	Ranges *v1alpha1.AddressRanges
	// Problem that keeps the guest out of the region; its Reason is empty when there is none.
	Problem placement.RegionProblem
}

// Offer of a region to a guest of a tenant. Nothing is booked yet.
func (b *Books) Offer(name, tenant string, ask v1alpha1.ClusterNetwork) Offer {
	r := b.region(name)
	var offer Offer
	var free bool
	if offer.PlainPort, free = r.freePort(); !free {
		offer.Problem = placement.RegionProblem{
			Reason:  placement.ReasonNoPlainPort,
			Message: "every plain port of the region's gateways is given away; widen spec.gateway of the Region",
		}
		return offer
	}
	if ask.VPC == "" {
		return offer
	}
	if problem := r.vpcProblem(tenant, ask.VPC); problem != "" {
		offer.Problem = placement.RegionProblem{Reason: v1alpha1.ReasonVPCNotFound, Message: problem}
		return offer
	}
	ranges, problem := r.vpcs[ask.VPC].Plan(ask)
	if problem != nil {
		offer.Problem = placement.RegionProblem{Reason: problem.Reason, Message: problem.Message}
		return offer
	}
	addresses := ranges.Addresses()
	offer.Ranges = &addresses
	return offer
}

// vpcProblem says why a tenant cannot have a VPC; empty: it can.
func (r *region) vpcProblem(tenant, name string) string {
	i := slices.IndexFunc(r.spec.Spec.VPCs, func(vpc v1alpha1.VPC) bool { return vpc.Name == name })
	switch {
	case i < 0:
		var known []string
		for _, vpc := range r.spec.Spec.VPCs {
			known = append(known, vpc.Name)
		}
		return fmt.Sprintf("region %s has no VPC %s; it has: %s", r.spec.Name, name, strings.Join(known, ", "))
	case len(r.spec.Spec.VPCs[i].Tenants) > 0 && !slices.Contains(r.spec.Spec.VPCs[i].Tenants, tenant):
		return fmt.Sprintf("VPC %s of region %s is not for tenant %s; an operator can add it to the VPC's tenants", name, r.spec.Name, tenant)
	}
	return r.problems[name]
}

// freePort is the lowest free plain port of the region's gateways, or false when all are given away.
func (r *region) freePort() (int32, bool) {
	gateway := r.spec.Spec.Gateway
	for port := gateway.FirstPlainPort; port <= gateway.LastPlainPort && port > 0; port++ {
		if !r.ports[port] {
			return port, true
		}
	}
	return 0, false
}
