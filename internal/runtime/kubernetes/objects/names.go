package objects

import (
	"fmt"
	"maps"
	"strings"

	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
)

// namespacePrefix of guests' namespaces and of SystemNamespace. The agent may write in no other.
const namespacePrefix = "myriad-"

// NamespaceName is the name of a guest's namespace.
func NamespaceName(id string) string { return namespacePrefix + id }

// ClaimName is the name of the PersistentVolumeClaim of an etcd member.
func ClaimName(component string) string { return DataVolume + "-" + PodName(component) }

// PodName is the name of an etcd member's pod. Other components' pods have generated names.
func PodName(component string) string { return component + "-0" }

// managed are the labels of what Myriad makes in a cell.
func managed() map[string]string { return map[string]string{LabelManagedBy: ManagedBy} }

// guestLabels are the labels of everything that belongs to a guest.
func guestLabels(cell, id string) map[string]string {
	return map[string]string{LabelManagedBy: ManagedBy, v1alpha1.LabelID: id, v1alpha1.LabelCell: cell}
}

// componentLabels are the labels of everything that belongs to a component.
func componentLabels(cell, id string, i controlplane.Instance) map[string]string {
	labels := guestLabels(cell, id)
	maps.Copy(labels, map[string]string{LabelComponent: i.Name, LabelKind: string(i.Kind), LabelZone: i.Zone})
	return labels
}

func (b *builder) guestLabels() map[string]string { return guestLabels(b.cell.Name, b.manifest.ID) }

func (b *builder) labels(c *controlplane.Component) map[string]string {
	return componentLabels(b.cell.Name, b.manifest.ID, controlplane.Instance{Name: c.Name, Kind: c.Kind, Zone: c.Zone})
}

func (b *builder) namespace() string { return NamespaceName(b.manifest.ID) }

// parseInstance takes the name of an instance apart.
func parseInstance(name string) (controlplane.Instance, error) {
	for kind := range ports {
		if zone, found := strings.CutPrefix(name, string(kind)+"-"); found && zone != "" {
			return controlplane.Instance{Name: name, Kind: kind, Zone: zone}, nil
		}
	}
	return controlplane.Instance{}, fmt.Errorf("component %q: its name must be <kind>-<zone>, and its kind one of %s", name, kinds())
}

// Namespace of a guest, in which only pods of the restricted profile run.
func Namespace(cell Cell, id string) *applycorev1.NamespaceApplyConfiguration {
	return restrictedNamespace(NamespaceName(id), guestLabels(cell.Name, id))
}

// restrictedNamespace refuses pods that ask for more than the restricted profile of the cell's own
// version (https://kubernetes.io/docs/concepts/security/pod-security-standards/).
func restrictedNamespace(name string, labels map[string]string) *applycorev1.NamespaceApplyConfiguration {
	const prefix, profile = "pod-security.kubernetes.io/", "restricted"
	return applycorev1.Namespace(name).WithLabels(labels).WithLabels(map[string]string{
		prefix + "enforce": profile, prefix + "warn": profile, prefix + "audit": profile,
	})
}

// serviceAccountName of guests' pods: one of their own, so that rights that somebody gave to the
// namespace's default one do not reach them. It has no token in the pods.
const serviceAccountName = "control-plane"

func (b *builder) serviceAccount() *applycorev1.ServiceAccountApplyConfiguration {
	return applycorev1.ServiceAccount(serviceAccountName, b.namespace()).
		WithLabels(b.guestLabels()).
		WithAutomountServiceAccountToken(false)
}
