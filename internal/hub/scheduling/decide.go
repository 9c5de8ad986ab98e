package scheduling

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/ledger"
	"github.com/myriad-fleet/myriad/internal/hub/order"
	"github.com/myriad-fleet/myriad/internal/hub/resolve"
	"github.com/myriad-fleet/myriad/internal/placement"
	"github.com/myriad-fleet/myriad/internal/residency"
)

// decision is what a pass does with one waiting Cluster: a booking to bind it to, or the problem
// that keeps it waiting.
type decision struct {
	cluster  *v1alpha1.Cluster
	booking  *order.Booking
	evidence *v1alpha1.ClusterPlacement // nil: nothing was decided anew
	problem  resolve.Problem
	rejected []v1alpha1.RejectedCell
}

// decide what a waiting Cluster gets, and book it. The ways in order:
//
//   - it is booked already, and the bind failed or the cache does not show it yet: the same again, unless it or the
//     fleet has changed since so that it may not lie there;
//   - an order for it exists, so its labels were lost: back to that order;
//   - it asks to adopt an orphan: that orphan's place;
//   - otherwise a new place, in the cell of its label if it was bound there without a booking.
func (s *snapshot) decide(cluster *v1alpha1.Cluster) decision {
	s.dropUnfit(cluster)
	existing := order.Live(s.ordersOf(cluster))
	if booked, ok := s.books.Pending(cluster.UID); ok {
		booked.Region = s.regionOf(booked.Cell)
		d := decision{cluster: cluster, booking: &booked}
		if existing == nil { // otherwise the evidence was written long ago
			d.evidence = s.evidence(cluster, booked, placement.Decision{Cell: booked.Cell, Zones: booked.Zones})
		}
		return d
	}
	if existing != nil {
		return rejoin(cluster, existing)
	}
	if cluster.Annotations[v1alpha1.AnnotationAdopt] != "" {
		return s.adopt(cluster)
	}
	return s.place(cluster)
}

// dropUnfit drops what an earlier pass booked for a Cluster without order that may not have it any more. Whoever waits for
// what it held is placed by the next pass of that region.
func (s *snapshot) dropUnfit(cluster *v1alpha1.Cluster) {
	booked, ok := s.books.Pending(cluster.UID)
	if !ok || order.Live(s.ordersOf(cluster)) != nil {
		return
	}
	booked.Region = s.regionOf(booked.Cell)
	if !s.fits(cluster, booked) {
		s.books.Unbook(booked)
		s.unbooked = append(s.unbooked, booked.Region)
	}
}

// fits tells whether a Cluster may still have what an earlier pass booked for it. Its residency, version and gear may have
// been edited since, Regions, cells and templates, too; its region, cell, availability and network cannot be.
func (s *snapshot) fits(cluster *v1alpha1.Cluster, booked order.Booking) bool {
	resolved, problem := resolve.Cluster(cluster.Spec, s.catalogue)
	return problem == nil && s.fleet.Refusal(cluster.Spec.Residency, booked.Region) == "" &&
		slices.Contains(s.books.Cells[booked.Cell].Versions, resolved.Version) &&
		s.books.Covers(booked, placement.DemandOf(resolved.Availability, resolved.Size))
}

func (s *snapshot) ordersOf(cluster *v1alpha1.Cluster) []v1alpha1.ControlPlane {
	var own []v1alpha1.ControlPlane
	for i := range s.orders {
		if order.BelongsTo(&s.orders[i], cluster) {
			own = append(own, s.orders[i])
		}
	}
	return own
}

func rejoin(cluster *v1alpha1.Cluster, existing *v1alpha1.ControlPlane) decision {
	if existing.Spec.Tombstone != nil {
		return refuse(cluster, v1alpha1.ReasonNameTaken,
			fmt.Sprintf("the earlier guest %s of this name is still being removed from cell %s", existing.Name, order.Cell(existing)))
	}
	if order.IsStray(existing, cluster) {
		return refuse(cluster, v1alpha1.ReasonNameTaken,
			fmt.Sprintf("the order of an earlier Cluster of this name, guest %s, is still being taken back from cell %s", existing.Name, order.Cell(existing)))
	}
	booking := order.BookingFor(existing)
	return decision{cluster: cluster, booking: &booking}
}

