package objects

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	metav1 "k8s.io/client-go/applyconfigurations/meta/v1"
	applynetworkingv1 "k8s.io/client-go/applyconfigurations/networking/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
)

// neverWorld are networks that no webhook of a guest's user may lead to, on any cell: the node itself,
// and where clouds tell a machine its own credentials.
var neverWorld = []netip.Prefix{
	netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("169.254.0.0/16"),     // link-local: 169.254.169.254 of most clouds
	netip.MustParsePrefix("100.100.100.200/32"), // Alibaba Cloud
	netip.MustParsePrefix("::1/128"),
	netip.MustParsePrefix("fe80::/10"),
	netip.MustParsePrefix("fd00:ec2::254/128"), // AWS
}

// denyAll closes the namespace in both directions; what is open is listed per component. What a node
// sends to its own pods, the kubelet's probes, is always let through
// (https://kubernetes.io/docs/concepts/services-networking/network-policies/). No path leads to a DNS
// server: components name each other by address. A guest whose webhooks or issuers are named by host
// needs a resolver outside of Cell.Private in its nodes' resolv.conf.
func (b *builder) denyAll() Object {
	return applynetworkingv1.NetworkPolicy("deny-all", b.namespace()).
		WithLabels(b.guestLabels()).
		WithSpec(applynetworkingv1.NetworkPolicySpec().
			WithPodSelector(metav1.LabelSelector()).
			WithPolicyTypes(networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress))
}

// paths opens the paths to and from one component.
func (b *builder) paths(c *controlplane.Component) Object {
	spec := applynetworkingv1.NetworkPolicySpec().
		WithPodSelector(metav1.LabelSelector().WithMatchLabels(selector(b.manifest.ID, c.Name))).
		WithPolicyTypes(networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress)
	switch c.Kind {
	case controlplane.Etcd:
		b.etcdPaths(spec, c.Zone)
	case controlplane.APIServer:
		b.apiServerPaths(spec, c.Zone)
	default: // clients of their zone's API server, which nobody but the kubelet asks anything
		spec.WithEgress(to([]int32{controlplane.APIServerPort}, b.instance(controlplane.APIServer, c.Zone)))
	}
	return applynetworkingv1.NetworkPolicy(c.Name, b.namespace()).WithLabels(b.labels(c)).WithSpec(spec)
}

func (b *builder) etcdPaths(spec *applynetworkingv1.NetworkPolicySpecApplyConfiguration, zone string) {
	peers := b.pods(map[string]string{LabelKind: string(controlplane.Etcd)})
	spec.WithIngress(
		from([]int32{controlplane.EtcdPeerPort}, peers),
		from([]int32{controlplane.EtcdClientPort}, b.instance(controlplane.APIServer, zone)),
		from([]int32{controlplane.EtcdClientPort, controlplane.EtcdMetricsPort}, outside(b.cell.Agents)...))
	spec.WithEgress(to([]int32{controlplane.EtcdPeerPort}, peers))
}

// apiServerPaths: API servers do not call each other. What else they call (kubelets, webhooks,
// aggregated API servers, issuers) is the guest's own, and lies outside of the cell.
func (b *builder) apiServerPaths(spec *applynetworkingv1.NetworkPolicySpecApplyConfiguration, zone string) {
	port := []int32{controlplane.APIServerPort}
	spec.WithIngress(
		from(port, b.instance(controlplane.ControllerManager, zone), b.instance(controlplane.Scheduler, zone)),
		from(port, outside(b.cell.Agents)...),
		from(port, outside(b.cell.Gateways)...))
	spec.WithEgress(to([]int32{controlplane.EtcdClientPort}, b.instance(controlplane.Etcd, zone)))
	if world := world(b.cell.Private); len(world) > 0 {
		spec.WithEgress(to(nil, world...))
	}
}

// pods of this guest with those labels.
func (b *builder) pods(labels map[string]string) *applynetworkingv1.NetworkPolicyPeerApplyConfiguration {
	selector := metav1.LabelSelector().
		WithMatchLabels(map[string]string{v1alpha1.LabelID: b.manifest.ID}).
		WithMatchLabels(labels)
	return applynetworkingv1.NetworkPolicyPeer().WithPodSelector(selector)
}

func (b *builder) instance(kind controlplane.Kind, zone string) *applynetworkingv1.NetworkPolicyPeerApplyConfiguration {
	return b.pods(map[string]string{LabelComponent: controlplane.InstanceName(kind, zone)})
}

// outside are the peers of connections from those networks, and of Myriad's own pods in the cell.
// Without networks there are none, which means everyone.
func outside(networks []netip.Prefix) []*applynetworkingv1.NetworkPolicyPeerApplyConfiguration {
	if len(networks) == 0 {
		return nil
	}
	system := metav1.LabelSelector().WithMatchLabels(map[string]string{corev1.LabelMetadataName: SystemNamespace})
	peers := []*applynetworkingv1.NetworkPolicyPeerApplyConfiguration{
		applynetworkingv1.NetworkPolicyPeer().WithNamespaceSelector(system),
	}
	for _, network := range networks {
		block := applynetworkingv1.IPBlock().WithCIDR(network.Masked().String())
		peers = append(peers, applynetworkingv1.NetworkPolicyPeer().WithIPBlock(block))
	}
	return peers
}

// world is everything but those networks and neverWorld.
func world(private []netip.Prefix) []*applynetworkingv1.NetworkPolicyPeerApplyConfiguration {
	var peers []*applynetworkingv1.NetworkPolicyPeerApplyConfiguration
	for _, all := range []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")} {
		if slices.Contains(private, all) {
			continue
		}
		block := applynetworkingv1.IPBlock().WithCIDR(all.String())
		for _, network := range slices.Concat(private, neverWorld) {
			if masked := network.Masked(); all.Contains(masked.Addr()) && !slices.Contains(block.Except, masked.String()) {
				block.WithExcept(masked.String())
			}
		}
		peers = append(peers, applynetworkingv1.NetworkPolicyPeer().WithIPBlock(block))
	}
	return peers
}

// from lets peers (none: everyone) in to TCP ports.
func from(ports []int32, peers ...*applynetworkingv1.NetworkPolicyPeerApplyConfiguration) *applynetworkingv1.NetworkPolicyIngressRuleApplyConfiguration {
	return applynetworkingv1.NetworkPolicyIngressRule().WithFrom(peers...).WithPorts(tcp(ports)...)
}

// to lets out to TCP ports (none: everything) of peers.
func to(ports []int32, peers ...*applynetworkingv1.NetworkPolicyPeerApplyConfiguration) *applynetworkingv1.NetworkPolicyEgressRuleApplyConfiguration {
	return applynetworkingv1.NetworkPolicyEgressRule().WithTo(peers...).WithPorts(tcp(ports)...)
}

func tcp(ports []int32) []*applynetworkingv1.NetworkPolicyPortApplyConfiguration {
	var rules []*applynetworkingv1.NetworkPolicyPortApplyConfiguration
	for _, port := range ports {
		rules = append(rules, applynetworkingv1.NetworkPolicyPort().
			WithProtocol(corev1.ProtocolTCP).WithPort(intstr.FromInt32(port)))
	}
	return rules
}
