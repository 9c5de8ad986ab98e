package network

import (
	"net/netip"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// Usage is what there is of one kind in a VPC, in addresses. Pools that overlap count once, and where pools
// of two kinds overlap, what one takes is taken in both.
type Usage struct {
	Kind Kind
	// Pools as configured.
	Pools []netip.Prefix
	// Total of the pools, Reserved for the cells, Taken by guests, and Free.
	Total, Reserved, Taken, Free int64
	// FreeBlocks are the largest aligned networks that the free addresses are made of, in their order.
	FreeBlocks []netip.Prefix
	// LargestFree is the largest of them; the zero Prefix when nothing is free.
	LargestFree netip.Prefix
	// Fits is how many guests that ask for nothing special still fit, as far as this kind goes.
	Fits int64
}

// Usage of the VPC, in the order of Kinds.
func (v *VPC) Usage() []Usage {
	needs, _ := Needs(v1alpha1.ClusterNetwork{}) // the defaults are in their limits
	usages := make([]Usage, 0, len(Kinds))
	for i, kind := range Kinds {
		p := v.pools[kind]
		usage := Usage{Kind: kind, Pools: p.configured, Free: p.free.count(), Fits: p.free.places(needs[i].Bits)}
		for _, prefix := range p.all.Prefixes() {
			usage.Total += blockOf(prefix).size()
		}
		usage.Reserved = usage.Total
		for _, b := range p.base {
			usage.Reserved -= b.size()
		}
		usage.Taken = usage.Total - usage.Reserved - usage.Free
		for _, b := range p.free.blocks() {
			usage.FreeBlocks = append(usage.FreeBlocks, b.prefix())
		}
		if largest, ok := p.free.largest(); ok {
			usage.LargestFree = largest.prefix()
		}
		usages = append(usages, usage)
	}
	return usages
}

// Fits is how many guests of an ask still fit, most at most. Ranges that the ask names are passed over: they
// fit once.
func (v *VPC) Fits(ask v1alpha1.ClusterNetwork, most int64) int64 {
	ask.NodeCIDR, ask.PodCIDR, ask.ServiceCIDR = "", "", ""
	needs, problem := Needs(ask)
	if problem != nil {
		return 0
	}
	for _, n := range needs {
		most = min(most, v.pools[n.Kind].free.places(n.Bits))
	}
	if !v.shared() {
		return most
	}
	// Pools of two kinds overlap: only trying tells.
	var tried []Ranges
	for int64(len(tried)) < most {
		ranges, problem := v.Plan(ask)
		if problem != nil {
			break
		}
		for _, b := range ranges.blocks() {
			v.hide(b)
		}
		tried = append(tried, ranges)
	}
	for _, ranges := range tried {
		for _, b := range ranges.blocks() {
			v.show(b)
		}
	}
	return int64(len(tried))
}

// shared tells whether pools of two kinds overlap.
func (v *VPC) shared() bool {
	return v.pools[Nodes].all.Overlaps(v.pools[Pods].all) || v.pools[Nodes].all.Overlaps(v.pools[Services].all) ||
		v.pools[Pods].all.Overlaps(v.pools[Services].all)
}
