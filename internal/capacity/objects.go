package capacity

import (
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/placement"
)

// Objects are what the hub knows of a fleet.
type Objects struct {
	Regions       []v1alpha1.Region
	Cells         []v1alpha1.Cell
	ControlPlanes []v1alpha1.ControlPlane
	Clusters      []v1alpha1.Cluster
	Templates     []v1alpha1.ClusterTemplate
	// Gears of the fleet's Gearbox, the smallest first.
	Gears []v1alpha1.Gear
}

// FleetOf what the hub knows. A cell whose region is gone counts as one of a region that nothing is known of. Guests
// that are being deleted, or that live on elsewhere, still take their room; they are not counted as guests.
func FleetOf(o Objects) Fleet {
	regions := map[string]*placement.Region{}
	for i := range o.Regions {
		regions[o.Regions[i].Name] = placement.NewRegion(&o.Regions[i])
	}
	var cells []*placement.Cell
	for i := range o.Cells {
		name := o.Cells[i].Spec.Region
		if regions[name] == nil {
			gone := &v1alpha1.Region{}
			gone.Name = name
			regions[name] = placement.NewRegion(gone)
		}
		ready := meta.IsStatusConditionTrue(o.Cells[i].Status.Conditions, v1alpha1.ConditionReady)
		cells = append(cells, placement.NewCell(&o.Cells[i], regions[name], ready))
	}
	created, kinds := o.created(), o.kinds()
	var guests []Guest
	for i := range o.ControlPlanes {
		plane := &o.ControlPlanes[i]
		guest := guestOf(plane, kinds)
		if plane.Spec.Tombstone != nil || plane.Spec.SupersededBy > 0 {
			if cell := find(cells, guest.Cell); cell != nil {
				cell.Take(guest.placed())
			}
			continue
		}
		guest.CreatedAt = plane.CreationTimestamp.Time
		if at, found := created[guest.ID]; found {
			guest.CreatedAt = at
		}
		guests = append(guests, guest)
	}
	return NewFleet(cells, guests, LadderOf(o.Gears))
}

// created says when the Clusters were made: an order may be younger, for guests are adopted and moved.
func (o Objects) created() map[string]time.Time {
	created := map[string]time.Time{}
	for i := range o.Clusters {
		if id := o.Clusters[i].Status.ID; id != "" {
			created[id] = o.Clusters[i].CreationTimestamp.Time
		}
	}
	return created
}

// kinds by the name of the template.
func (o Objects) kinds() map[string]string {
	kinds := map[string]string{}
	for i := range o.Templates {
		kinds[o.Templates[i].Name] = o.Templates[i].Spec.Kind
	}
	return kinds
}

func guestOf(plane *v1alpha1.ControlPlane, kinds map[string]string) Guest {
	spec := plane.Spec
	guest := Guest{
		ID: spec.ID, Tenant: spec.Cluster.Namespace, Kind: kinds[spec.Cluster.Spec.Template], Version: spec.Version,
		Availability: spec.Availability, VPC: spec.Network.VPC,
		Region: spec.Cluster.Spec.Region, Residency: spec.Cluster.Spec.Residency,
		Cell: strings.TrimPrefix(plane.Namespace, v1alpha1.CellNamespace("")), Zones: spec.Zones,
	}
	return guest.sized(spec.Size)
}
