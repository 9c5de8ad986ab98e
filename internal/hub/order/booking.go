package order

import (
	"cmp"
	"encoding/json"
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
	// Region of the cell.
	Region string
	// Cell that the guest is bound to.
	Cell string
	// Zones of the cell, in the order of ControlPlane.spec.zones.
	Zones []string
	// PlainPort of the region's gateways.
	PlainPort int32
	// VPC that the guest reaches into; empty: none.
	VPC string
	// Ranges that it has there.
	Ranges *v1alpha1.AddressRanges
}

var validID = regexp.MustCompile(`^[a-z][a-z0-9]{9}$`)

// BookingOf reads the booking of a Cluster. It is false when the Cluster is not bound, or not
// wholly: then ID and Cell may be set without the rest.
func BookingOf(cluster *v1alpha1.Cluster) (Booking, bool) {
	booking := Booking{ID: cluster.Labels[v1alpha1.LabelID], Cell: cluster.Labels[v1alpha1.LabelCell], Region: RegionOf(cluster)}
	if !validID.MatchString(booking.ID) || booking.Cell == "" {
		return Booking{}, false
	}
	zones, port, ok := strings.Cut(cluster.Annotations[v1alpha1.AnnotationBooking], "/")
	number, err := strconv.ParseUint(port, 10, 16)
	if !ok || zones == "" || err != nil {
		return booking, false
	}
	booking.Zones, booking.PlainPort = strings.Split(zones, ","), int32(number)
	if planned := cluster.Annotations[v1alpha1.AnnotationNetwork]; planned != "" {
		var network v1alpha1.ClusterNetwork
		if json.Unmarshal([]byte(planned), &network) != nil {
			return Booking{ID: booking.ID, Cell: booking.Cell, Region: booking.Region}, false
		}
		booking.VPC, booking.Ranges = network.VPC, rangesOf(network)
	}
	return booking, true
}

// RegionOf a Cluster: the one that it asks for, or that it was bound in; empty: none yet.
func RegionOf(cluster *v1alpha1.Cluster) string {
	return cmp.Or(cluster.Spec.Region, cluster.Labels[v1alpha1.LabelRegion])
}

// BookingFor reads the booking that an existing order stands for.
func BookingFor(order *v1alpha1.ControlPlane) Booking {
	return bookingFor(Cell(order), &order.Spec)
}

// BookingOfOrphan reads the booking that an orphan's order stands for.
func BookingOfOrphan(cell string, orphan *v1alpha1.Orphan) Booking {
	booking := bookingFor(cell, &orphan.Order)
	booking.ID = orphan.ID
	return booking
}

func bookingFor(cell string, spec *v1alpha1.ControlPlaneSpec) Booking {
	booking := Booking{ID: spec.ID, Region: spec.Region, Cell: cell, Zones: spec.Zones, PlainPort: spec.Endpoint.PlainPort, VPC: spec.Network.VPC}
	if booking.VPC != "" {
		booking.Ranges = rangesOf(spec.Network)
	}
	return booking
}

func rangesOf(network v1alpha1.ClusterNetwork) *v1alpha1.AddressRanges {
	return &v1alpha1.AddressRanges{NodeCIDR: network.NodeCIDR, PodCIDR: network.PodCIDR, ServiceCIDR: network.ServiceCIDR}
}

// Network is what was asked for, and in a VPC the ranges that were booked.
func (b Booking) Network(ask v1alpha1.ClusterNetwork) v1alpha1.ClusterNetwork {
	if b.Ranges != nil {
		ask.VPC, ask.NodeCIDR, ask.PodCIDR, ask.ServiceCIDR = b.VPC, b.Ranges.NodeCIDR, b.Ranges.PodCIDR, b.Ranges.ServiceCIDR
	}
	return ask
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
	cluster.Labels[v1alpha1.LabelRegion] = b.Region
	if b.Ranges != nil {
		planned, err := json.Marshal(b.Network(v1alpha1.ClusterNetwork{}))
		if err == nil { // strings always encode
			cluster.Annotations[v1alpha1.AnnotationNetwork] = string(planned)
		}
	}
	cluster.Annotations[v1alpha1.AnnotationBooking] = fmt.Sprintf("%s/%d", strings.Join(b.Zones, ","), b.PlainPort)
	controllerutil.AddFinalizer(cluster, v1alpha1.Finalizer)
}

// Explain writes on the Cluster why the bind chose its cell.
func Explain(cluster *v1alpha1.Cluster, evidence v1alpha1.PlacementEvidence) error {
	text, err := json.Marshal(evidence)
	if err != nil {
		return fmt.Errorf("encode why the cell was chosen: %w", err)
	}
	if cluster.Annotations == nil {
		cluster.Annotations = map[string]string{}
	}
	cluster.Annotations[v1alpha1.AnnotationPlacement] = string(text)
	return nil
}

// Explanation is why the bind of a Cluster chose its cell; false when nothing says so.
func Explanation(cluster *v1alpha1.Cluster) (evidence v1alpha1.PlacementEvidence, ok bool) {
	err := json.Unmarshal([]byte(cluster.Annotations[v1alpha1.AnnotationPlacement]), &evidence)
	return evidence, err == nil
}

// Unbind takes the booking off the Cluster. The finalizer stays until the Cluster is deleted.
func Unbind(cluster *v1alpha1.Cluster) {
	delete(cluster.Labels, v1alpha1.LabelID)
	delete(cluster.Labels, v1alpha1.LabelCell)
	delete(cluster.Labels, v1alpha1.LabelRegion)
	delete(cluster.Annotations, v1alpha1.AnnotationBooking)
	delete(cluster.Annotations, v1alpha1.AnnotationNetwork)
	delete(cluster.Annotations, v1alpha1.AnnotationPlacement)
}
