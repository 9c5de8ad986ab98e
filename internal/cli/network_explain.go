package cli

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/network"
	"github.com/myriad-fleet/myriad/internal/suggest"
)

func newNetworkExplain(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "explain CLUSTER|REGION/VPC",
		Short: "Show why a cluster has its ranges, or all ranges of a VPC and what is free",
		Long: `Show why a cluster has its ranges: what it asked for, how their sizes came out, what else lies in its VPC, and how
many interfaces of the cell's nodes the VPC takes. For a VPC, named by its region: every range with its cluster, and the
free blocks.`,
		Example:           "  myriad network explain hello\n  myriad network explain cn-hangzhou/shared\n  myriad network explain hello -o json",
		Args:              arguments(1, 1),
		ValidArgsFunction: s.completeWords(false, s.clusterNames),
		RunE: func(command *cobra.Command, given []string) error {
			if region, vpc, ok := strings.Cut(given[0], "/"); ok {
				return s.explainVPC(command.Context(), region, vpc)
			}
			return s.explainClusterNetwork(command.Context(), given[0])
		},
	}
}

// vpcExplanation is all of a VPC, as 'network explain REGION/VPC -o json' prints it.
type vpcExplanation struct {
	networkVPC

	Ranges []networkRange `json:"ranges"` // by address
}

// networkRange is a range of a VPC and who has it.
type networkRange struct {
	CIDR      string       `json:"cidr"`
	Kind      network.Kind `json:"kind"`
	Addresses int64        `json:"addresses"`
	ID        string       `json:"id"`
	Cluster   string       `json:"cluster"` // namespace/name
	prefix    netip.Prefix
}

func (s *session) explainVPC(ctx context.Context, region, name string) error {
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
	state, err := world.find(region, name)
	if err != nil {
		return err
	}
	explanation := &vpcExplanation{networkVPC: state.summary(), Ranges: state.ranges()}
	if s.output != outputTable {
		return s.encode(explanation)
	}
	d := &description{out: s.out}
	d.vpc(explanation)
	return d.err
}

// find a VPC, or say which there are.
func (n *networks) find(region, name string) (*networkState, error) {
	var existing []string
	for _, state := range n.vpcs {
		if state.region == region && state.name == name {
			return state, nil
		}
		existing = append(existing, state.region+"/"+state.name)
	}
	return nil, fail(exitNotFound, "%s", suggest.NotFound("VPC", region+"/"+name, existing))
}

