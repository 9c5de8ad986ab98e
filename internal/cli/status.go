package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

func newStatus(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show how the fleet is: its hub, regions, cells and clusters",
		Long: `Show how the fleet is: its hub, regions, cells and clusters. The exit code is 4 while a cell is not
ready, and 5 when the hub does not answer.`,
		Example: "  myriad status",
		Args:    arguments(0, 0),
		RunE:    func(command *cobra.Command, _ []string) error { return s.status(command.Context()) },
	}
}

func (s *session) status(ctx context.Context) error {
	config, err := s.hubConfig()
	if err != nil {
		return err
	}
	hub, err := s.dial(config)
	if err != nil {
		return err
	}
	var regions v1alpha1.RegionList
	var cells v1alpha1.CellList
	var clusters v1alpha1.ClusterList
	for _, list := range []client.ObjectList{&regions, &cells, &clusters} {
		if err := hub.List(ctx, list); err != nil {
			// The hub cannot say what is wrong with it; its processes can.
			s.processSection(ctx, &description{out: s.out})
			return explain("read the fleet's status", err)
		}
	}
	var objects []client.Object
	for _, region := range pointers(regions.Items) {
		objects = append(objects, region)
	}
	for _, cell := range pointers(cells.Items) {
		objects = append(objects, cell)
	}
	err = s.show(hub.Scheme(), objects, false, func() error {
		d := &description{out: s.out}
		d.fields([][2]string{{"Hub", config.Host}, {"Clusters", clusterCounts(clusters.Items)}})
		d.section("Regions", []string{"NAME", "AREA", "ZONES", "GATEWAY"}, regionRows(regions.Items))
		cellTable := s.cellTable(cells.Items)
		d.section("Cells", cellTable.columns, cellTable.rows)
		s.processSection(ctx, d)
		return d.err
	})
	if err != nil {
		return err
	}
	return fleetVerdict(s, cells.Items)
}

func regionRows(regions []v1alpha1.Region) [][]string {
	rows := make([][]string, 0, len(regions))
	for _, region := range regions {
		gateway := region.Spec.Gateway
		rows = append(rows, []string{
			region.Name, region.Spec.Area, strings.Join(region.Spec.Zones, ","),
			fmt.Sprintf("%s:%d", gateway.Address, gateway.Port),
		})
	}
	return rows
}

// clusterCounts sums clusters up: "3, of them 1 not ready: default/hello (Starting)".
func clusterCounts(clusters []v1alpha1.Cluster) string {
	const named = 5
	var unready []string
	for _, cluster := range pointers(clusters) {
		if ready, reason := readyColumns(cluster); ready != string(metav1.ConditionTrue) {
			unready = append(unready, fmt.Sprintf("%s/%s (%s)", cluster.Namespace, cluster.Name, dash(reason)))
		}
	}
	if len(unready) == 0 {
		return strconv.Itoa(len(clusters))
	}
	text := fmt.Sprintf("%d, of them %d not ready: %s", len(clusters), len(unready), strings.Join(unready[:min(named, len(unready))], ", "))
	if len(unready) > named {
		text += ", …"
	}
	return text
}

// fleetVerdict fails when a cell is not ready and tells of orphans: only a person can decide about them.
func fleetVerdict(s *session, cells []v1alpha1.Cell) error {
	var unready []string
	orphans := 0
	for _, cell := range cells {
		orphans += len(cell.Status.Orphans)
		if ready, reason := conditionColumns(cell.Status.Conditions); ready != string(metav1.ConditionTrue) {
			unready = append(unready, fmt.Sprintf("%s (%s)", cell.Name, dash(reason)))
		}
	}
	if orphans > 0 {
		s.notef("\nguests that run without an order: %d; take them over: myriad cell adopt --all", orphans)
	}
	if len(unready) > 0 {
		return fail(exitNotReady, "%d of %d cells not ready: %s; look with 'myriad cell describe', or run 'myriad up' to start what is down",
			len(unready), len(cells), strings.Join(unready, ", "))
	}
	return nil
}
