package witness

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
)

const (
	// reserve and reserveAfterLoss in percent: DESIGN.md §6 and the default of Cell.spec.reservePercent.
	reserve, reserveAfterLoss = 40, 10
)

// Capacity of a cell, each of its zones alike.
type Capacity struct {
	Cell  string
	Zones []string
	// MilliCPU in thousandths of a core and Memory in bytes.
	MilliCPU, Memory int64
}

type cell struct {
	Capacity
	zones map[string]*zone
	// fullest share of what may be used that any zone has had, in percent.
	fullest float64
}

// zone is what orders take in it.
type zone struct {
	milliCPU, memory int64
	// takeover by the zone that is lost: what API servers there would take here.
	takeover map[string]int64
}

func newCell(capacity Capacity) *cell {
	c := &cell{Capacity: capacity, zones: map[string]*zone{}}
	for _, name := range capacity.Zones {
		c.zones[name] = &zone{takeover: map[string]int64{}}
	}
	return c
}

// order as it counts.
type order struct {
	cluster string // <namespace>/<name>
	zones   []string
	demand  []demand // in each of zones
	live    bool
}

// demand of an order in one of its zones: thousandths of a core and bytes. The other zones take over what API
// servers take, when the zone is lost.
type demand struct{ milliCPU, memory, takeover int64 }

// Order is told what a watch shows.
func (w *Witness) Order(object *v1alpha1.ControlPlane) {
	w.mu.Lock()
	defer w.mu.Unlock()
	name := strings.TrimPrefix(object.Namespace, v1alpha1.CellNamespace(""))
	now := newOrder(&object.Spec)
	copies := w.orders[object.Spec.ID]
	if copies == nil {
		copies = map[string]*order{}
		w.orders[object.Spec.ID] = copies
	}
	if before := copies[name]; before != nil {
		w.count(name, before, -1)
		if !slices.Equal(before.demand, now.demand) {
			w.counts.Shifts++
		}
	}
	copies[name] = now
	w.count(name, now, 1)
	w.placedTwice(object, now)
}

// placedTwice looks for two live orders of one Cluster.
func (w *Witness) placedTwice(object *v1alpha1.ControlPlane, now *order) {
	if !now.live {
		return
	}
	for cell, other := range w.orders[object.Spec.ID] {
		if other != now && other.live {
			w.reportf("guest %s has live orders in %s and in cell %s", object.Spec.ID, object.Namespace, cell)
		}
	}
	key := w.clusters[keyOf(&object.Spec)]
	if key != nil && key.ID != "" && key.ID != object.Spec.ID {
		w.reportf("Cluster %s has orders for guests %s and %s", now.cluster, key.ID, object.Spec.ID)
	}
}

// OrderGone is told when a watch shows that an order is no more.
func (w *Witness) OrderGone(object *v1alpha1.ControlPlane) {
	w.mu.Lock()
	defer w.mu.Unlock()
	name := strings.TrimPrefix(object.Namespace, v1alpha1.CellNamespace(""))
	before := w.orders[object.Spec.ID][name]
	if before == nil {
		return
	}
	if c := w.clusters[keyOf(&object.Spec)]; c != nil && !c.deleting && c.ID == object.Spec.ID {
		w.reportf("the order of Cluster %s, guest %s in cell %s, is lost: nobody deleted the Cluster", before.cluster, object.Spec.ID, name)
	}
	w.count(name, before, -1)
	if delete(w.orders[object.Spec.ID], name); len(w.orders[object.Spec.ID]) == 0 {
		delete(w.orders, object.Spec.ID)
	}
}

func newOrder(spec *v1alpha1.ControlPlaneSpec) *order {
	o := &order{
		cluster: spec.Cluster.Namespace + "/" + spec.Cluster.Name, zones: spec.Zones, demand: make([]demand, len(spec.Zones)),
		live: spec.Tombstone == nil && spec.SupersededBy <= spec.Epoch,
	}
	sizes := map[controlplane.Kind]v1alpha1.ComponentSize{
		controlplane.Etcd: spec.Size.Etcd, controlplane.APIServer: spec.Size.APIServer,
		controlplane.ControllerManager: spec.Size.ControllerManager, controlplane.Scheduler: spec.Size.Scheduler,
	}
	for _, instance := range controlplane.Instances(spec, controlplane.Guest) {
		size, d := sizes[instance.Kind], &o.demand[slices.Index(spec.Zones, instance.Zone)]
		d.milliCPU += size.CPU.MilliValue()
		d.memory += size.Memory.Value()
		if others := int64(len(spec.Zones) - 1); instance.Kind == controlplane.APIServer && others > 0 {
			d.takeover += (size.CPU.MilliValue() + others - 1) / others // rounded up: the reserve is kept on the safe side
		}
	}
	return o
}

func keyOf(spec *v1alpha1.ControlPlaneSpec) types.NamespacedName {
	return types.NamespacedName{Namespace: spec.Cluster.Namespace, Name: spec.Cluster.Name}
}

// count an order in or out, and look whether its cell keeps its reserve.
func (w *Witness) count(name string, o *order, sign int64) {
	c := w.cells[name]
	if c == nil {
		return // not of this fleet
	}
	for i, in := range o.zones {
		z := c.zones[in]
		if z == nil {
			w.reportf("an order in cell %s names zone %s, which the cell does not have", name, in)
			continue
		}
		z.milliCPU += sign * o.demand[i].milliCPU
		z.memory += sign * o.demand[i].memory
		for j, lost := range o.zones {
			if i != j {
				z.takeover[lost] += sign * o.demand[j].takeover
			}
		}
	}
	if sign > 0 {
		w.keepsReserve(c, o)
	}
}

func (w *Witness) keepsReserve(c *cell, o *order) {
	for _, name := range o.zones {
		z := c.zones[name]
		if z == nil {
			continue
		}
		share := func(used, capacity, free int64) float64 {
			return 100 * float64(used) / (float64(capacity) * float64(100-free) / 100)
		}
		most := max(share(z.milliCPU, c.MilliCPU, reserve), share(z.memory, c.Memory, reserve))
		for _, more := range z.takeover {
			most = max(most, share(z.milliCPU+more, c.MilliCPU, reserveAfterLoss))
		}
		c.fullest = max(c.fullest, most)
		if most > 100 {
			w.reportf("zone %s of cell %s is over its reserve", name, c.Cell)
		}
	}
}

// Fullest is the most of what may be used that any zone of any cell has had, in percent.
func (w *Witness) Fullest() float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	fullest := 0.0
	for _, c := range w.cells {
		fullest = max(fullest, c.fullest)
	}
	return fullest
}
