package network

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// testVPC has pools of a /24, a /16 and a /18 that do not overlap.
func testVPC(t testing.TB, reserved ...string) *VPC {
	t.Helper()
	return vpcOf(t, []string{"10.0.0.0/24"}, []string{"10.1.0.0/16"}, []string{"10.2.0.0/18"}, reserved...)
}

func vpcOf(t testing.TB, nodes, pods, services []string, reserved ...string) *VPC {
	t.Helper()
	var prefixes []netip.Prefix
	for _, text := range reserved {
		prefixes = append(prefixes, netip.MustParsePrefix(text))
	}
	v, err := NewVPC(v1alpha1.VPC{Name: "main", NodePools: nodes, PodPools: pods, ServicePools: services}, prefixes)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// rangesOf reads "nodes pods services"; "-" is none.
func rangesOf(t testing.TB, text string) Ranges {
	t.Helper()
	words := strings.Fields(strings.ReplaceAll(text, "-", `""`))
	for i := range words {
		words[i] = strings.Trim(words[i], `"`)
	}
	ranges, err := ParseRanges(v1alpha1.AddressRanges{NodeCIDR: words[0], PodCIDR: words[1], ServiceCIDR: words[2]})
	if err != nil {
		t.Fatal(err)
	}
	return ranges
}

func TestNeeds(t *testing.T) {
	cases := map[string]struct {
		reason string
		ask    v1alpha1.ClusterNetwork
		want   string // prefix lengths
		wrong  string
	}{
		"Defaults": {reason: "16+5 nodes, 16 times twice 110 pods, 4096 Services", want: "27 20 20"},
		"Least":    {reason: "no range is smaller than what clouds and the API take", ask: v1alpha1.ClusterNetwork{Nodes: 1, PodsPerNode: 1, Services: 1}, want: "28 24 24"},
		"Subnet":   {reason: "11 nodes and 5 that the subnet keeps are a /28", ask: v1alpha1.ClusterNetwork{Nodes: 11}, want: "28 20 20"},
		"OneMore":  {reason: "12 nodes are one too many for a /28", ask: v1alpha1.ClusterNetwork{Nodes: 12}, want: "27 20 20"},
		"GKE8":     {reason: "GKE's table: 8 pods have a /28 per node", ask: v1alpha1.ClusterNetwork{Nodes: 256, PodsPerNode: 8}, want: "23 20 20"},
		"GKE9":     {reason: "GKE's table: 9 pods have a /27 per node", ask: v1alpha1.ClusterNetwork{Nodes: 256, PodsPerNode: 9}, want: "23 19 20"},
		"GKE64":    {reason: "GKE's table: 64 pods have a /25 per node", ask: v1alpha1.ClusterNetwork{Nodes: 256, PodsPerNode: 64}, want: "23 17 20"},
		"GKE65":    {reason: "GKE's table: 65 pods have a /24 per node", ask: v1alpha1.ClusterNetwork{Nodes: 256, PodsPerNode: 65}, want: "23 16 20"},
		"Nodes":    {reason: "300 nodes are rounded up to 512", ask: v1alpha1.ClusterNetwork{Nodes: 300}, want: "23 15 20"},
		"Most":     {reason: "as many Services as the API takes fit a /12", ask: v1alpha1.ClusterNetwork{Nodes: 10000, Services: 1000000}, want: "18 10 12"},
		"TooMany": {
			reason: "no guest gets more than a /8", ask: v1alpha1.ClusterNetwork{Nodes: 10000, PodsPerNode: 1000},
			wrong: "spec.network: 10000 nodes with 2048 addresses each, for 1000 pods per node take 33554432 addresses, and a guest can have no more than 16777216 (a /8) for its pods: ask for fewer",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			needs, problem := Needs(tc.ask)
			if problem != nil || tc.wrong != "" {
				if diff := cmp.Diff(&Problem{v1alpha1.ReasonInvalidAddresses, tc.wrong}, problem); diff != "" {
					t.Errorf("%s: -want +got\n%s", tc.reason, diff)
				}
				return
			}
			got := fmt.Sprintf("%d %d %d", needs[0].Bits, needs[1].Bits, needs[2].Bits)
			if got != tc.want {
				t.Errorf("%s: %s, want %s", tc.reason, got, tc.want)
			}
		})
	}
}

