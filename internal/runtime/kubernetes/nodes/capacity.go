// Package nodes decides what the nodes of a cell that is a Kubernetes cluster can carry of guests, and
// whether control planes can be run in such a cell at all.
package nodes

import (
	"math"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// Inventory is what Capacity is counted from: objects of the cell, as an informer holds them. They
// are only read.
type Inventory struct {
	// Zones of the Cell; nodes of other zones count for nothing.
	Zones []string
	// Nodes of the cell, all of them.
	Nodes []*corev1.Node
	// Pods of the cell, of all namespaces.
	Pods []*corev1.Pod
	// CSINodes of the cell, named like the nodes; nil where the agent may not read them.
	CSINodes []*storagev1.CSINode
	// VolumeDriver is the provisioner of the StorageClass that etcd's volumes are made of. Where it is
	// empty, or a node does not limit how many volumes of it are attached, volumes are not counted.
	VolumeDriver string
	// AddressResource is the extended resource by which the network plugin tells in a node's
	// allocatable how many pods it has addresses for, where it tells so. Empty: addresses are counted
	// from spec.podCIDRs.
	AddressResource corev1.ResourceName
	// Tolerations of guests' pods: a node with a taint that they do not tolerate counts for nothing.
	Tolerations []corev1.Toleration
}

// Capacity is what the Cell's zones can carry of guests in all, in the order of the Cell's zones: of
// each node that could take a guest's pod what is allocatable, less what pods that are not of guests
// ask for. What is overdrawn on one node is not taken from the next. A zone without such nodes has
// nothing of anything; what cannot be counted on some node is nil for its zone.
func Capacity(in Inventory) runtime.Capacity {
	foreign := map[string][]*corev1.Pod{}
	for _, pod := range in.Pods {
		if pod.Spec.NodeName != "" && !isGuests(pod) && !isFinished(pod) {
			foreign[pod.Spec.NodeName] = append(foreign[pod.Spec.NodeName], pod)
		}
	}
	rooms := map[string]room{}
	for _, node := range in.Nodes {
		zone := node.Labels[corev1.LabelTopologyZone]
		if slices.Contains(in.Zones, zone) && isOpen(node, in.Tolerations) {
			rooms[zone] = rooms[zone].plus(in.roomOf(node, foreign[node.Name]))
		}
	}
	all := make(runtime.Capacity, len(in.Zones))
	for i, zone := range in.Zones {
		all[i] = rooms[zone].capacity(zone)
	}
	return all
}

// room is what is left for guests. An amount is never negative.
type room struct {
	milliCPU, memory, pods, nodes int64
	addresses, volumes            count
}

// count of what may not be countable.
type count struct {
	amount  int64
	unknown bool
}

func counted(amount int64) count { return count{amount: max(amount, 0)} }

func (c count) plus(other count) count {
	return count{amount: add(c.amount, other.amount), unknown: c.unknown || other.unknown}
}

func (c count) pointer() *int64 {
	if c.unknown {
		return nil
	}
	return &c.amount
}

func (r room) plus(other room) room {
	return room{
		milliCPU: add(r.milliCPU, other.milliCPU), memory: add(r.memory, other.memory),
		pods: add(r.pods, other.pods), nodes: r.nodes + other.nodes,
		addresses: r.addresses.plus(other.addresses), volumes: r.volumes.plus(other.volumes),
	}
}

func (r room) capacity(zone string) v1alpha1.ZoneCapacity {
	return v1alpha1.ZoneCapacity{
		Name:      zone,
		CPU:       *resource.NewMilliQuantity(r.milliCPU, resource.DecimalSI),
		Memory:    *resource.NewQuantity(r.memory, resource.BinarySI),
		Pods:      &r.pods,
		Addresses: r.addresses.pointer(),
		Volumes:   r.volumes.pointer(),
		Nodes:     &r.nodes,
	}
}

// roomOf a node beside the pods on it that are not of guests.
func (in Inventory) roomOf(node *corev1.Node, foreign []*corev1.Pod) room {
	allocatable := node.Status.Allocatable
	left := room{milliCPU: allocatable.Cpu().MilliValue(), memory: allocatable.Memory().Value(), nodes: 1}
	addressed := int64(0)
	for _, pod := range foreign {
		requests := requestsOf(pod)
		left.milliCPU -= requests.Cpu().MilliValue()
		left.memory -= requests.Memory().Value()
		if !pod.Spec.HostNetwork {
			addressed++
		}
	}
	left.milliCPU, left.memory = max(left.milliCPU, 0), max(left.memory, 0)
	left.pods = max(allocatable.Pods().Value()-int64(len(foreign)), 0)
	left.addresses = in.addressesOf(node, addressed)
	left.volumes = in.volumesOf(node, foreign)
	return left
}

// add amounts, none of them negative, without running over: a /48 of addresses is more than can be
// counted.
func add(a, b int64) int64 { return a + min(b, math.MaxInt64-a) }
