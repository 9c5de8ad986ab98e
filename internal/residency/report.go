package residency

import (
	"cmp"
	"slices"
	"strings"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// Kind of a part of a guest that a rule limits.
type Kind string

// The parts.
const (
	PartControlPlane Kind = "control plane" // with etcd's data; one for each copy
	PartEscrow       Kind = "escrow"
	PartSnapshots    Kind = "snapshots" // of etcd; one for each copy
	PartMetrics      Kind = "metrics"
)

// Guest is what is known of where a guest's parts lie.
type Guest struct {
	// Rule that the guest is under; nil: none.
	Rule *v1alpha1.Residency
	// Copies of the guest, the live one first. Superseded ones are frozen, and their data is kept.
	Copies []Copy
	// Sealed says that an escrow exists, or will. Keys are those that it is sealed to.
	Sealed bool
	Keys   []Key
	// Metrics is where those of the live copy flow first.
	Metrics Place
}

// Copy of a guest in one cell.
type Copy struct {
	Cell   string
	Place  Place
	Frozen bool
	// Store of the cell's snapshots; nil: there is none, or it is not known.
	Store *Place
	// Snapshots says that some of the guest were stored.
	Snapshots bool
	// SnapshotsRefused says why none is taken any more; empty: they are taken.
	SnapshotsRefused string
}

// Part is where one part of a guest lies, and on which rule.
type Part struct {
	Kind Kind `json:"kind"`
	// Cell of a part that lies in one.
	Cell string `json:"cell,omitempty"`
	// Region that the part lies in; empty: there is no such part, or it lies in no one region.
	Region string `json:"region,omitempty"`
	// Where it lies, in words.
	Where string `json:"where"`
	// Rule that the guest is under, or NoRule.
	Rule string `json:"rule"`
	// Basis is why it may lie there; empty with a violation, and without a rule.
	Basis string `json:"basis,omitempty"`
	// Violation is why it may not.
	Violation string `json:"violation,omitempty"`
}

// Guest gathers the facts of one guest: the orders of all its copies (ControlPlanes of one id), and the rule,
// which is that of its Cluster. It has no parts when there are no orders.
func (f Fleet) Guest(rule *v1alpha1.Residency, orders []v1alpha1.ControlPlane) Guest {
	guest := Guest{Rule: rule}
	orders = slices.Clone(orders)
	slices.SortStableFunc(orders, func(a, b v1alpha1.ControlPlane) int { return cmp.Compare(b.Spec.Epoch, a.Spec.Epoch) })
	recipients := map[string]bool{}
	for i := range orders {
		order := &orders[i]
		cell := strings.TrimPrefix(order.Namespace, v1alpha1.CellNamespace(""))
		guest.Copies = append(guest.Copies, Copy{
			Cell: cell, Place: f.Place(order.Spec.Region), Frozen: order.Spec.SupersededBy > order.Spec.Epoch, Store: f.Store(cell),
			Snapshots:        order.Status.Etcd != nil && order.Status.Etcd.LastSnapshot != nil,
			SnapshotsRefused: order.Spec.SnapshotsRefused,
		})
		if recipient := order.Spec.EscrowRecipient; (recipient != "" || order.Status.Escrow != "") && !recipients[recipient] {
			recipients[recipient], guest.Sealed = true, true
			guest.Keys = append(guest.Keys, f.Key(rule, recipient))
		}
	}
	if len(orders) > 0 {
		guest.Metrics = f.Metrics(orders[0].Spec.Region)
	}
	return guest
}

// Report lists the parts of a guest, each with where it lies and on which rule.
func Report(guest Guest) []Part {
	var parts []Part
	for _, c := range guest.Copies {
		where := "region " + c.Place.Region + ", cell " + c.Cell
		if c.Frozen {
			where += " (a superseded copy: frozen, its data is kept)"
		}
		parts = append(parts, guest.part(Part{Kind: PartControlPlane, Cell: c.Cell, Where: where}, c.Place))
	}
	if len(guest.Copies) == 0 {
		return nil
	}
	parts = append(parts, guest.escrow()...)
	for _, c := range guest.Copies {
		parts = append(parts, guest.snapshots(c))
	}
	return append(parts, guest.part(Part{Kind: PartMetrics, Where: "region " + guest.Metrics.Region + " first"}, guest.Metrics))
}

// part that lies in a place.
func (g Guest) part(part Part, place Place) Part {
	part.Region, part.Rule = place.Region, Text(g.Rule)
	if part.Violation = Violation(g.Rule, place); part.Violation == "" {
		part.Basis = Basis(g.Rule, place)
	}
	return part
}

// absent is a part that does not exist.
func (g Guest) absent(part Part, why string) Part {
	part.Where, part.Rule = "nowhere: "+why, Text(g.Rule)
	if g.Rule != nil {
		part.Basis = why
	}
	return part
}

// escrow lies sealed in the hub: what counts is who can open it.
func (g Guest) escrow() []Part {
	if !g.Sealed {
		return []Part{g.absent(Part{Kind: PartEscrow}, "there is no escrow")}
	}
	var parts []Part
	for _, key := range g.Keys {
		part := Part{Kind: PartEscrow, Where: "the hub, sealed to a key of " + key.text(), Rule: Text(g.Rule), Violation: key.violation(g.Rule)}
		if g.Rule != nil && part.Violation == "" {
			part.Basis = "only regions of areas within the rule have the key: " + list(key.Areas)
		}
		parts = append(parts, part)
	}
	return parts
}

func (k Key) text() string {
	if len(k.Holders) == 0 {
		return "nobody known"
	}
	var names []string
	for _, holder := range k.Holders {
		names = append(names, holder.Region+" (area "+holder.Area+")")
	}
	return "region " + list(names)
}

func (g Guest) snapshots(c Copy) Part {
	part := Part{Kind: PartSnapshots, Cell: c.Cell}
	switch {
	case c.Store == nil && !c.Snapshots:
		return g.absent(part, "cell "+c.Cell+" has no store of snapshots")
	case c.SnapshotsRefused != "" && !c.Snapshots:
		return g.absent(part, "none was stored, and they are refused: "+c.SnapshotsRefused)
	case c.Store == nil:
		part.Where, part.Rule = "not known: snapshots were stored, and cell "+c.Cell+" does not say where", Text(g.Rule)
		if g.Rule != nil {
			part.Violation = "nobody knows where the snapshots lie"
		}
		return part
	}
	part.Where = "region " + c.Store.Region
	if c.SnapshotsRefused != "" {
		part.Where += ", stored before they were refused"
	}
	return g.part(part, *c.Store)
}

// Violated are the parts that lie where the rule does not allow it.
func Violated(parts []Part) []Part {
	return slices.DeleteFunc(slices.Clone(parts), func(part Part) bool { return part.Violation == "" })
}