// ranges of all guests, by address.
func (v *networkState) ranges() []networkRange {
	all := []networkRange{}
	for id, plane := range v.guests {
		all = append(all, rangesOf(id, plane)...)
	}
	slices.SortFunc(all, func(a, b networkRange) int {
		if by := a.prefix.Addr().Compare(b.prefix.Addr()); by != 0 {
			return by
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all
}

// rangesOf one guest, in the order of the kinds.
func rangesOf(id string, plane *v1alpha1.ControlPlane) []networkRange {
	var all []networkRange
	ranges, err := network.ParseRanges(network.RangesOf(plane.Spec.Network))
	if err != nil {
		return nil // told as a problem of the VPC
	}
	for _, kind := range network.Kinds {
		if prefix := ranges.Of(kind); prefix.IsValid() {
			all = append(all, networkRange{
				CIDR: prefix.String(), Kind: kind, Addresses: addresses(prefix), ID: id, prefix: prefix,
				Cluster: plane.Spec.Cluster.Namespace + "/" + plane.Spec.Cluster.Name,
			})
		}
	}
	return all
}

// addresses of an IPv4 network.
func addresses(prefix netip.Prefix) int64 { return 1 << (32 - prefix.Bits()) }

// clusterNetwork is why a cluster has its ranges, as 'network explain CLUSTER -o json' prints it.
type clusterNetwork struct {
	Cluster string `json:"cluster"` // namespace/name
	ID      string `json:"id,omitempty"`
	Region  string `json:"region,omitempty"`
	Cell    string `json:"cell,omitempty"`
	VPC     string `json:"vpc,omitempty"` // none: a network of its own
	// Asked for, with its defaults.
	Nodes       int32 `json:"nodes,omitempty"`
	PodsPerNode int32 `json:"podsPerNode,omitempty"`
	Services    int32 `json:"services,omitempty"`

	Ranges []clusterRange `json:"ranges"`
	// Guests of the VPC, this one included, and what the others have of it.
	Guests     int              `json:"guests,omitempty"`
	Others     []networkRange   `json:"others,omitempty"`
	Interfaces []zoneInterfaces `json:"interfaces,omitempty"`
	Notes      []string         `json:"notes,omitempty"`
}

// clusterRange is one range of a cluster, and how it came about.
type clusterRange struct {
	Kind      network.Kind `json:"kind"`
	CIDR      string       `json:"cidr"`
	Addresses int64        `json:"addresses"`
	Written   bool         `json:"written"` // in the Cluster or its template; else it was planned
	Because   string       `json:"because,omitempty"`
}

// zoneInterfaces is what reaching into VPCs takes in one zone of a cell.
type zoneInterfaces struct {
	Zone   string `json:"zone"`
	Guests int64  `json:"guests"` // of the VPC
	VPC    int64  `json:"vpc"`    // interfaces that they share
	All    int64  `json:"all"`    // of all VPCs
	Budget int64  `json:"budget"` // interfaces of the zone's nodes
}

func (s *session) explainClusterNetwork(ctx context.Context, name string) error {
	if err := s.onlyFields(); err != nil {
		return err
	}
	hub, err := s.hub()
	if err != nil {
		return err
	}
	cluster, err := s.findCluster(ctx, hub, name)
	if err != nil {
		return err
	}
	explanation, err := explainAddresses(ctx, hub, cluster)
	if err != nil {
		return err
	}
	if s.output != outputTable {
		return s.encode(explanation)
	}
	d := &description{out: s.out}
	d.clusterNetwork(explanation)
	return d.err
}

func explainAddresses(ctx context.Context, hub client.Client, cluster *v1alpha1.Cluster) (*clusterNetwork, error) {
	x := &clusterNetwork{
		Cluster: cluster.Namespace + "/" + cluster.Name, ID: cluster.Status.ID, Region: regionOf(cluster), Cell: cluster.Status.Cell, Ranges: []clusterRange{},
	}
	plane, err := readControlPlane(ctx, hub, cluster)
	if err != nil {
		return nil, err
	}
	if plane == nil {
		x.Notes = append(x.Notes, "it has no cell yet, and so no addresses; look with 'myriad cluster describe "+cluster.Name+"'")
		return x, nil
	}
	ask := plane.Spec.Network
	x.VPC = ask.VPC
	for _, r := range rangesOf(plane.Spec.ID, plane) {
		x.Ranges = append(x.Ranges, clusterRange{Kind: r.Kind, CIDR: r.CIDR, Addresses: r.Addresses, Written: true})
	}
	if x.VPC == "" {
		x.Notes = append(x.Notes, "it has a network of its own: other clusters may have the same addresses")
		return x, nil
	}
	world, err := gatherNetworks(ctx, hub)
	if err != nil {
		return nil, err
	}
	x.explainSizes(ask, cluster.Spec.Network)
	state := world.state(plane.Spec.Region, x.VPC)
	x.Guests = len(state.guests)
	for _, r := range state.ranges() {
		if r.ID != plane.Spec.ID {
			x.Others = append(x.Others, r)
		}
	}
	x.Notes = append(x.Notes, state.problems...)
	x.Interfaces = world.interfaces(plane)
	return x, nil
}

// explainSizes says what was asked for, and how large each range had to be.
func (x *clusterNetwork) explainSizes(ask v1alpha1.ClusterNetwork, written *v1alpha1.ClusterNetwork) {
	full := network.WithDefaults(ask)
	x.Nodes, x.PodsPerNode, x.Services = full.Nodes, full.PodsPerNode, full.Services
	needs, problem := network.Needs(ask)
	if problem != nil {
		x.Notes = append(x.Notes, problem.Message)
		return
	}
	if written == nil {
		written = &v1alpha1.ClusterNetwork{}
	}
	fixed, err := network.ParseRanges(network.RangesOf(*written))
	if err != nil {
		x.Notes = append(x.Notes, "spec.network: "+err.Error())
	}
	for i := range x.Ranges {
		for _, need := range needs {
			if r := &x.Ranges[i]; need.Kind == r.Kind {
				r.Written = fixed.Of(r.Kind).IsValid()
				r.Because = fmt.Sprintf("%s: %d addresses, a /%d", need.Because, need.Addresses, need.Bits)
			}
		}
	}
}

// interfaces that the zones of a guest's cell need; none where nothing counts them.
func (n *networks) interfaces(plane *v1alpha1.ControlPlane) []zoneInterfaces {
	cell := n.cells[strings.TrimPrefix(plane.Namespace, v1alpha1.CellNamespace(""))]
	if cell == nil || cell.Spec.Network == nil || cell.Spec.Network.InterfacesPerNode == nil || cell.Spec.Network.AddressesPerInterface == nil {
		return nil
	}
	var all []zoneInterfaces
	for _, zone := range cell.Status.Zones {
		if !slices.Contains(plane.Spec.Zones, zone.Name) {
			continue
		}
		guests := n.guestsOf(plane.Namespace, zone.Name)
		shown := zoneInterfaces{Zone: zone.Name, Guests: guests[plane.Spec.Network.VPC]}
		for vpc := range maps.Keys(guests) {
			needed := network.Interfaces(guests[vpc], int64(*cell.Spec.Network.AddressesPerInterface))
			shown.All += needed
			if vpc == plane.Spec.Network.VPC {
				shown.VPC = needed
			}
		}
		if zone.Nodes != nil {
			shown.Budget = *zone.Nodes * int64(*cell.Spec.Network.InterfacesPerNode)
		}
		all = append(all, shown)
	}
	return all
}

// guestsOf a zone of a cell that reach into VPCs, by VPC.
func (n *networks) guestsOf(namespace, zone string) map[string]int64 {
	guests := map[string]int64{}
	for i := range n.planes {
		plane := &n.planes[i]
		if plane.Namespace == namespace && plane.Spec.Network.VPC != "" && slices.Contains(plane.Spec.Zones, zone) {
			guests[plane.Spec.Network.VPC]++
		}
	}
	return guests
}

// regionOf a cluster: where it lives, or where it is to.
func regionOf(cluster *v1alpha1.Cluster) string {
	if cluster.Status.Region != "" {
		return cluster.Status.Region
	}
	return cluster.Spec.Region
}
