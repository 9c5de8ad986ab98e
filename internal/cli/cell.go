package cli

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

func newCell(s *session) *cobra.Command {
	command := group(&cobra.Command{
		Use:     "cell",
		Aliases: []string{"cells"},
		Short:   "See and operate the cells that clusters live in",
	})
	command.AddCommand(newCellList(s), newCellDescribe(s), newCellCordon(s), newCellUncordon(s), newCellRevoke(s), newCellAdopt(s), newCellAccess(s))
	return command
}

func newCellList(s *session) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the cells of the fleet",
		Example: "  myriad cell list",
		Args:    arguments(0, 0),
		RunE: func(command *cobra.Command, _ []string) error {
			hub, err := s.hub()
			if err != nil {
				return err
			}
			var list v1alpha1.CellList
			if err := hub.List(command.Context(), &list); err != nil {
				return explain("list cells", err)
			}
			var objects []client.Object
			for i := range list.Items {
				objects = append(objects, &list.Items[i])
			}
			return s.show(hub.Scheme(), objects, false, func() error { return s.cellTable(list.Items).write(s.out, "") })
		},
	}
}

func (s *session) cellTable(cells []v1alpha1.Cell) table {
	t := table{columns: []string{"NAME", "REGION", "ZONES", "READY", "REASON", "GUESTS", "CORDONED", "DRILLS", "ORPHANS", "AGE"}}
	for _, cell := range cells {
		ready, reason := conditionColumns(cell.Status.Conditions)
		if runtime := meta.FindStatusCondition(cell.Status.Conditions, v1alpha1.ConditionRuntimeReady); runtime != nil &&
			runtime.Status != metav1.ConditionTrue && ready == string(metav1.ConditionTrue) {
			reason = runtime.Reason // the agent lives, and the cell takes no new guests
		}
		t.rows = append(t.rows, []string{
			cell.Name, cell.Spec.Region, strings.Join(cell.Spec.Zones, ","), ready, reason,
			strconv.Itoa(int(cell.Status.Guests)), strconv.FormatBool(cell.Spec.Cordoned),
			drillText(cell.Spec.Drills), strconv.Itoa(len(cell.Status.Orphans)), s.age(cell.CreationTimestamp),
		})
	}
	return t
}

// drillText lists drills as "a=Kill,b=Hang".
func drillText(drills []v1alpha1.Drill) string {
	parts := make([]string, 0, len(drills))
	for _, drill := range drills {
		parts = append(parts, drill.Zone+"="+string(drill.Mode))
	}
	return strings.Join(slices.Sorted(slices.Values(parts)), ",")
}

func newCellDescribe(s *session) *cobra.Command {
	return &cobra.Command{
		Use:               "describe CELL",
		Short:             "Show everything about a cell and the guests in it",
		Example:           "  myriad cell describe hz-1",
		Args:              arguments(1, 1),
		ValidArgsFunction: s.completeWords(false, cellNames),
		RunE: func(command *cobra.Command, given []string) error {
			return s.describeCell(command.Context(), given[0])
		},
	}
}

func (s *session) describeCell(ctx context.Context, name string) error {
	hub, err := s.hub()
	if err != nil {
		return err
	}
	cell, err := findCell(ctx, hub, name)
	if err != nil {
		return err
	}
	return s.show(hub.Scheme(), []client.Object{cell}, true, func() error {
		var planes v1alpha1.ControlPlaneList
		if err := hub.List(ctx, &planes, client.InNamespace(v1alpha1.CellNamespace(name))); err != nil {
			return explain("list the guests of cell "+name, err)
		}
		d := &description{out: s.out}
		d.fields(s.cellFields(cell))
		d.conditions(s, "Conditions", cell.Status.Conditions)
		var zones, trips, guests, orphans [][]string
		for _, zone := range cell.Status.Zones {
			zones = append(zones, []string{
				zone.Name, zone.CPU.String(), zone.Memory.String(), count(zone.Nodes), count(zone.Pods), count(zone.Addresses), count(zone.Volumes),
			})
		}
		for _, trip := range cell.Status.RoundTrips {
			trips = append(trips, []string{trip.Between, milliseconds(trip.MedianMicroseconds), milliseconds(trip.P99Microseconds), trip.Source})
		}
		for _, plane := range planes.Items {
			guests = append(guests, guestRow(&plane))
		}
		for _, orphan := range cell.Status.Orphans {
			orphans = append(orphans, []string{orphan.ID, orphan.Order.Cluster.Namespace, orphan.Order.Cluster.Name, s.age(orphan.Since)})
		}
		d.section("Capacity", []string{"ZONE", "CPU", "MEMORY", "NODES", "PODS", "ADDRESSES", "VOLUMES"}, zones)
		d.section("Round trips between zones", []string{"ZONES", "MEDIAN", "P99", "SOURCE"}, trips)
		d.section("Guests", []string{"ID", "NAMESPACE", "CLUSTER", "VERSION", "AVAILABILITY", "GEAR", "READY", "REASON"}, guests)
		d.section("Orphans (take them over with 'myriad cell adopt "+name+" --all')", []string{"ID", "NAMESPACE", "CLUSTER", "SINCE"}, orphans)
		return d.err
	})
}

// count is a number that may not have been counted.
func count(n *int64) string {
	if n == nil {
		return "-"
	}
	return strconv.FormatInt(*n, 10)
}

func milliseconds(microseconds int64) string {
	return strconv.FormatFloat(float64(microseconds)/1000, 'f', 1, 64) + " ms"
}

func (s *session) cellFields(cell *v1alpha1.Cell) [][2]string {
	spec, status := &cell.Spec, &cell.Status
	reserve, limit := "", "by capacity"
	if spec.ReservePercent != nil {
		reserve = strconv.Itoa(int(*spec.ReservePercent)) + " %"
	}
	if spec.MaxGuests > 0 {
		limit = strconv.Itoa(int(spec.MaxGuests))
	}
	return [][2]string{
		{"Name", cell.Name},
		{"Created", created(s, cell)},
		{"Region", spec.Region},
		{"Zones", strings.Join(spec.Zones, ", ")},
		{"Cordoned", strconv.FormatBool(spec.Cordoned)},
		{"Gears frozen", strconv.FormatBool(spec.GearsFrozen)},
		{"Reserve", reserve},
		{"Guests", strconv.Itoa(int(status.Guests))},
		{"Most guests", limit},
		{"Kinds", strings.Join(spec.Kinds, ", ")},
		{"Drills wanted", drillText(spec.Drills)},
		{"Drills in force", drillText(status.Drills)},
		{"Agent", status.AgentVersion},
		{"Agent user", v1alpha1.AgentUser(cell.Name, spec.CredentialGeneration)},
		{"Versions", strings.Join(status.Versions, ", ")},
	}
}

func guestRow(plane *v1alpha1.ControlPlane) []string {
	ready, reason := conditionColumns(plane.Status.Conditions)
	spec := &plane.Spec
	return []string{spec.ID, spec.Cluster.Namespace, spec.Cluster.Name, spec.Version, string(spec.Availability), spec.Size.Gear, ready, reason}
}