func (s *snapshot) adopt(cluster *v1alpha1.Cluster) decision {
	cell, orphan, problem := order.Adoption(cluster, s.cells)
	if problem != nil {
		return refuse(cluster, problem.Reason, problem.Message)
	}
	for i := range s.orders {
		if s.orders[i].Name == orphan.ID {
			return refuse(cluster, v1alpha1.ReasonOrphanNotReported,
				fmt.Sprintf("guest %s is no orphan: it belongs to Cluster %s/%s", orphan.ID, s.orders[i].Spec.Cluster.Namespace, s.orders[i].Spec.Cluster.Name))
		}
	}
	booking := order.BookingOfOrphan(cell, orphan)
	s.books.Book(cluster.Namespace, cluster.UID, booking, placement.DemandOf(orphan.Order.Availability, orphan.Order.Size))
	return decision{cluster: cluster, booking: &booking}
}

// place a Cluster anew.
func (s *snapshot) place(cluster *v1alpha1.Cluster) decision {
	resolved, problem := resolve.Cluster(cluster.Spec, s.catalogue)
	if problem == nil {
		problem = s.residencyProblem(cluster)
	}
	if problem != nil {
		return refuse(cluster, problem.Reason, problem.Message)
	}
	offers := s.offers(cluster, resolved.Network)
	if offer, asked := offers[cluster.Spec.Region]; asked && (offer.Problem.Reason == v1alpha1.ReasonVPCNotFound || offer.Problem.Reason == v1alpha1.ReasonInvalidAddresses) {
		return refuse(cluster, offer.Problem.Reason, offer.Problem.Message)
	}
	id, cells := s.candidates(cluster)
	if cluster.Spec.Cell != "" && len(cells) == 0 {
		return refuse(cluster, v1alpha1.ReasonCellNotFound, fmt.Sprintf("spec.cell: there is no cell %s where the Cluster may lie", cluster.Spec.Cell))
	}
	request := placement.Request{
		Region: cluster.Spec.Region, Residency: cluster.Spec.Residency, Tenant: cluster.Namespace,
		Kind: resolved.Kind, Version: resolved.Version, VPC: resolved.Network.VPC,
		Demand: placement.DemandOf(resolved.Availability, resolved.Size), RegionProblems: map[string]placement.RegionProblem{},
	}
	for region, offer := range offers {
		if offer.Problem.Reason != "" {
			request.RegionProblems[region] = offer.Problem
		}
	}
	placed := placement.Place(request, cells)
	if placed.Cell == "" {
		refusal := refuse(cluster, v1alpha1.ReasonNoRoom, noRoom(cluster.Spec.Region, placed.Rejected))
		refusal.rejected = placed.Rejected
		return refusal
	}
	region := s.regionOf(placed.Cell)
	booking := order.Booking{
		ID: id, Region: region, Cell: placed.Cell, Zones: placed.Zones, PlainPort: offers[region].PlainPort,
		VPC: resolved.Network.VPC, Ranges: offers[region].Ranges,
	}
	s.books.Book(cluster.Namespace, cluster.UID, booking, request.Demand)
	return decision{cluster: cluster, booking: &booking, evidence: s.evidence(cluster, booking, placed), rejected: placed.Rejected}
}

// offers of every region of the pass to a Cluster that may lie there.
func (s *snapshot) offers(cluster *v1alpha1.Cluster, ask v1alpha1.ClusterNetwork) map[string]ledger.Offer {
	offers := map[string]ledger.Offer{}
	for i := range s.cells {
		region := s.cells[i].Spec.Region
		if _, known := offers[region]; !known && (cluster.Spec.Region == "" || cluster.Spec.Region == region) {
			offers[region] = s.offer(cluster, region, ask)
		}
	}
	return offers
}

