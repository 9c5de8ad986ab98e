package scheduling

import (
	"crypto/rand"
	"fmt"
	"strings"
	"unicode"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/order"
	"github.com/myriad-fleet/myriad/internal/hub/resolve"
	"github.com/myriad-fleet/myriad/internal/placement"
)

// decision is what a pass does with one waiting Cluster: a booking to bind it to, or the problem
// that keeps it waiting.
type decision struct {
	cluster  *v1alpha1.Cluster
	booking  *order.Booking
	demand   []placement.Demand
	problem  resolve.Problem
	rejected []v1alpha1.RejectedCell
}

// decide what a waiting Cluster gets, and enter it in the ledger. The ways in order:
//
//   - it was bound a moment ago, and the cache does not show it yet: the same again;
//   - an order for it exists, so its labels were lost: back to that order;
//   - it asks to adopt an orphan: that orphan's place;
//   - otherwise a new place, in the cell of its label if it was bound there without a booking.
func (s *snapshot) decide(cluster *v1alpha1.Cluster) decision {
	if assumed, ok := s.pending[cluster.UID]; ok {
		return decision{cluster: cluster, booking: &assumed.Booking, demand: assumed.Demand}
	}
	if existing := order.Live(s.ordersOf(cluster)); existing != nil {
		return rejoin(cluster, existing)
	}
	if cluster.Annotations[v1alpha1.AnnotationAdopt] != "" {
		return s.adopt(cluster)
	}
	return s.place(cluster)
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
	return decision{cluster: cluster, booking: &booking, demand: placement.DemandOf(existing.Spec.Availability, existing.Spec.Size)}
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
	booking := order.Booking{ID: orphan.ID, Cell: cell, Zones: orphan.Order.Zones, PlainPort: orphan.Order.Endpoint.PlainPort}
	return decision{cluster: cluster, booking: &booking, demand: placement.DemandOf(orphan.Order.Availability, orphan.Order.Size)}
}

func (s *snapshot) place(cluster *v1alpha1.Cluster) decision {
	resolved, problem := resolve.Cluster(cluster.Spec, s.catalogue)
	if problem != nil {
		return refuse(cluster, problem.Reason, problem.Message)
	}
	port, free := s.ledger.FreePort(resolved.Region.Spec.Gateway)
	request := placement.Request{
		Region:        resolved.Region.Name,
		Tenant:        cluster.Namespace,
		Kind:          resolved.Kind,
		Version:       resolved.Version,
		Demand:        placement.DemandOf(resolved.Availability, resolved.Size),
		PlainPortFree: free,
	}
	id, cells := s.candidates(cluster)
	placed := placement.Place(request, cells)
	if placed.Cell == "" {
		refusal := refuse(cluster, v1alpha1.ReasonNoRoom, noRoom(resolved.Region.Name, placed.Rejected))
		refusal.rejected = placed.Rejected
		return refusal
	}
	booking := order.Booking{ID: id, Cell: placed.Cell, Zones: placed.Zones, PlainPort: port}
	s.ledger.Enter(cluster.Namespace, booking, request.Demand)
	return decision{cluster: cluster, booking: &booking, demand: request.Demand}
}

// candidates for a Cluster: a new id and every cell; or, when it was bound without a booking, the
// id and the cell that it has, unless they are another guest's or do not exist here.
func (s *snapshot) candidates(cluster *v1alpha1.Cluster) (string, []*placement.Cell) {
	if partial, _ := order.BookingOf(cluster); partial.ID != "" && !s.ledger.Taken(partial.ID) {
		if cell, ok := s.ledger.Cells[partial.Cell]; ok {
			return partial.ID, []*placement.Cell{cell}
		}
	}
	all := make([]*placement.Cell, 0, len(s.ledger.Cells))
	for _, cell := range s.ledger.Cells {
		all = append(all, cell)
	}
	return s.newID(), all
}

// newID mints an id that no guest of the region has: a letter, then nine letters or digits. Ids are
// no secrets, but nobody should be able to guess the next one: 49 random bits.
func (s *snapshot) newID() string {
	for {
		id := strings.ToLower(rand.Text())[:10]
		if unicode.IsLetter(rune(id[0])) && !s.ledger.Taken(id) {
			return id
		}
	}
}

func noRoom(region string, rejected []v1alpha1.RejectedCell) string {
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
