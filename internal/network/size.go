package network

import (
	"fmt"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

const (
	// The defaults that ClusterNetwork documents. 110 is kubelet's own --max-pods.
	defaultNodes, defaultPodsPerNode, defaultServices = 16, 110, 4096

	// subnetReserved addresses of a subnet are the cloud's: its first four and its last one at AWS
	// (docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html) and at Azure; others keep fewer.
	subnetReserved = 5
	// nodeShare is how many addresses a node has for each of its pods: with twice as many as pods an
	// address rests before the next pod gets it, as GKE does
	// (cloud.google.com/kubernetes-engine/docs/how-to/flexible-pod-cidr: 110 pods have a /24).
	nodeShare = 2
)

// limits of the prefix length by kind: longest is that of the smallest range. A /28 is the smallest subnet of
// AWS. The others are those of the API: kube-apiserver takes no larger range of Services than a /12.
var limits = map[Kind]struct{ longest, shortest int }{
	Nodes: {28, 8}, Pods: {24, 8}, Services: {24, 12},
}

// Need is what an ask takes of one kind.
type Need struct {
	Kind Kind
	// Bits of the prefix of the smallest range that holds it.
	Bits int
	// Addresses of that range.
	Addresses int64
	// Because says what the addresses are for.
	Because string
	// Asked says that the ask names a number; else it is the default.
	Asked bool
}

// WithDefaults writes the numbers that an ask leaves out.
func WithDefaults(ask v1alpha1.ClusterNetwork) v1alpha1.ClusterNetwork {
	ask.Nodes, ask.PodsPerNode, ask.Services = or(ask.Nodes, defaultNodes), or(ask.PodsPerNode, defaultPodsPerNode), or(ask.Services, defaultServices)
	return ask
}

func or(value, otherwise int32) int32 {
	if value <= 0 {
		return otherwise
	}
	return value
}

// NodeBits is the prefix length of the pods of one node.
func NodeBits(ask v1alpha1.ClusterNetwork) int {
	return bitsFor(nodeShare * int64(WithDefaults(ask).PodsPerNode))
}

// Needs of an ask, in the order of Kinds. It is a problem when no range is large enough.
//
//   - Nodes: as many addresses, and those that the cloud keeps of a subnet, rounded up to a power of two.
//   - Pods: each node has the smallest power of two that is at least twice its pods; times the nodes, rounded up.
//   - Services: as many, rounded up.
func Needs(ask v1alpha1.ClusterNetwork) ([]Need, *Problem) {
	full := WithDefaults(ask)
	perNode := block{bits: NodeBits(ask)}.size()
	needs := []Need{
		need(Nodes, int64(full.Nodes)+subnetReserved, ask.Nodes > 0,
			fmt.Sprintf("%d nodes and %d that a subnet keeps", full.Nodes, subnetReserved)),
		need(Pods, int64(full.Nodes)*perNode, ask.Nodes > 0 || ask.PodsPerNode > 0,
			fmt.Sprintf("%d nodes with %d addresses each, for %d pods per node", full.Nodes, perNode, full.PodsPerNode)),
		need(Services, int64(full.Services), ask.Services > 0, fmt.Sprintf("%d Services", full.Services)),
	}
	for _, n := range needs {
		if shortest := limits[n.Kind].shortest; n.Bits < shortest {
			return nil, invalid("%s take %d addresses, and a guest can have no more than %d (a /%d) for its %s: ask for fewer",
				n.Because, n.Addresses, block{bits: shortest}.size(), shortest, n.Kind)
		}
	}
	return needs, nil
}

func need(kind Kind, addresses int64, asked bool, because string) Need {
	bits := min(bitsFor(addresses), limits[kind].longest)
	return Need{Kind: kind, Bits: bits, Addresses: block{bits: bits}.size(), Because: because, Asked: asked}
}

func invalid(format string, args ...any) *Problem {
	return &Problem{Reason: v1alpha1.ReasonInvalidAddresses, Message: "spec.network: " + fmt.Sprintf(format, args...)}
}

// Interfaces that a zone of a cell needs so that many guests of one VPC reach into it, with that many to an
// interface (Cell.spec.network.addressesPerInterface).
func Interfaces(guests, perInterface int64) int64 {
	if perInterface <= 0 {
		return 0
	}
	return (guests + perInterface - 1) / perInterface
}
