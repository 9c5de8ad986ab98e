// Package order writes the order (a ControlPlane) that a bound Cluster gets in its cell. It is
// pure: what was booked and resolved goes in, the object to create comes out.
package order

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/hub/resolve"
)

// New is the first order for a Cluster: what was resolved, where it was booked. It is on trial.
func New(cluster *v1alpha1.Cluster, resolved resolve.Resolved, booking Booking, revision int64) *v1alpha1.ControlPlane {
	gateway := resolved.Region.Spec.Gateway
	spec := v1alpha1.ControlPlaneSpec{
		ID:           booking.ID,
		Cluster:      reference(cluster),
		Region:       booking.Region,
		Version:      resolved.Version,
		EtcdVersion:  resolved.EtcdVersion,
		Images:       resolved.Images,
		Availability: resolved.Availability,
		Zones:        booking.Zones,
		Network:      booking.Network(resolved.Network),
		Endpoint: v1alpha1.GuestEndpoint{
			ServerName: booking.ID + "." + gateway.Domain,
			Address:    gateway.Address,
			Port:       gateway.Port,
			PlainPort:  booking.PlainPort,
		},
		Size:            resolved.Size,
		RenderRevision:  revision,
		Epoch:           1,
		EscrowRecipient: resolved.Region.Spec.EscrowRecipient,
	}
	if revision >= controlplane.TuningRevision {
		spec.Tuning, spec.EtcdQuotaBytes = resolved.Tuning.DeepCopy(), resolved.EtcdQuotaBytes
	}
	return object(booking.Cell, trialOfNew+"/"+string(cluster.UID), spec)
}

// BelongsTo tells whether an order is for that Cluster.
func BelongsTo(order *v1alpha1.ControlPlane, cluster *v1alpha1.Cluster) bool {
	return order.Spec.Cluster.Namespace == cluster.Namespace && order.Spec.Cluster.Name == cluster.Name
}

// Cell that an order lies in.
func Cell(order *v1alpha1.ControlPlane) string {
	return strings.TrimPrefix(order.Namespace, v1alpha1.CellNamespace(""))
}

// Live is the order of the highest epoch, or nil when there is none.
func Live(orders []v1alpha1.ControlPlane) *v1alpha1.ControlPlane {
	var live *v1alpha1.ControlPlane
	for i := range orders {
		if live == nil || orders[i].Spec.Epoch > live.Spec.Epoch {
			live = &orders[i]
		}
	}
	return live
}

// Adoption finds the orphan that a Cluster's AnnotationAdopt names. The problem says why the
// Cluster cannot have it.
func Adoption(cluster *v1alpha1.Cluster, cells []v1alpha1.Cell) (string, *v1alpha1.Orphan, *resolve.Problem) {
	value := cluster.Annotations[v1alpha1.AnnotationAdopt]
	name, id, ok := strings.Cut(value, "/")
	if !ok {
		return "", nil, refuse("the annotation %s must have the form <cell>/<id>, not %q", v1alpha1.AnnotationAdopt, value)
	}
	for i := range cells {
		if cells[i].Name == name {
			orphan, problem := Adoptable(cluster, &cells[i], id)
			return name, orphan, problem
		}
	}
	return "", nil, refuse("there is no cell %s where the Cluster may lie", name)
}

// Adoptable is the orphan of a cell that a Cluster may have under its id. The problem says why it may not.
func Adoptable(cluster *v1alpha1.Cluster, cell *v1alpha1.Cell, id string) (*v1alpha1.Orphan, *resolve.Problem) {
	orphan := Orphan(cell, id)
	switch {
	case orphan == nil:
		return nil, refuse("cell %s does not report an orphan %s; see status.orphans of the Cell", cell.Name, id)
	case orphan.Order.ID != id:
		return nil, refuse("the order that cell %s reports for orphan %s is for %s", cell.Name, id, orphan.Order.ID)
	case orphan.Order.Region != cell.Spec.Region || !strings.HasPrefix(orphan.Order.Endpoint.ServerName, id+"."):
		return nil, refuse("the order that cell %s reports for orphan %s claims region %s and the name %s of others", cell.Name, id, orphan.Order.Region, orphan.Order.Endpoint.ServerName)
	case orphan.Order.Cluster.Namespace != cluster.Namespace:
		return nil, refuse("orphan %s belongs to namespace %s", id, orphan.Order.Cluster.Namespace)
	case orphan.Order.Tombstone != nil:
		return nil, refuse("orphan %s was being removed; a Cluster cannot take it over", id)
	}
	return orphan, nil
}

// Orphan of that id which the cell reports, or nil.
func Orphan(cell *v1alpha1.Cell, id string) *v1alpha1.Orphan {
	for i := range cell.Status.Orphans {
		if cell.Status.Orphans[i].ID == id {
			return &cell.Status.Orphans[i]
		}
	}
	return nil
}

// FromOrphan is the order of an orphan, verbatim but for the name of the Cluster, which may have
// changed. It is on trial.
func FromOrphan(cluster *v1alpha1.Cluster, cell string, orphan *v1alpha1.Orphan) *v1alpha1.ControlPlane {
	spec := *orphan.Order.DeepCopy()
	spec.Cluster = reference(cluster)
	return object(cell, trialOfOrphan+"/"+string(cluster.UID), spec)
}

func object(cell, trial string, spec v1alpha1.ControlPlaneSpec) *v1alpha1.ControlPlane {
	return &v1alpha1.ControlPlane{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:   v1alpha1.CellNamespace(cell),
			Name:        spec.ID,
			Labels:      map[string]string{v1alpha1.LabelID: spec.ID, v1alpha1.LabelRegion: spec.Region},
			Annotations: map[string]string{annotationTrial: trial},
			Finalizers:  []string{v1alpha1.Finalizer},
		},
		Spec: spec,
	}
}

func reference(cluster *v1alpha1.Cluster) v1alpha1.ClusterReference {
	return v1alpha1.ClusterReference{Namespace: cluster.Namespace, Name: cluster.Name, Spec: *cluster.Spec.DeepCopy()}
}

func refuse(format string, args ...any) *resolve.Problem {
	return &resolve.Problem{Reason: v1alpha1.ReasonOrphanNotReported, Message: fmt.Sprintf(format, args...)}
}
