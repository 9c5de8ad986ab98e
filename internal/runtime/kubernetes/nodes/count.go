package nodes

import (
	"math"
	"net/netip"
	"slices"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	resourcehelper "k8s.io/component-helpers/resource"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

const (
	// guestNamespace is what the namespaces of guests begin with; their id follows.
	guestNamespace = "myriad-"
	// reservedAddresses of a node's pod network that no pod gets: the network's own, the node's
	// gateway, and the broadcast address (host-local, the IPAM plugin of the CNI project:
	// https://www.cni.dev/plugins/current/ipam/host-local/).
	reservedAddresses = 3
	// mostHostBits: larger networks count as of this size, which nobody can use up.
	mostHostBits = 62
)

// isGuests tells whether a pod is a component of a guest's control plane: its requests are part of
// what the hub has booked. Myriad's own pods in the cell are not.
func isGuests(pod *corev1.Pod) bool {
	id := pod.Labels[v1alpha1.LabelID]
	return id != "" && pod.Namespace == guestNamespace+id
}

// isFinished tells whether a pod has ended for good and gave back what it had.
func isFinished(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// isOpen tells whether the scheduler could put a guest's pod on a node.
func isOpen(node *corev1.Node, tolerations []corev1.Toleration) bool {
	ready := slices.ContainsFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
	closed := slices.ContainsFunc(node.Spec.Taints, func(taint corev1.Taint) bool {
		return taint.Effect != corev1.TaintEffectPreferNoSchedule && !tolerated(taint, tolerations)
	})
	return ready && !closed && !node.Spec.Unschedulable
}

func tolerated(taint corev1.Taint, tolerations []corev1.Toleration) bool {
	return slices.ContainsFunc(tolerations, func(toleration corev1.Toleration) bool {
		return toleration.ToleratesTaint(logr.Discard(), &taint, false)
	})
}

// requestsOf a pod as the scheduler counts them: init containers, sidecars, overhead, pod-level
// requests, and of a pod that is being resized the larger of what it has and what it is to have.
func requestsOf(pod *corev1.Pod) corev1.ResourceList {
	return resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{
		UseStatusResources: true, InPlacePodLevelResourcesVerticalScalingEnabled: pod.Status.Resources != nil,
	})
}

// addressesOf a node that pods have not taken. A node with several networks (dual stack) gives each
// pod one of each, so that the smallest decides.
func (in Inventory) addressesOf(node *corev1.Node, taken int64) count {
	if in.AddressResource != "" {
		told, ok := node.Status.Allocatable[in.AddressResource]
		if !ok {
			return count{unknown: true}
		}
		return counted(told.Value() - taken)
	}
	networks := node.Spec.PodCIDRs
	if len(networks) == 0 && node.Spec.PodCIDR != "" {
		networks = []string{node.Spec.PodCIDR}
	}
	if len(networks) == 0 {
		return count{unknown: true} // the network plugin keeps addresses by itself
	}
	least := int64(math.MaxInt64)
	for _, network := range networks {
		prefix, err := netip.ParsePrefix(network)
		if err != nil {
			return count{unknown: true}
		}
		bits := min(prefix.Addr().BitLen()-prefix.Bits(), mostHostBits)
		least = min(least, int64(1)<<bits-reservedAddresses)
	}
	return counted(least - taken)
}

// volumesOf a node that may still be attached. Any volume that is made by a claim of a pod that is
// not a guest's is held to be of the same driver: the count errs to the safe side.
func (in Inventory) volumesOf(node *corev1.Node, foreign []*corev1.Pod) count {
	limit := volumeLimit(in.CSINodes, node.Name, in.VolumeDriver)
	if limit == nil {
		return count{unknown: true}
	}
	attached := map[string]bool{}
	for _, pod := range foreign {
		for _, volume := range pod.Spec.Volumes {
			switch {
			case volume.PersistentVolumeClaim != nil:
				attached[pod.Namespace+"/"+volume.PersistentVolumeClaim.ClaimName] = true
			case volume.Ephemeral != nil: // its claim is named <pod>-<volume>
				attached[pod.Namespace+"/"+pod.Name+"-"+volume.Name] = true
			}
		}
	}
	return counted(int64(*limit) - int64(len(attached)))
}

// volumeLimit of a driver on a node; nil when it sets none or is not there.
func volumeLimit(nodes []*storagev1.CSINode, name, driver string) *int32 {
	for _, node := range nodes {
		if node.Name != name {
			continue
		}
		for _, d := range node.Spec.Drivers {
			if d.Name == driver && d.Allocatable != nil {
				return d.Allocatable.Count
			}
		}
	}
	return nil
}
