package network

import (
	"fmt"
	"iter"
	"net/netip"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// Ranges that a guest has in a VPC. One that it does not have is the zero Prefix.
type Ranges struct {
	Nodes, Pods, Services netip.Prefix
}

// Of a kind.
func (r Ranges) Of(kind Kind) netip.Prefix {
	switch kind {
	case Nodes:
		return r.Nodes
	case Pods:
		return r.Pods
	default:
		return r.Services
	}
}

// blocks of the ranges that there are, in the order of Kinds.
func (r Ranges) blocks() iter.Seq2[Kind, block] {
	return func(yield func(Kind, block) bool) {
		for _, kind := range Kinds {
			if prefix := r.Of(kind); prefix.IsValid() && !yield(kind, blockOf(prefix)) {
				return
			}
		}
	}
}

// with another range of a kind.
func (r Ranges) with(kind Kind, prefix netip.Prefix) Ranges {
	switch kind {
	case Nodes:
		r.Nodes = prefix
	case Pods:
		r.Pods = prefix
	default:
		r.Services = prefix
	}
	return r
}

// field of the API that holds a kind's range.
func field(kind Kind) string {
	switch kind {
	case Nodes:
		return "nodeCIDR"
	case Pods:
		return "podCIDR"
	default:
		return "serviceCIDR"
	}
}

// ParseRanges reads ranges of the API. What is not written is the zero Prefix.
func ParseRanges(written v1alpha1.AddressRanges) (Ranges, error) {
	var ranges Ranges
	for kind, text := range map[Kind]string{Nodes: written.NodeCIDR, Pods: written.PodCIDR, Services: written.ServiceCIDR} {
		if text == "" {
			continue
		}
		prefix, err := parse(text)
		if err != nil {
			return Ranges{}, fmt.Errorf("%s: %w", field(kind), err)
		}
		ranges = ranges.with(kind, prefix)
	}
	return ranges, nil
}

// parse an IPv4 network in its shortest form.
func parse(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil || !prefix.Addr().Is4() {
		return netip.Prefix{}, fmt.Errorf("%q is no IPv4 network; write for example 10.0.0.0/20", text)
	}
	if masked := prefix.Masked(); masked != prefix {
		return netip.Prefix{}, fmt.Errorf("%q is no network but an address in one; write %s", text, masked)
	}
	return prefix, nil
}

// RangesOf are those that a network names: what an order has, or what an ask fixes.
func RangesOf(network v1alpha1.ClusterNetwork) v1alpha1.AddressRanges {
	return v1alpha1.AddressRanges{NodeCIDR: network.NodeCIDR, PodCIDR: network.PodCIDR, ServiceCIDR: network.ServiceCIDR}
}

// Addresses are ranges as the API has them.
func (r Ranges) Addresses() v1alpha1.AddressRanges {
	text := func(prefix netip.Prefix) string {
		if !prefix.IsValid() {
			return ""
		}
		return prefix.String()
	}
	return v1alpha1.AddressRanges{NodeCIDR: text(r.Nodes), PodCIDR: text(r.Pods), ServiceCIDR: text(r.Services)}
}
