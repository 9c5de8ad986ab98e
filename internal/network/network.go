// Package network plans the addresses of guests in the VPCs of a region: ranges of nodes, pods and Services
// that overlap no others of the VPC. It is pure.
package network

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"go4.org/netipx"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// Kind of addresses. Each has pools of its own in a VPC.
type Kind string

// The kinds, as the API calls them.
const (
	Nodes    Kind = "nodes"
	Pods     Kind = "pods"
	Services Kind = "services"
)

// Kinds in the order in which they are told of.
var Kinds = []Kind{Nodes, Pods, Services}

// Problem says why no ranges can be had, in the words of a condition or of a rejected cell.
type Problem struct {
	// Reason: ReasonAddressesExhausted, or v1alpha1.ReasonInvalidAddresses.
	Reason string
	// Message says what is exhausted or taken, and what to write instead.
	Message string
}

// ReasonAddressesExhausted says that no range of the size that is asked for is free in the pools of the VPC.
const ReasonAddressesExhausted = "AddressesExhausted"

// VPC knows what is taken of a VPC's pools. Even its questions change it for a moment: it is for one
// goroutine at a time.
type VPC struct {
	name     string
	pools    map[Kind]*pool
	reserved []netip.Prefix // IPv4
	guests   map[string]Ranges
	taken    taken
	clashing map[string]bool // guests whose ranges overlap those of guests before them
}

// pool is what guests may have of one kind.
type pool struct {
	configured []netip.Prefix
	all        *netipx.IPSet // the pools together
	base       []block       // all without what is reserved
	free       free          // base without what is taken, by whatever kind
}

// NewVPC with nothing taken. Reserved are ranges that no guest may get, such as those of the region's cells
// (Cell.spec.network.cidrs); IPv6 ones are passed over, for pools are IPv4. Pools may overlap each other. It
// is an error when a pool is no IPv4 network, which the API refuses.
func NewVPC(vpc v1alpha1.VPC, reserved []netip.Prefix) (*VPC, error) {
	v := &VPC{name: vpc.Name, pools: map[Kind]*pool{}, guests: map[string]Ranges{}, taken: newTaken(), clashing: map[string]bool{}}
	for _, prefix := range reserved {
		if prefix.Addr().Is4() {
			v.reserved = append(v.reserved, prefix.Masked())
		}
	}
	for kind, texts := range poolsOf(vpc) {
		made, err := newPool(texts, v.reserved)
		if err != nil {
			return nil, fmt.Errorf("VPC %s: pools of %s: %w", vpc.Name, kind, err)
		}
		v.pools[kind] = made
	}
	return v, nil
}

func poolsOf(vpc v1alpha1.VPC) map[Kind][]string {
	return map[Kind][]string{Nodes: vpc.NodePools, Pods: vpc.PodPools, Services: vpc.ServicePools}
}

func newPool(texts []string, reserved []netip.Prefix) (*pool, error) {
	p := &pool{}
	var builder netipx.IPSetBuilder
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if err != nil || !prefix.Addr().Is4() {
			return nil, fmt.Errorf("%q is no IPv4 network; write for example 10.0.0.0/12", text)
		}
		p.configured = append(p.configured, prefix.Masked())
		builder.AddPrefix(prefix.Masked())
	}
	var err error
	if p.all, err = builder.IPSet(); err != nil {
		return nil, fmt.Errorf("join them: %w", err)
	}
	for _, prefix := range reserved {
		builder.RemovePrefix(prefix)
	}
	rest, err := builder.IPSet()
	if err != nil {
		return nil, fmt.Errorf("take what is reserved out of them: %w", err)
	}
	for _, prefix := range rest.Prefixes() {
		p.base = append(p.base, blockOf(prefix))
		p.free.add(blockOf(prefix))
	}
	return p, nil
}

// within are the parts of a block that guests may have.
func (p *pool) within(b block) []block {
	first, _ := slices.BinarySearchFunc(p.base, b.start, func(has block, start uint32) int { return has.compareEnd(start) })
	var parts []block
	for _, has := range p.base[first:] {
		switch {
		case has.start > b.last():
			return parts
		case has.bits <= b.bits:
			return []block{b}
		}
		parts = append(parts, has)
	}
	return parts
}

// Plan ranges for a guest: those that the ask names, checked, and for the rest the lowest free ones of the
// size that the ask needs, out of the smallest free blocks that hold them, so that large ones stay whole.
// Nothing is taken yet. The same ask on the same VPC gives the same ranges. When it finds none there are none.
func (v *VPC) Plan(ask v1alpha1.ClusterNetwork) (Ranges, *Problem) {
	needs, problem := Needs(ask)
	if problem != nil {
		return Ranges{}, problem
	}
	ranges, problem := v.named(ask, needs)
	if problem != nil {
		return Ranges{}, problem
	}
	open := slices.DeleteFunc(slices.Clone(needs), func(need Need) bool { return ranges.Of(need.Kind).IsValid() })
	for _, written := range ranges.blocks() {
		v.hide(written)
		defer v.show(written)
	}
	slices.SortStableFunc(open, func(a, b Need) int { return a.Bits - b.Bits })
	if !v.choose(open, &ranges) {
		return Ranges{}, v.exhausted(needs, open)
	}
	return ranges, nil
}

// choose ranges for the needs, the largest first. Where pools of two kinds overlap, the first choice may
// take the only place of another need; one of as many choices as there are needs does not, if any does:
// each range of the others lies in one aligned place of this size.
func (v *VPC) choose(open []Need, ranges *Ranges) bool {
	if len(open) == 0 {
		return true
	}
	for _, b := range v.pools[open[0].Kind].free.candidates(open[0].Bits, len(open)) {
		v.hide(b)
		chosen := v.choose(open[1:], ranges)
		v.show(b)
		if chosen {
			*ranges = ranges.with(open[0].Kind, b.prefix())
			return true
		}
	}
	return false
}

func (v *VPC) exhausted(needs, open []Need) *Problem {
	var missing, asked []string
	for _, need := range needs {
		if !slices.Contains(open, need) {
			continue
		}
		asked = append(asked, fmt.Sprintf("%d for %s", need.Addresses, need.Kind))
		if p := v.pools[need.Kind]; len(p.free.candidates(need.Bits, 1)) == 0 {
			missing = append(missing, fmt.Sprintf("no %d addresses (a /%d, for %s) are free for %s; %s of the pools %s",
				need.Addresses, need.Bits, need.Because, need.Kind, p.largestText(), joined(p.configured)))
		}
	}
	message := strings.Join(missing, "; ")
	if len(missing) == 0 {
		message = fmt.Sprintf("the pools overlap, and what is free of them does not hold all of %s addresses", strings.Join(asked, ", "))
	}
	return &Problem{Reason: ReasonAddressesExhausted, Message: fmt.Sprintf(
		"VPC %s: %s; add a pool to the VPC (Region.spec.vpcs), or ask for fewer nodes, podsPerNode or services", v.name, message)}
}

func (p *pool) largestText() string {
	if largest, ok := p.free.largest(); ok {
		return fmt.Sprintf("the largest free block is %s (%d addresses)", largest.prefix(), largest.size())
	}
	return "nothing is free"
}

func joined[T fmt.Stringer](items []T) string {
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = item.String()
	}
	return strings.Join(texts, ", ")
}
