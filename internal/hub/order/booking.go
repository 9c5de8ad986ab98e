package order

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// Booking is what the bind gives a Cluster. It is kept on the Cluster itself (LabelID, LabelCell,
// AnnotationBooking), so that a hub that dies right after the bind goes on with the same.
type Booking struct {
	// ID of the guest.
	ID string
	// Cell that the guest is bound to.
	Cell string
	// Zones of the cell, in the order of ControlPlane.spec.zones.
	Zones []string
	// PlainPort of the region's gateways.
	PlainPort int32
}

var validID = regexp.MustCompile(`^[a-z][a-z0-9]{9}$`)

// BookingOf reads the booking of a Cluster. It is false when the Cluster is not bound, or not
// wholly: then ID and Cell may be set without the rest.
func BookingOf(cluster *v1alpha1.Cluster) (Booking, bool) {
	booking := Booking{ID: cluster.Labels[v1alpha1.LabelID], Cell: cluster.Labels[v1alpha1.LabelCell]}
	if !validID.MatchString(booking.ID) || booking.Cell == "" {
		return Booking{}, false
	}
	zones, port, ok := strings.Cut(cluster.Annotations[v1alpha1.AnnotationBooking], "/")
	number, err := strconv.ParseUint(port, 10, 16)
	if !ok || zones == "" || err != nil {
		return booking, false
	}
	booking.Zones, booking.PlainPort = strings.Split(zones, ","), int32(number)
	return booking, true
}

// BookingFor reads the booking that an existing order stands for.
func BookingFor(order *v1alpha1.ControlPlane) Booking {
	return Booking{ID: order.Name, Cell: Cell(order), Zones: order.Spec.Zones, PlainPort: order.Spec.Endpoint.PlainPort}
}

// Bind writes the booking and the finalizer on the Cluster.
func (b Booking) Bind(cluster *v1alpha1.Cluster) {
	if cluster.Labels == nil {
		cluster.Labels = map[string]string{}
	}
	if cluster.Annotations == nil {
		cluster.Annotations = map[string]string{}
	}
	cluster.Labels[v1alpha1.LabelID] = b.ID
	cluster.Labels[v1alpha1.LabelCell] = b.Cell
	cluster.Annotations[v1alpha1.AnnotationBooking] = fmt.Sprintf("%s/%d", strings.Join(b.Zones, ","), b.PlainPort)
	controllerutil.AddFinalizer(cluster, v1alpha1.Finalizer)
}

// Unbind takes the booking off the Cluster. The finalizer stays until the Cluster is deleted.
func Unbind(cluster *v1alpha1.Cluster) {
	delete(cluster.Labels, v1alpha1.LabelID)
	delete(cluster.Labels, v1alpha1.LabelCell)
	delete(cluster.Annotations, v1alpha1.AnnotationBooking)
}
