package network

import (
	"fmt"
	"net/netip"
	"testing"

	"go4.org/netipx"
	"pgregory.net/rapid"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// The small world of the properties: 10.0.0.0/20, in units of the smallest range, a /28.
const (
	worldBits, unitBits = 20, 28
	units               = 1 << (unitBits - worldBits)
)

var worldStart = netip.MustParsePrefix("10.0.0.0/20")

func place(bits, index int) netip.Prefix {
	return block{blockOf(worldStart).start + uint32(index)<<(addressBits-bits), bits}.prefix()
}

// anyPlace is an aligned range of the world.
func anyPlace(longest, shortest int) *rapid.Generator[netip.Prefix] {
	return rapid.Custom(func(t *rapid.T) netip.Prefix {
		bits := rapid.IntRange(shortest, longest).Draw(t, "bits")
		return place(bits, rapid.IntRange(0, 1<<(bits-worldBits)-1).Draw(t, "index"))
	})
}

func anyPools() *rapid.Generator[[]string] {
	return rapid.Map(rapid.SliceOfN(anyPlace(25, worldBits), 1, 3), func(prefixes []netip.Prefix) []string {
		var texts []string
		for _, prefix := range prefixes {
			texts = append(texts, prefix.String())
		}
		return texts
	})
}

// model is the same VPC by sets that are made anew for every question.
type model struct {
	vpc      v1alpha1.VPC
	reserved []netip.Prefix
	guests   map[string]Ranges
	foreign  map[string]bool // those that overlap others, which nobody here planned
}

func anyVPC(t *rapid.T) (*VPC, *model) {
	m := &model{
		vpc: v1alpha1.VPC{
			Name:      "main",
			NodePools: anyPools().Draw(t, "nodes"), PodPools: anyPools().Draw(t, "pods"), ServicePools: anyPools().Draw(t, "services"),
		},
		reserved: rapid.SliceOfN(anyPlace(unitBits, 22), 0, 3).Draw(t, "reserved"), guests: map[string]Ranges{}, foreign: map[string]bool{},
	}
	v, err := NewVPC(m.vpc, m.reserved)
	if err != nil {
		t.Fatal(err)
	}
	return v, m
}

// free of a kind, by the units of the world.
func (m *model) free(kind Kind) []bool {
	var builder netipx.IPSetBuilder
	for _, text := range poolsOf(m.vpc)[kind] {
		builder.AddPrefix(netip.MustParsePrefix(text))
	}
	for _, prefix := range m.reserved {
		builder.RemovePrefix(prefix)
	}
	for _, ranges := range m.guests {
		for _, kind := range Kinds {
			builder.RemovePrefix(ranges.Of(kind))
		}
	}
	set, _ := builder.IPSet()
	free := make([]bool, units)
	for i := range free {
		free[i] = set.ContainsPrefix(place(unitBits, i))
	}
	return free
}

// possible tries every combination of places.
func (m *model) possible(needs []Need) bool {
	free := map[Kind][]bool{}
	for _, kind := range Kinds {
		free[kind] = m.free(kind)
	}
	used := make([]bool, units)
	var try func(rest []Need) bool
	try = func(rest []Need) bool {
		if len(rest) == 0 {
			return true
		}
		size := 1 << (unitBits - rest[0].Bits)
		for start := 0; start+size <= units; start += size {
			if !all(free[rest[0].Kind][start:start+size], true) || !all(used[start:start+size], false) {
				continue
			}
			fill(used[start:start+size], true)
			found := try(rest[1:])
			fill(used[start:start+size], false)
			if found {
				return true
			}
		}
		return false
	}
	return try(needs)
}

func all(values []bool, want bool) bool {
	for _, value := range values {
		if value != want {
			return false
		}
	}
	return true
}

func fill(values []bool, value bool) {
	for i := range values {
		values[i] = value
	}
}

func anyAsk(t *rapid.T) v1alpha1.ClusterNetwork {
	return v1alpha1.ClusterNetwork{
		Nodes:       rapid.Int32Range(1, 8).Draw(t, "nodes"),
		PodsPerNode: rapid.SampledFrom([]int32{30, 110}).Draw(t, "podsPerNode"),
		Services:    rapid.SampledFrom([]int32{1, 256, 300, 1000}).Draw(t, "services"),
	}
}

// TestNeverTwice: over any pools and any history nothing overlaps, what is refused cannot be had in any
// other way, what is released can be had again, and the same question has the same answer.
func TestNeverTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, m := anyVPC(t)
		for step := range rapid.IntRange(1, 12).Draw(t, "steps") {
			id := fmt.Sprintf("guest%d", step)
			switch {
			case len(m.guests) > 0 && rapid.IntRange(0, 2).Draw(t, "release") == 0:
				id = rapid.SampledFrom(sortedIDs(m)).Draw(t, "released")
				v.Release(id)
				delete(m.guests, id)
				delete(m.foreign, id)
			case rapid.IntRange(0, 3).Draw(t, "foreign") == 0:
				// Somebody else's ranges, planned under other pools.
				ranges := Ranges{
					Nodes: anyPlace(28, 24).Draw(t, "nodeRange"), Pods: anyPlace(24, 21).Draw(t, "podRange"),
					Services: anyPlace(24, 22).Draw(t, "serviceRange"),
				}
				m.guests[id] = ranges
				if v.Take(id, ranges) != nil { // they are kept from others all the same
					m.foreign[id] = true
				}
			default:
				m.plan(t, v, id)
			}
			m.check(t, v)
		}
	})
}