func TestPlan(t *testing.T) {
	cases := map[string]struct {
		reason string
		vpc    *VPC
		taken  map[string]string
		ask    v1alpha1.ClusterNetwork
		want   string
	}{
		"First":    {reason: "the lowest of each pool", vpc: testVPC(t), want: "10.0.0.0/27 10.1.0.0/20 10.2.0.0/20"},
		"Next":     {reason: "behind what is taken", vpc: testVPC(t), taken: map[string]string{"a": "10.0.0.0/27 10.1.0.0/20 10.2.0.0/20"}, want: "10.0.0.32/27 10.1.16.0/20 10.2.16.0/20"},
		"Reserved": {reason: "not where the cells are", vpc: testVPC(t, "10.1.0.0/18", "10.0.0.1/32", "fd00::/8"), want: "10.0.0.32/27 10.1.64.0/20 10.2.0.0/20"},
		"BestFit": {
			reason: "a small hole is filled before a large block is cut", vpc: testVPC(t),
			taken: map[string]string{"a": "10.0.0.0/25 10.1.0.0/17 10.2.0.0/20", "b": "10.0.0.192/27 - -"},
			want:  "10.0.0.224/27 10.1.128.0/20 10.2.16.0/20",
		},
		"Named": {
			reason: "what is written stays, and the rest is planned", vpc: testVPC(t),
			ask: v1alpha1.ClusterNetwork{PodCIDR: "10.1.32.0/22"}, want: "10.0.0.0/27 10.1.32.0/22 10.2.0.0/20",
		},
		"OnePool": {
			reason: "kinds that share a pool do not overlap: the largest come first, and the nodes fill the rest",
			vpc:    vpcOf(t, []string{"10.0.0.0/16"}, []string{"10.0.0.0/16"}, []string{"10.0.0.0/16"}),
			want:   "10.0.32.0/27 10.0.0.0/20 10.0.16.0/20",
		},
		"NamedInOnePool": {
			reason: "what is planned goes around what is written",
			vpc:    vpcOf(t, []string{"10.0.0.0/16"}, []string{"10.0.0.0/16"}, []string{"10.0.0.0/16"}),
			ask:    v1alpha1.ClusterNetwork{NodeCIDR: "10.0.0.0/24"}, want: "10.0.0.0/24 10.0.16.0/20 10.0.32.0/20",
		},
		"OnlyPlace": {
			reason: "pods give way to Services that can lie nowhere else",
			vpc:    vpcOf(t, []string{"10.9.0.0/24"}, []string{"10.0.0.0/20", "10.0.32.0/20"}, []string{"10.0.0.0/20"}),
			want:   "10.9.0.0/27 10.0.32.0/20 10.0.0.0/20",
		},
		"PoolsJoined": {
			reason: "neighbouring pools hold what neither holds alone",
			vpc:    vpcOf(t, []string{"10.0.0.0/28", "10.0.0.16/28"}, []string{"10.1.0.0/16"}, []string{"10.2.0.0/16"}),
			want:   "10.0.0.0/27 10.1.0.0/20 10.2.0.0/20",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for id, text := range tc.taken {
				if err := tc.vpc.Take(id, rangesOf(t, text)); err != nil {
					t.Fatal(err)
				}
			}
			got, problem := tc.vpc.Plan(tc.ask)
			if problem != nil {
				t.Fatalf("%s: %+v", tc.reason, problem)
			}
			if diff := cmp.Diff(rangesOf(t, tc.want).Addresses(), got.Addresses()); diff != "" {
				t.Errorf("%s: -want +got\n%s", tc.reason, diff)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	const invalid, exhausted = v1alpha1.ReasonInvalidAddresses, ReasonAddressesExhausted
	cases := map[string]struct {
		reason string
		ask    v1alpha1.ClusterNetwork
		taken  string
		want   Problem
	}{
		"NoNetwork": {
			reason: "the API refuses it; a template may not", ask: v1alpha1.ClusterNetwork{PodCIDR: "10.1.0.0"},
			want: Problem{invalid, `spec.network: podCIDR "10.1.0.0" is no IPv4 network; write for example 10.0.0.0/20`},
		},
		"HostBits": {
			reason: "the network that was meant is offered", ask: v1alpha1.ClusterNetwork{NodeCIDR: "10.0.0.1/26"},
			want: Problem{invalid, `spec.network: nodeCIDR "10.0.0.1/26" is no network but an address in one; write 10.0.0.0/26`},
		},
		"NoPool": {
			reason: "the message says what the pools are", ask: v1alpha1.ClusterNetwork{PodCIDR: "192.168.0.0/20"},
			want: Problem{invalid, "spec.network: podCIDR 192.168.0.0/20 does not lie in the pools that VPC main has for pods: 10.1.0.0/16"},
		},
		"OtherKind": {
			reason: "a pool of another kind is none", ask: v1alpha1.ClusterNetwork{ServiceCIDR: "10.1.0.0/20"},
			want: Problem{invalid, "spec.network: serviceCIDR 10.1.0.0/20 does not lie in the pools that VPC main has for services: 10.2.0.0/18"},
		},
		"Cells": {
			reason: "the cell's own addresses are nobody else's", ask: v1alpha1.ClusterNetwork{PodCIDR: "10.1.240.0/20"},
			want: Problem{invalid, "spec.network: podCIDR 10.1.240.0/20 overlaps 10.1.250.0/24, which the region's cells use themselves; choose another range"},
		},
		"Taken": {
			reason: "the message says whose it is", ask: v1alpha1.ClusterNetwork{PodCIDR: "10.1.0.0/18"}, taken: "10.0.0.0/27 10.1.16.0/20 10.2.0.0/20",
			want: Problem{invalid, "spec.network: podCIDR 10.1.0.0/18 overlaps 10.1.16.0/20, the pods of guest k3x9q0v7ab; choose another range, or leave it out to have a free one planned"},
		},
		"InsideTaken": {
			reason: "a part of another's range is taken, too", ask: v1alpha1.ClusterNetwork{NodeCIDR: "10.0.0.16/28"}, taken: "10.0.0.0/27 10.1.16.0/20 10.2.0.0/20",
			want: Problem{invalid, "spec.network: nodeCIDR 10.0.0.16/28 overlaps 10.0.0.0/27, the nodes of guest k3x9q0v7ab; choose another range, or leave it out to have a free one planned"},
		},
		"TooSmall": {
			reason: "the message says what it takes", ask: v1alpha1.ClusterNetwork{PodCIDR: "10.1.0.0/20", Nodes: 17},
			want: Problem{invalid, "spec.network: podCIDR 10.1.0.0/20 has 4096 addresses, and 17 nodes with 256 addresses each, for 110 pods per node take 8192: write a /19, or ask for less"},
		},
		"Tiny": {
			reason: "clouds have no such subnets", ask: v1alpha1.ClusterNetwork{NodeCIDR: "10.0.0.0/29"},
			want: Problem{invalid, "spec.network: nodeCIDR 10.0.0.0/29 must have a prefix length of 8 to 28"},
		},
		"Exhausted": {
			reason: "what was asked for, and the largest that there is", ask: v1alpha1.ClusterNetwork{Nodes: 100}, taken: "10.0.0.64/26 - -",
			want: Problem{exhausted, "VPC main: no 128 addresses (a /25, for 100 nodes and 5 that a subnet keeps) are free for nodes; the largest free block is 10.0.0.0/26 (64 addresses) of the pools 10.0.0.0/24; add a pool to the VPC (Region.spec.vpcs), or ask for fewer nodes, podsPerNode or services"},
		},
		"Nothing": {
			reason: "two kinds at once are both told of", ask: v1alpha1.ClusterNetwork{Services: 20000}, taken: "10.0.0.0/24 - 10.2.0.0/18",
			want: Problem{exhausted, "VPC main: no 32 addresses (a /27, for 16 nodes and 5 that a subnet keeps) are free for nodes; nothing is free of the pools 10.0.0.0/24; no 32768 addresses (a /17, for 20000 Services) are free for services; nothing is free of the pools 10.2.0.0/18; add a pool to the VPC (Region.spec.vpcs), or ask for fewer nodes, podsPerNode or services"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			v := testVPC(t, "10.1.250.0/24", "10.0.0.128/26")
			if tc.taken != "" {
				if err := v.Take("k3x9q0v7ab", rangesOf(t, tc.taken)); err != nil {
					t.Fatal(err)
				}
			}
			ranges, problem := v.Plan(tc.ask)
			if diff := cmp.Diff(&tc.want, problem); diff != "" || ranges != (Ranges{}) {
				t.Errorf("%s: %v, -want +got\n%s", tc.reason, ranges, diff)
			}
		})
	}
}

// TestOneAnother: two ranges that an ask names, and two that have one place between them.
func TestOneAnother(t *testing.T) {
	shared := vpcOf(t, []string{"10.0.0.0/20"}, []string{"10.0.0.0/20"}, []string{"10.0.0.0/20"})
	_, problem := shared.Plan(v1alpha1.ClusterNetwork{PodCIDR: "10.0.0.0/22", ServiceCIDR: "10.0.2.0/24"})
	want := &Problem{v1alpha1.ReasonInvalidAddresses, "spec.network: serviceCIDR 10.0.2.0/24 overlaps podCIDR 10.0.0.0/22; choose ranges that share no address"}
	if diff := cmp.Diff(want, problem); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	_, problem = shared.Plan(v1alpha1.ClusterNetwork{})
	want = &Problem{ReasonAddressesExhausted, "VPC main: the pools overlap, and what is free of them does not hold all of 32 for nodes, 4096 for pods, 4096 for services addresses; add a pool to the VPC (Region.spec.vpcs), or ask for fewer nodes, podsPerNode or services"}
	if diff := cmp.Diff(want, problem); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestTake(t *testing.T) {
	v := testVPC(t)
	for _, step := range []struct {
		reason, id, ranges, wrong string
	}{
		{"free ranges", "a", "10.0.0.0/27 10.1.0.0/20 10.2.0.0/20", ""},
		{"the same once more", "a", "10.0.0.0/27 10.1.0.0/20 10.2.0.0/20", ""},
		{"another guest's", "b", "10.0.0.32/27 10.1.0.0/16 10.2.16.0/20", "guest b: the range of the pods, 10.1.0.0/16, overlaps 10.1.0.0/20, the pods of guest a"},
		{"another guest's, of another kind", "b", "10.0.0.32/27 10.1.16.0/20 10.0.0.0/24", "guest b: the range of the services, 10.0.0.0/24, overlaps 10.0.0.0/27, the nodes of guest a"},
		{"outside the pools: those were changed", "b", "172.16.0.0/24 172.17.0.0/16 172.18.0.0/20", ""},
		{"outside the pools another guest's are another guest's, too", "c", "172.17.3.0/24 10.1.16.0/20 10.2.16.0/20", "guest c: the range of the nodes, 172.17.3.0/24, overlaps 172.17.0.0/16, the pods of guest b"},
		{"its own ranges may lie in each other: nothing is to be had of either", "c", "10.1.16.0/24 10.1.16.0/20 10.1.17.0/24", ""},
		{"others in place of those", "a", "10.0.0.0/24 - -", ""},
		{"a guest of two hubs", "d", "10.0.0.0/25 10.1.128.0/17 10.2.0.0/20", "guest d: the range of the nodes, 10.0.0.0/25, overlaps 10.0.0.0/24, the nodes of guest a"},
		{"what it has is not given to others all the same", "e", "- 10.1.192.0/20 -", "guest e: the range of the pods, 10.1.192.0/20, overlaps 10.1.128.0/17, the pods of guest d"},
	} {
		err := v.Take(step.id, rangesOf(t, step.ranges))
		if (err == nil) != (step.wrong == "") || (err != nil && err.Error() != step.wrong) {
			t.Errorf("%s: %v, want %q", step.reason, err, step.wrong)
		}
	}
	v.Release("nobody")
	v.Release("c")
	v.Release("a")
	if got, problem := v.Plan(v1alpha1.ClusterNetwork{NodeCIDR: "10.0.0.0/24"}); problem == nil {
		t.Errorf("planned %v over the nodes of guest d", got)
	}
	v.Release("d")
	if got, problem := v.Plan(v1alpha1.ClusterNetwork{PodCIDR: "10.1.0.0/16"}); problem == nil {
		t.Errorf("planned %v over the pods of guest e", got)
	}
	v.Release("e")
	got, problem := v.Plan(v1alpha1.ClusterNetwork{NodeCIDR: "10.0.0.0/24", PodCIDR: "10.1.0.0/16"})
	if problem != nil || got.Services != netip.MustParsePrefix("10.2.0.0/20") {
		t.Errorf("what was released is not free: %v, %+v", got, problem)
	}
	if guests := v.Guests(); len(guests) != 1 || guests["b"] == (Ranges{}) {
		t.Errorf("guests that have ranges: %v, want b alone", guests)
	}
	if err := v.Take("b", Ranges{Pods: netip.MustParsePrefix("fd00::/64")}); err == nil || len(v.Guests()) != 1 {
		t.Errorf("IPv6 was taken: %v", err)
	}
}

func TestNewVPCRefuses(t *testing.T) {
	_, err := NewVPC(v1alpha1.VPC{Name: "main", NodePools: []string{"10.0.0.0/24"}, PodPools: []string{"fd00::/8"}}, nil)
	if want := `VPC main: pools of pods: "fd00::/8" is no IPv4 network; write for example 10.0.0.0/12`; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestUsage(t *testing.T) {
	v := vpcOf(t, []string{"10.0.0.0/24"}, []string{"10.1.0.0/16", "10.1.128.0/17"}, []string{"10.2.0.0/18"}, "10.1.0.0/20", "172.16.0.0/12")
	if err := v.Take("a", rangesOf(t, "10.0.0.64/26 10.1.16.0/20 172.30.0.0/20")); err != nil {
		t.Fatal(err)
	}
	got := v.Usage()
	prefixes := func(texts ...string) []netip.Prefix {
		var all []netip.Prefix
		for _, text := range texts {
			all = append(all, netip.MustParsePrefix(text))
		}
		return all
	}
	want := []Usage{
		{Nodes, prefixes("10.0.0.0/24"), 256, 0, 64, 192, prefixes("10.0.0.0/26", "10.0.0.128/25"), netip.MustParsePrefix("10.0.0.128/25"), 6},
		{Pods, prefixes("10.1.0.0/16", "10.1.128.0/17"), 65536, 4096, 4096, 57344, prefixes("10.1.32.0/19", "10.1.64.0/18", "10.1.128.0/17"), netip.MustParsePrefix("10.1.128.0/17"), 14},
		{Services, prefixes("10.2.0.0/18"), 16384, 0, 0, 16384, prefixes("10.2.0.0/18"), netip.MustParsePrefix("10.2.0.0/18"), 4},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if fits := v.Fits(v1alpha1.ClusterNetwork{}, 1000); fits != 4 {
		t.Errorf("%d guests fit, want 4: Services bind first", fits)
	}
	shared := vpcOf(t, []string{"10.0.0.0/18"}, []string{"10.0.0.0/18"}, []string{"10.0.0.0/18"})
	if fits := shared.Fits(v1alpha1.ClusterNetwork{}, 1000); fits != 1 {
		t.Errorf("%d guests fit into one shared /18, want 1: two /20 and a /27 each", fits)
	}
	if diff := cmp.Diff(int64(16384), shared.Usage()[0].Free); diff != "" {
		t.Error("trying what fits took something")
	}
}

func TestCheckPools(t *testing.T) {
	region := &v1alpha1.Region{Spec: v1alpha1.RegionSpec{VPCs: []v1alpha1.VPC{
		{Name: "fine", NodePools: []string{"10.0.0.0/24"}, PodPools: []string{"10.1.0.0/16"}, ServicePools: []string{"10.2.0.0/18"}},
		{Name: "odd", NodePools: []string{"10.0.0.0/24", "10.0.0.128/25"}, PodPools: []string{"10.0.0.0/8"}, ServicePools: []string{"172.16.4.1/20", "fd00::/8"}},
	}}}
	got := CheckPools(region, netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("10.9.0.0/16"))
	want := []string{
		"VPC odd: 10.0.0.0/24 (pool of nodes) and 10.0.0.128/25 (pool of nodes) overlap: their addresses count once",
		"VPC odd: 10.0.0.0/24 (pool of nodes) and 10.0.0.0/8 (pool of pods) overlap: what one kind takes the other cannot have",
		"VPC odd: 10.0.0.128/25 (pool of nodes) and 10.0.0.0/8 (pool of pods) overlap: what one kind takes the other cannot have",
		"VPC odd: 10.9.0.0/16 of 10.0.0.0/8 (pool of pods) are the region's cells' own: no guest gets an address of them",
		"VPC odd: 172.16.4.1/20 (pool of services) is read as 172.16.0.0/20",
		"VPC odd: 172.16.0.0/20 (pool of services) lies in 172.16.0.0/12, which the region's cells use: no guest gets an address of it",
		`VPC odd: "fd00::/8" (pool of services) is no IPv4 network: the VPC cannot be used`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestParseRanges(t *testing.T) {
	written := v1alpha1.AddressRanges{NodeCIDR: "10.0.0.0/27", ServiceCIDR: "10.2.0.0/20"}
	ranges, err := ParseRanges(written)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(written, ranges.Addresses()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	for text, want := range map[string]string{
		"10.0.0.1/24": `podCIDR: "10.0.0.1/24" is no network but an address in one; write 10.0.0.0/24`,
		"fd00::/64":   `podCIDR: "fd00::/64" is no IPv4 network; write for example 10.0.0.0/20`,
	} {
		if _, err := ParseRanges(v1alpha1.AddressRanges{PodCIDR: text}); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestInterfaces(t *testing.T) {
	for _, tc := range []struct{ guests, perInterface, want int64 }{{0, 10, 0}, {1, 10, 1}, {10, 10, 1}, {11, 10, 2}, {5, 0, 0}} {
		if got := Interfaces(tc.guests, tc.perInterface); got != tc.want {
			t.Errorf("%d guests, %d to an interface: %d, want %d", tc.guests, tc.perInterface, got, tc.want)
		}
	}
}