func (s *snapshot) offer(cluster *v1alpha1.Cluster, region string, ask v1alpha1.ClusterNetwork) ledger.Offer {
	if refusal := s.fleet.Refusal(cluster.Spec.Residency, region); refusal != "" {
		return ledger.Offer{Problem: placement.RegionProblem{Reason: placement.ReasonResidencyNotMet, Message: refusal}}
	}
	return s.books.Offer(region, cluster.Namespace, ask)
}

// residencyProblem says why no region, or not the one that is asked for, meets a Cluster's residency.
func (s *snapshot) residencyProblem(cluster *v1alpha1.Cluster) *resolve.Problem {
	var refusals []string
	for i := range s.catalogue.Regions {
		region := s.catalogue.Regions[i].Name
		if cluster.Spec.Region != "" && cluster.Spec.Region != region {
			continue
		}
		refusal := s.fleet.Refusal(cluster.Spec.Residency, region)
		if refusal == "" {
			return nil
		}
		refusals = append(refusals, region+": "+refusal)
	}
	slices.Sort(refusals)
	return &resolve.Problem{Reason: v1alpha1.ReasonResidencyUnmet, Message: "no region that the Cluster may lie in meets its residency; " + strings.Join(refusals, "; ")}
}

// evidence of a decision. Of one that an earlier pass made, and did not come to write, the scores are not known any more.
func (s *snapshot) evidence(cluster *v1alpha1.Cluster, booking order.Booking, placed placement.Decision) *v1alpha1.ClusterPlacement {
	evidence := &v1alpha1.ClusterPlacement{
		Region: booking.Region, Cell: placed.Cell, Zones: placed.Zones, Score: placed.Score, Scores: placed.Scores, Others: placed.Others,
	}
	if rule := cluster.Spec.Residency; rule != nil {
		evidence.Residency = residency.Basis(rule, s.fleet.Place(booking.Region))
	}
	return evidence
}

// regionOf a cell of the pass.
func (s *snapshot) regionOf(cell string) string { return s.books.Cells[cell].Region.Region }

// candidates for a Cluster: a new id and every cell, or the one that it is pinned to; or, when it was bound without
// a booking, the id and the cell that it has, unless they are another guest's or do not exist here.
func (s *snapshot) candidates(cluster *v1alpha1.Cluster) (string, []*placement.Cell) {
	if partial, _ := order.BookingOf(cluster); partial.ID != "" && !s.books.Taken(partial.ID) {
		if cell, ok := s.books.Cells[partial.Cell]; ok {
			return partial.ID, []*placement.Cell{cell}
		}
	}
	all := make([]*placement.Cell, 0, len(s.books.Cells))
	for _, cell := range s.books.Cells {
		if cluster.Spec.Cell == "" || cluster.Spec.Cell == cell.Name {
			all = append(all, cell)
		}
	}
	return s.newID(), all
}

// newID mints an id that no guest of the region has: a letter, then nine letters or digits. Ids are
// no secrets, but nobody should be able to guess the next one: 49 random bits.
func (s *snapshot) newID() string {
	for {
		id := strings.ToLower(rand.Text())[:10]
		if unicode.IsLetter(rune(id[0])) && !s.books.Taken(id) {
			return id
		}
	}
}

func noRoom(region string, rejected []v1alpha1.RejectedCell) string {
	if len(rejected) == 0 && region == "" {
		return "no region that the Cluster may lie in has cells yet: an operator must create one"
	}
	if len(rejected) == 0 {
		return fmt.Sprintf("region %s has no cells yet: an operator must create one", region)
	}
	reasons := make([]string, len(rejected))
	for i, cell := range rejected {
		reasons[i] = fmt.Sprintf("%s: %s: %s", cell.Cell, cell.Reason, cell.Message)
	}
	return "no cell can take the guest; " + strings.Join(reasons, "; ")
}

func refuse(cluster *v1alpha1.Cluster, reason, message string) decision {
	return decision{cluster: cluster, problem: resolve.Problem{Reason: reason, Message: message}}
}