func (m *model) plan(t *rapid.T, v *VPC, id string) {
	ask := anyAsk(t)
	needs, _ := Needs(ask)
	ranges, problem := v.Plan(ask)
	again, sameProblem := v.Plan(ask)
	if ranges != again || (problem == nil) != (sameProblem == nil) {
		t.Fatalf("the same ask: %v, then %v", ranges, again)
	}
	if possible := m.possible(needs); possible != (problem == nil) {
		t.Fatalf("ask %+v: possible is %t, and the answer %v, %+v", ask, possible, ranges, problem)
	}
	if problem != nil {
		return
	}
	for _, need := range needs {
		if got := ranges.Of(need.Kind); got.Bits() != need.Bits || !m.isFree(need.Kind, got) {
			t.Fatalf("%s of %s: not free, or not of a /%d", need.Kind, got, need.Bits)
		}
	}
	if err := v.Take(id, ranges); err != nil {
		t.Fatalf("what was planned cannot be taken: %v", err)
	}
	m.guests[id] = ranges
}

func (m *model) isFree(kind Kind, prefix netip.Prefix) bool {
	free := m.free(kind)
	for i := range free {
		if prefix.Overlaps(place(unitBits, i)) && !free[i] {
			return false
		}
	}
	return true
}

// check compares what is free, and that no two guests overlap.
func (m *model) check(t *rapid.T, v *VPC) {
	for _, usage := range v.Usage() {
		var want int64
		for _, free := range m.free(usage.Kind) {
			if free {
				want += 1 << (addressBits - unitBits)
			}
		}
		if usage.Free != want || usage.Total != usage.Reserved+usage.Taken+usage.Free {
			t.Fatalf("%s: %+v, want %d free", usage.Kind, usage, want)
		}
	}
	ids := sortedIDs(m)
	for i, a := range ids {
		for _, b := range ids[i+1:] {
			if !m.foreign[a] && !m.foreign[b] && m.guests[a].overlap(m.guests[b]) {
				t.Fatalf("%s and %s overlap: %v, %v", a, b, m.guests[a], m.guests[b])
			}
		}
	}
}

func (r Ranges) overlap(other Ranges) bool {
	for _, a := range r.blocks() {
		for _, b := range other.blocks() {
			if a.overlaps(b) {
				return true
			}
		}
	}
	return false
}

func sortedIDs(m *model) []string {
	var ids []string
	for step := range 12 {
		if id := fmt.Sprintf("guest%d", step); m.guests[id] != (Ranges{}) {
			ids = append(ids, id)
		}
	}
	return ids
}

// TestNamedRanges: of ranges that are written by hand, whatever they are, none overlaps anything, and none
// lies outside its pool.
func TestNamedRanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, m := anyVPC(t)
		m.plan(t, v, "guest0")
		ask := v1alpha1.ClusterNetwork{Nodes: 1, PodsPerNode: 30, Services: 1}
		ask.NodeCIDR = anyPlace(28, 26).Draw(t, "nodeRange").String()
		if rapid.Bool().Draw(t, "podsToo") {
			ask.PodCIDR = anyPlace(24, 22).Draw(t, "podRange").String()
		}
		ranges, problem := v.Plan(ask)
		m.check(t, v) // a plan leaves nothing behind
		if problem != nil {
			return
		}
		for i, kind := range Kinds {
			if !m.isFree(kind, ranges.Of(kind)) {
				t.Fatalf("%s %s is not free", kind, ranges.Of(kind))
			}
			for _, other := range Kinds[i+1:] {
				if ranges.Of(kind).Overlaps(ranges.Of(other)) {
					t.Fatalf("%s %s and %s %s overlap", kind, ranges.Of(kind), other, ranges.Of(other))
				}
			}
		}
	})
}

// BenchmarkPlan plans, takes and releases in a VPC of 3,000 guests.
func BenchmarkPlan(b *testing.B) {
	for name, pools := range map[string][3]string{"apart": {"172.16.0.0/12", "10.0.0.0/8", "100.64.0.0/10"}, "shared": {"10.0.0.0/8", "10.0.0.0/8", "10.0.0.0/8"}} {
		b.Run(name, func(b *testing.B) {
			v, err := NewVPC(v1alpha1.VPC{Name: "main", NodePools: pools[:1], PodPools: pools[1:2], ServicePools: pools[2:]}, nil)
			if err != nil {
				b.Fatal(err)
			}
			sizes := []int32{3, 16, 20, 7, 12}
			for i := range 3000 + 300 {
				ask := v1alpha1.ClusterNetwork{Nodes: sizes[i%len(sizes)], PodsPerNode: 60, Services: 256 << (i % 3)}
				ranges, problem := v.Plan(ask)
				if problem != nil {
					b.Fatalf("guest %d: %+v", i, problem)
				}
				if err := v.Take(fmt.Sprint(i), ranges); err != nil {
					b.Fatal(err)
				}
			}
			for i := 0; i < 3300; i += 11 { // holes
				v.Release(fmt.Sprint(i))
			}
			for i := 0; b.Loop(); i++ {
				ranges, problem := v.Plan(v1alpha1.ClusterNetwork{Nodes: sizes[i%len(sizes)], PodsPerNode: 60})
				if problem != nil {
					b.Fatal(problem)
				}
				if err := v.Take("next", ranges); err != nil {
					b.Fatal(err)
				}
				v.Release("next")
			}
		})
	}
}
