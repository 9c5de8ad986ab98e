package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/residency"
	"github.com/myriad-fleet/myriad/internal/suggest"
)

// whereFlags are those that say where a cluster may lie, and which addresses it gets.
func (s *session) whereFlags(command *cobra.Command, order *clusterOrder) {
	flags := command.Flags()
	flags.StringVar(&order.region, "region", "", "region to put it in (default: one that --area and --certification allow)")
	flags.StringSliceVar(&order.areas, "area", nil, "areas that anything of it may lie in, such as eu")
	flags.StringSliceVar(&order.certifications, "certification", nil, "certifications that a region must hold, all of them, such as gdpr")
	flags.StringVar(&order.vpc, "vpc", "", "VPC of the region that its nodes, pods and Services lie in (default: a network of its own)")
	flags.Int32Var(&order.nodes, "nodes", 0, "most nodes that addresses are planned for, in a VPC (default: 16)")
	flags.Int32Var(&order.podsPerNode, "pods-per-node", 0, "most pods of a node, in a VPC (default: 110)")
	s.completeFlag(command, "region", regionNames)
	s.completeFlag(command, "area", areaNames)
	s.completeFlag(command, "certification", certificationNames)
}

// residency that the order asks for; nil: none.
func (o clusterOrder) residency() *v1alpha1.Residency {
	if len(o.areas) == 0 && len(o.certifications) == 0 {
		return nil
	}
	return &v1alpha1.Residency{Areas: o.areas, Certifications: o.certifications}
}

// checkWhere checks that some region can take what is ordered: it exists, meets the residency, and has the VPC.
func checkWhere(ctx context.Context, hub client.Client, order clusterOrder) error {
	if order.region != "" {
		if err := mustExist(ctx, hub, "region", order.region, &v1alpha1.RegionList{}); err != nil {
			return err
		}
	}
	var regions v1alpha1.RegionList
	if err := hub.List(ctx, &regions); err != nil {
		return explain("list regions", err)
	}
	existing := regionFacts(regions.Items, func(region v1alpha1.Region) []string { return []string{region.Name} })
	rule := order.residency()
	if order.region == "" && rule == nil {
		return fail(exitUsage, "--region is missing, and so are --area and --certification, by which the fleet would choose one%s", suggest.Among("", existing))
	}
	if err := namedSomewhere("area", order.areas, regionFacts(regions.Items, areasOf)); err != nil {
		return err
	}
	if err := namedSomewhere("certification", order.certifications, regionFacts(regions.Items, certificationsOf)); err != nil {
		return err
	}
	fleet := residency.NewFleet(regions.Items, nil)
	allowed, refusals := []v1alpha1.Region{}, []string{}
	for _, region := range regions.Items {
		if order.region != "" && region.Name != order.region {
			continue
		}
		if refusal := fleet.Refusal(rule, region.Name); refusal != "" {
			refusals = append(refusals, region.Name+": "+refusal)
			continue
		}
		allowed = append(allowed, region)
	}
	if len(allowed) == 0 {
		return fail(exitUsage, "no region is allowed; %s", strings.Join(refusals, "; "))
	}
	if order.vpc != "" {
		return namedSomewhere("VPC", []string{order.vpc}, regionFacts(allowed, vpcsOf))
	}
	return nil
}

// namedSomewhere checks that each name is one of those that exist.
func namedSomewhere(kind string, names, existing []string) error {
	for _, name := range names {
		if !slices.Contains(existing, name) {
			return fail(exitNotFound, "%s", suggest.NotFound(kind, name, existing))
		}
	}
	return nil
}

// regionFacts are what regions say of themselves, sorted, each once.
func regionFacts(regions []v1alpha1.Region, of func(v1alpha1.Region) []string) []string {
	var facts []string
	for _, region := range regions {
		facts = append(facts, of(region)...)
	}
	slices.Sort(facts)
	return slices.Compact(facts)
}

func areasOf(region v1alpha1.Region) []string          { return []string{region.Spec.Area} }
func certificationsOf(region v1alpha1.Region) []string { return region.Spec.Certifications }

func vpcsOf(region v1alpha1.Region) []string {
	var names []string
	for _, vpc := range region.Spec.VPCs {
		names = append(names, vpc.Name)
	}
	return names
}

func areaNames(ctx context.Context, hub client.Client) ([]string, error) {
	return completedFacts(ctx, hub, areasOf)
}

func certificationNames(ctx context.Context, hub client.Client) ([]string, error) {
	return completedFacts(ctx, hub, certificationsOf)
}

func completedFacts(ctx context.Context, hub client.Client, of func(v1alpha1.Region) []string) ([]string, error) {
	var regions v1alpha1.RegionList
	err := hub.List(ctx, &regions)
	return regionFacts(regions.Items, of), err
}

// networkOf an order is nil where nothing was asked for: the hub then takes the template's. Outside a VPC a
// Cluster names both ranges or none, so the one that was left out is the template's, too. In a VPC that is not
// the template's, what was left out is planned.
func networkOf(order clusterOrder, template v1alpha1.ClusterNetwork) (*v1alpha1.ClusterNetwork, error) {
	if order.podCIDR == "" && order.serviceCIDR == "" && order.vpc == "" && order.nodes == 0 && order.podsPerNode == 0 {
		return nil, nil
	}
	network := *template.DeepCopy()
	if order.vpc != "" && order.vpc != template.VPC {
		network = v1alpha1.ClusterNetwork{VPC: order.vpc}
	}
	if network.VPC == "" && (order.nodes != 0 || order.podsPerNode != 0) {
		return nil, fail(exitUsage, "--nodes and --pods-per-node plan addresses in a VPC; name it with --vpc, or leave them out")
	}
	if order.podCIDR != "" {
		network.PodCIDR = order.podCIDR
	}
	if order.serviceCIDR != "" {
		network.ServiceCIDR = order.serviceCIDR
	}
	if order.nodes != 0 {
		network.Nodes = order.nodes
	}
	if order.podsPerNode != 0 {
		network.PodsPerNode = order.podsPerNode
	}
	return &network, nil
}
