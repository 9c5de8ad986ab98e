package cli

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/network"
)

// fitsShown is the most guests that are counted as still fitting.
const fitsShown = 100000

func newNetwork(s *session) *cobra.Command {
	command := group(&cobra.Command{
		Use:     "network",
		Aliases: []string{"networks"},
		Short:   "See the addresses of VPCs: what is taken, what is free, and why a cluster has its ranges",
	})
	command.AddCommand(newNetworkList(s), newNetworkExplain(s))
	return command
}

func newNetworkList(s *session) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the VPCs of all regions: their pools, what is taken of each kind, and what still fits",
		Long: `List the VPCs of all regions: the pools of each kind of addresses, how much of them is taken, the largest free
block, and how many clusters that ask for nothing special still fit: 16 nodes, 110 pods per node, 4096 Services. Warnings
name pools that overlap or that the region's cells use themselves.`,
		Example: "  myriad network list\n  myriad network list -o json",
		Args:    arguments(0, 0),
		RunE: func(command *cobra.Command, _ []string) error {
			return s.listNetworks(command.Context())
		},
	}
}

// networkVPC is one VPC, as 'network list -o json' prints it.
type networkVPC struct {
	Region  string        `json:"region"`
	VPC     string        `json:"vpc"`
	Tenants []string      `json:"tenants,omitempty"` // none: all
	Guests  int           `json:"guests"`
	Fits    int64         `json:"fits"` // more guests that ask for nothing special
	Kinds   []networkKind `json:"kinds"`
	// Problems are what keeps ranges from being told or planned, Warnings what may not be meant.
	Problems []string `json:"problems,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

// networkKind is what there is of one kind, in addresses.
type networkKind struct {
	Kind         network.Kind `json:"kind"`
	Pools        []string     `json:"pools"`
	Total        int64        `json:"total"`
	Reserved     int64        `json:"reserved"` // for the region's cells
	Taken        int64        `json:"taken"`
	Free         int64        `json:"free"`
	TakenPercent float64      `json:"takenPercent"` // of what guests may have
	LargestFree  string       `json:"largestFree,omitempty"`
	Fits         int64        `json:"fits"`
	FreeBlocks   []string     `json:"freeBlocks,omitempty"` // told by 'network explain' only
}

func (s *session) listNetworks(ctx context.Context) error {
	if err := s.onlyFields(); err != nil {
		return err
	}
	hub, err := s.hub()
	if err != nil {
		return err
	}
	world, err := gatherNetworks(ctx, hub)
	if err != nil {
		return err
	}
	all := []networkVPC{}
	for _, vpc := range world.vpcs {
		shown := vpc.summary()
		for i := range shown.Kinds {
			shown.Kinds[i].FreeBlocks = nil
		}
		all = append(all, shown)
	}
	if s.output != outputTable {
		return s.encode(all)
	}
	if len(all) == 0 {
		s.notef("no region has a VPC; add one to spec.vpcs of a Region: see docs/network.md")
		return nil
	}
	return s.networkTable(all)
}

func (s *session) networkTable(all []networkVPC) error {
	t := table{columns: []string{"REGION", "VPC", "GUESTS", "FITS", "KIND", "POOLS", "TAKEN", "OF", "PERCENT", "LARGEST FREE", "FITS ALONE"}}
	for _, vpc := range all {
		if len(vpc.Kinds) == 0 {
			t.rows = append(t.rows, []string{vpc.Region, vpc.VPC, strconv.Itoa(vpc.Guests), "0", "", "", "", "", "", "", ""})
		}
		for _, kind := range vpc.Kinds {
			t.rows = append(t.rows, []string{
				vpc.Region, vpc.VPC, strconv.Itoa(vpc.Guests), strconv.FormatInt(vpc.Fits, 10), string(kind.Kind), strings.Join(kind.Pools, ","),
				strconv.FormatInt(kind.Taken, 10), strconv.FormatInt(kind.Total-kind.Reserved, 10),
				percentText(float64(kind.Taken), float64(kind.Total-kind.Reserved)), kind.LargestFree, strconv.FormatInt(kind.Fits, 10),
			})
		}
	}
	if err := t.write(s.out, ""); err != nil {
		return err
	}
	for _, vpc := range all {
		for _, text := range append(vpc.Problems, vpc.Warnings...) {
			s.notef("warning: region %s: %s", vpc.Region, text)
		}
	}
	return nil
}

// networks are the VPCs of a fleet, and what its guests have of them.
type networks struct {
	vpcs   []*networkState // sorted by region and name
	planes []v1alpha1.ControlPlane
	cells  map[string]*v1alpha1.Cell
}

// networkState is one VPC as it is.
type networkState struct {
	region, name string
	spec         *v1alpha1.VPC // nil: its Region does not name it any more
	vpc          *network.VPC  // nil: nothing can be planned in it
	guests       map[string]*v1alpha1.ControlPlane
	problems     []string
	warnings     []string
}

// gatherNetworks reads what guests have from their orders. Copies of one guest share its ranges.
func gatherNetworks(ctx context.Context, hub client.Client) (*networks, error) {
	var regions v1alpha1.RegionList
	var cells v1alpha1.CellList
	var planes v1alpha1.ControlPlaneList
	for what, list := range map[string]client.ObjectList{"regions": &regions, "cells": &cells, "control planes": &planes} {
		if err := hub.List(ctx, list); err != nil {
			return nil, explain("list "+what, err)
		}
	}
	n := &networks{planes: planes.Items, cells: map[string]*v1alpha1.Cell{}}
	for i := range cells.Items {
		n.cells[cells.Items[i].Name] = &cells.Items[i]
	}
	for i := range regions.Items {
		region := &regions.Items[i]
		reserved := reservedBy(region.Name, cells.Items)
		warnings := network.CheckPools(region, reserved...)
		for j := range region.Spec.VPCs {
			spec := &region.Spec.VPCs[j]
			state := n.state(region.Name, spec.Name)
			state.spec = spec
			state.warnings = slices.DeleteFunc(slices.Clone(warnings), func(text string) bool { return !strings.HasPrefix(text, "VPC "+spec.Name+": ") })
			var err error
			if state.vpc, err = network.NewVPC(*spec, reserved); err != nil {
				state.problems = append(state.problems, err.Error())
			}
		}
	}
	n.takeAll()
	slices.SortFunc(n.vpcs, func(a, b *networkState) int {
		return slices.Compare([]string{a.region, a.name}, []string{b.region, b.name})
	})
	return n, nil
}

// reservedBy the cells of a region: their own addresses.
func reservedBy(region string, cells []v1alpha1.Cell) []netip.Prefix {
	var reserved []netip.Prefix
	for _, cell := range cells {
		if cell.Spec.Region != region || cell.Spec.Network == nil {
			continue
		}
		for _, cidr := range cell.Spec.Network.CIDRs {
			if prefix, err := netip.ParsePrefix(cidr); err == nil { // the API lets no other in
				reserved = append(reserved, prefix)
			}
		}
	}
	return reserved
}

// state of a VPC, made when it is first named.
func (n *networks) state(region, name string) *networkState {
	for _, state := range n.vpcs {
		if state.region == region && state.name == name {
			return state
		}
	}
	state := &networkState{region: region, name: name, guests: map[string]*v1alpha1.ControlPlane{}}
	n.vpcs = append(n.vpcs, state)
	return state
}

func (n *networks) takeAll() {
	for i := range n.planes {
		plane := &n.planes[i]
		if plane.Spec.Network.VPC == "" {
			continue
		}
		guests := n.state(plane.Spec.Region, plane.Spec.Network.VPC).guests
		if known := guests[plane.Spec.ID]; known == nil || known.Spec.Epoch < plane.Spec.Epoch {
			guests[plane.Spec.ID] = plane
		}
	}
	for _, state := range n.vpcs {
		if state.spec == nil {
			state.problems = append(state.problems, fmt.Sprintf("VPC %s: the Region does not name it any more; its guests keep what they have", state.name))
		}
		for _, id := range slices.Sorted(maps.Keys(state.guests)) {
			state.take(id)
		}
	}
}

func (v *networkState) take(id string) {
	ranges, err := network.ParseRanges(network.RangesOf(v.guests[id].Spec.Network))
	if err == nil && v.vpc != nil {
		err = v.vpc.Take(id, ranges)
	}
	if err != nil {
		v.problems = append(v.problems, fmt.Sprintf("VPC %s: %v", v.name, err))
	}
}

func (v *networkState) summary() networkVPC {
	shown := networkVPC{Region: v.region, VPC: v.name, Guests: len(v.guests), Kinds: []networkKind{}, Problems: v.problems, Warnings: v.warnings}
	if v.spec != nil {
		shown.Tenants = v.spec.Tenants
	}
	if v.vpc == nil {
		return shown
	}
	shown.Fits = v.vpc.Fits(v1alpha1.ClusterNetwork{}, fitsShown)
	for _, usage := range v.vpc.Usage() {
		kind := networkKind{
			Kind: usage.Kind, Pools: texts(usage.Pools), Total: usage.Total, Reserved: usage.Reserved, Taken: usage.Taken, Free: usage.Free,
			Fits: usage.Fits, FreeBlocks: texts(usage.FreeBlocks),
		}
		if may := usage.Total - usage.Reserved; may > 0 {
			kind.TakenPercent = thousandths(100 * float64(usage.Taken) / float64(may))
		}
		if usage.LargestFree.IsValid() {
			kind.LargestFree = usage.LargestFree.String()
		}
		shown.Kinds = append(shown.Kinds, kind)
	}
	return shown
}

func texts(prefixes []netip.Prefix) []string {
	all := make([]string, len(prefixes))
	for i, prefix := range prefixes {
		all[i] = prefix.String()
	}
	return all
}
