// Package objects turns the resolved manifest of one guest into the Kubernetes objects that run it in
// its cell. It is pure: the same cell and manifest give the same objects, and what applies them (by
// server-side apply, as FieldOwner) is elsewhere.
//
// A guest lives in a namespace of its own. Each of its components is a Service, a Secret with its
// files, and a workload of one pod: a StatefulSet with a volume for an etcd member, a bare ReplicaSet
// for the rest. Neither restarts anything when its template is edited: who applies the objects decides
// when a pod is deleted, and in which order.
package objects

import (
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	appsv1 "k8s.io/client-go/applyconfigurations/apps/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/myriad-fleet/myriad/internal/controlplane"
)

// Names and labels of what Myriad makes in a cell, besides v1alpha1.LabelID and v1alpha1.LabelCell.
const (
	// FieldOwner of every server-side apply.
	FieldOwner = "myriad-agent"
	// SystemNamespace holds what belongs to Myriad itself: the agent, its Lease.
	SystemNamespace = "myriad-system"

	// LabelManagedBy says who made an object; ManagedBy is its value on everything of Myriad's.
	LabelManagedBy = "app.kubernetes.io/managed-by"
	// ManagedBy is the value of LabelManagedBy.
	ManagedBy = "myriad"
	// LabelComponent is the component's name in the manifest, for example etcd-a.
	LabelComponent = "fleet.myriad.dev/component"
	// LabelKind is the component's controlplane.Kind.
	LabelKind = "fleet.myriad.dev/kind"
	// LabelZone is the zone that the component dies and lives with.
	LabelZone = "fleet.myriad.dev/zone"
	// AnnotationSpec on pods and their templates holds Component.Spec: a pod whose value differs from
	// its template's must be restarted.
	AnnotationSpec = "fleet.myriad.dev/spec"
	// AnnotationAddress on workloads holds the address of the component's Service that its manifest was rendered with:
	// a Service that is gone is made again with it.
	AnnotationAddress = "fleet.myriad.dev/address"

	// DataVolume names the claim template of an etcd member: the claim of etcd-a is data-etcd-a-0.
	DataVolume = "data"
)

// Cell is what guests' objects take from the cell that they are in.
type Cell struct {
	// Name of the Cell.
	Name string
	// StorageClass of etcd's volumes; empty for the cell's default class.
	StorageClass string
	// VolumeSize of etcd's volumes in bytes.
	VolumeSize resource.Quantity
	// Agents is where the agent's connections come from, as pods see it: after the cell's own address
	// translation. Empty: from anywhere. Pods of SystemNamespace are always let in.
	Agents []netip.Prefix
	// Gateways is where the gateways' connections come from, as for Agents.
	Gateways []netip.Prefix
	// Private are the cell's own networks (nodes, pods, Services), which guests' API servers, whose
	// webhooks and aggregated API servers their users choose, must not reach.
	Private []netip.Prefix
}

// Object is what the Apply of a client of controller-runtime takes. It writes the API server's answer
// into the object: build it anew to apply it again, or what the API server added becomes Myriad's.
type Object interface{ runtime.ApplyConfiguration }

// Guest is everything in a guest's namespace besides its Services.
type Guest struct {
	// Shared are the ServiceAccount, the NetworkPolicies and the PodDisruptionBudgets, in the order in
	// which to apply them, before any component.
	Shared []Object
	// Components in the manifest's order.
	Components []Component
}

// Component is one component of a guest.
type Component struct {
	// Name, Kind and Zone of the manifest. All objects of the component have its name.
	Name string
	Kind controlplane.Kind
	Zone string
	// After names the components that must have been ready before this one first starts.
	After []string
	// Secret holds the files. Running pods see a change within a minute or so; those that are not Live
	// are in Spec, too. The agent may write Secrets and not read them (Rules): apply it to repair it.
	Secret *applycorev1.SecretApplyConfiguration
	// StatefulSet of an etcd member, else nil. Its claim template cannot be changed once it exists: to
	// grow a volume, leave the template as it is, and see VolumeSize.
	StatefulSet *appsv1.StatefulSetApplyConfiguration
	// ReplicaSet of any other component, else nil.
	ReplicaSet *appsv1.ReplicaSetApplyConfiguration
	// Spec is the hash of what needs a restart to change: AnnotationSpec of the pod template. Live
	// files, FirstArgs, resources, probes and whatever else of the template are not in it.
	Spec string
	// Resources of the pod's only container, which is named like Kind: what a running pod is resized
	// to. Kubernetes refuses to take a limit away in place, and to change the pod's QoS class.
	Resources corev1.ResourceRequirements
	// VolumeSize in bytes that the claim of an etcd member is grown to; zero for the rest.
	VolumeSize resource.Quantity
	// Stopped: no pod is wanted, the data is kept.
	Stopped bool
}

// Build returns the objects of a guest from its resolved manifest. Errors name the component and the
// field.
func Build(cell Cell, m controlplane.Manifest) (Guest, error) {
	if err := check(cell, &m); err != nil {
		return Guest{}, fmt.Errorf("guest %s in cell %s: %w", m.ID, cell.Name, err)
	}
	b := builder{cell: cell, manifest: &m}
	guest := Guest{Shared: b.shared()}
	for i := range m.Components {
		component, err := b.component(&m.Components[i])
		if err != nil {
			return Guest{}, fmt.Errorf("guest %s in cell %s: component %s: %w", m.ID, cell.Name, m.Components[i].Name, err)
		}
		guest.Components = append(guest.Components, component)
	}
	return guest, nil
}

// builder builds the objects of one checked manifest.
type builder struct {
	cell     Cell
	manifest *controlplane.Manifest
}

// shared are the objects that belong to no single component. What keeps strangers out comes first.
func (b *builder) shared() []Object {
	objects := []Object{b.denyAll()}
	for i := range b.manifest.Components {
		objects = append(objects, b.paths(&b.manifest.Components[i]))
	}
	objects = append(objects, b.serviceAccount())
	return append(objects, b.disruptionBudgets()...)
}

func (b *builder) component(c *controlplane.Component) (Component, error) {
	component := Component{
		Name: c.Name, Kind: c.Kind, Zone: c.Zone,
		After:     slices.Clone(c.After),
		Secret:    b.secret(c),
		Spec:      specHash(c),
		Resources: resources(c.Size),
		Stopped:   c.Stopped,
	}
	template, err := b.podTemplate(c, component.Spec)
	if err != nil {
		return Component{}, err
	}
	if c.Kind == controlplane.Etcd {
		component.StatefulSet = b.statefulSet(c, template)
		component.VolumeSize = b.cell.VolumeSize
		return component, nil
	}
	component.ReplicaSet = b.replicaSet(c, template)
	return component, nil
}
