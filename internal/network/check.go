package network

import (
	"fmt"
	"net/netip"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// named are the ranges that an ask names, checked.
func (v *VPC) named(ask v1alpha1.ClusterNetwork, needs []Need) (Ranges, *Problem) {
	var named Ranges
	for _, need := range needs {
		text := map[Kind]string{Nodes: ask.NodeCIDR, Pods: ask.PodCIDR, Services: ask.ServiceCIDR}[need.Kind]
		if text == "" {
			continue
		}
		prefix, err := parse(text)
		if err != nil {
			return Ranges{}, invalid("%s %v", field(need.Kind), err)
		}
		for _, wrong := range []string{tooSmall(prefix, need), v.misplaced(prefix, need.Kind), overlap(prefix, named)} {
			if wrong != "" {
				return Ranges{}, invalid("%s %s %s", field(need.Kind), prefix, wrong)
			}
		}
		named = named.with(need.Kind, prefix)
	}
	return named, nil
}

// tooSmall checks a range against what is asked for: a number that is not written is not asked for, and then
// the range itself says how much it is.
func tooSmall(prefix netip.Prefix, need Need) string {
	limit := limits[need.Kind]
	switch {
	case need.Asked && prefix.Bits() > need.Bits:
		return fmt.Sprintf("has %d addresses, and %s take %d: write a /%d, or ask for less",
			blockOf(prefix).size(), need.Because, need.Addresses, need.Bits)
	case prefix.Bits() > limit.longest || prefix.Bits() < limit.shortest:
		return fmt.Sprintf("must have a prefix length of %d to %d", limit.shortest, limit.longest)
	}
	return ""
}

// misplaced says why a guest cannot have a range in the VPC.
func (v *VPC) misplaced(prefix netip.Prefix, kind Kind) string {
	if p := v.pools[kind]; !p.all.ContainsPrefix(prefix) {
		return fmt.Sprintf("does not lie in the pools that VPC %s has for %s: %s", v.name, kind, joined(p.configured))
	}
	for _, reserved := range v.reserved {
		if reserved.Overlaps(prefix) {
			return fmt.Sprintf("overlaps %s, which the region's cells use themselves; choose another range", reserved)
		}
	}
	if other, found := v.holder(blockOf(prefix)); found {
		return fmt.Sprintf("overlaps %s; choose another range, or leave it out to have a free one planned", other)
	}
	return ""
}

func overlap(prefix netip.Prefix, named Ranges) string {
	for _, kind := range Kinds {
		if other := named.Of(kind); other.IsValid() && other.Overlaps(prefix) {
			return fmt.Sprintf("overlaps %s %s; choose ranges that share no address", field(kind), other)
		}
	}
	return ""
}

// CheckPools says what of a region's VPCs an operator may not have meant: pools of two kinds that overlap, and so
// use up each other; pools inside others; pools in which guests get nothing, for the cells use them (reserved:
// Cell.spec.network.cidrs of the region's cells); networks with host bits. None of it is an error.
func CheckPools(region *v1alpha1.Region, reserved ...netip.Prefix) []string {
	var warnings []string
	for _, vpc := range region.Spec.VPCs {
		for _, warning := range checkVPC(vpc, reserved) {
			warnings = append(warnings, fmt.Sprintf("VPC %s: %s", vpc.Name, warning))
		}
	}
	return warnings
}

// poolRange is one pool of a VPC.
type poolRange struct {
	kind   Kind
	prefix netip.Prefix
}

// String names the pool.
func (p poolRange) String() string { return fmt.Sprintf("%s (pool of %s)", p.prefix, p.kind) }

func checkVPC(vpc v1alpha1.VPC, reserved []netip.Prefix) []string {
	var warnings []string
	var before []poolRange
	texts := poolsOf(vpc)
	for _, kind := range Kinds {
		for _, text := range texts[kind] {
			prefix, err := netip.ParsePrefix(text)
			if err != nil || !prefix.Addr().Is4() {
				warnings = append(warnings, fmt.Sprintf("%q (pool of %s) is no IPv4 network: the VPC cannot be used", text, kind))
				continue
			}
			if masked := prefix.Masked(); masked != prefix {
				warnings = append(warnings, fmt.Sprintf("%s (pool of %s) is read as %s", prefix, kind, masked))
			}
			this := poolRange{kind, prefix.Masked()}
			warnings = append(warnings, this.warnings(before, reserved)...)
			before = append(before, this)
		}
	}
	return warnings
}

func (p poolRange) warnings(others []poolRange, reserved []netip.Prefix) []string {
	var warnings []string
	for _, other := range others {
		switch {
		case !other.prefix.Overlaps(p.prefix):
		case other.kind == p.kind:
			warnings = append(warnings, fmt.Sprintf("%s and %s overlap: their addresses count once", other, p))
		default:
			warnings = append(warnings, fmt.Sprintf("%s and %s overlap: what one kind takes the other cannot have", other, p))
		}
	}
	for _, cells := range reserved {
		switch {
		case !cells.Overlaps(p.prefix):
		case cells.Masked().Bits() <= p.prefix.Bits():
			warnings = append(warnings, fmt.Sprintf("%s lies in %s, which the region's cells use: no guest gets an address of it", p, cells.Masked()))
		default:
			warnings = append(warnings, fmt.Sprintf("%s of %s are the region's cells' own: no guest gets an address of them", cells.Masked(), p))
		}
	}
	return warnings
}
