package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/suggest"
)

func newZone(s *session) *cobra.Command {
	command := group(&cobra.Command{
		Use:     "zone",
		Aliases: []string{"zones"},
		Short:   "Fail zones in drills and restore them",
	})
	command.AddCommand(newZoneFail(s), newZoneRestore(s))
	return command
}

func newZoneFail(s *session) *cobra.Command {
	mode, wait := "kill", true
	command := &cobra.Command{
		Use:   "fail REGION|CELL ZONE",
		Short: "Hold everything in a zone dead or hung, to see what happens",
		Long: `Hold everything that clusters run in one zone dead or hung, to see what happens. It stays so, over
restarts of everything, until 'myriad zone restore'. With a region the zone fails in all its cells.`,
		Example:           "  myriad zone fail hz-1 a\n  myriad zone fail cn-hangzhou b --mode hang",
		Args:              arguments(2, 2),
		ValidArgsFunction: s.completeWords(false, placeNames, zoneNames),
		RunE: func(command *cobra.Command, given []string) error {
			drill := v1alpha1.Drill{Zone: given[1]}
			switch strings.ToLower(mode) {
			case "kill":
				drill.Mode = v1alpha1.DrillKill
			case "hang":
				drill.Mode = v1alpha1.DrillHang
			default:
				return fail(exitUsage, "--mode %s is not known; use kill or hang", mode)
			}
			return s.drill(command.Context(), drillOrder{place: given[0], zone: given[1], drill: &drill, wait: wait})
		},
	}
	command.Flags().StringVar(&mode, "mode", mode, "kill: everything is killed and held stopped; hang: everything is held by SIGSTOP (not in a cell that is a Kubernetes cluster; take it back with 'zone restore')")
	command.Flags().BoolVar(&wait, "wait", wait, "wait until the drill is in force")
	must(command.RegisterFlagCompletionFunc("mode", cobra.FixedCompletions([]string{"kill", "hang"}, cobra.ShellCompDirectiveNoFileComp)))
	return command
}

func newZoneRestore(s *session) *cobra.Command {
	wait := true
	command := &cobra.Command{
		Use:               "restore REGION|CELL ZONE",
		Short:             "End the drill in a zone; it heals by itself",
		Example:           "  myriad zone restore hz-1 a",
		Args:              arguments(2, 2),
		ValidArgsFunction: s.completeWords(false, placeNames, zoneNames),
		RunE: func(command *cobra.Command, given []string) error {
			return s.drill(command.Context(), drillOrder{place: given[0], zone: given[1], wait: wait})
		},
	}
	command.Flags().BoolVar(&wait, "wait", wait, "wait until the drill is over")
	return command
}

// placeNames completes cells and regions.
func placeNames(ctx context.Context, hub client.Client) ([]string, error) {
	cells, err := cellNames(ctx, hub)
	if err != nil {
		return nil, err
	}
	regions, err := regionNames(ctx, hub)
	return append(cells, regions...), err
}

// zoneNames completes the zones of all cells.
func zoneNames(ctx context.Context, hub client.Client) ([]string, error) {
	var list v1alpha1.CellList
	err := hub.List(ctx, &list)
	return zonesOf(list.Items), err
}

func zonesOf(cells []v1alpha1.Cell) []string {
	var zones []string
	for _, cell := range cells {
		zones = append(zones, cell.Spec.Zones...)
	}
	slices.Sort(zones)
	return slices.Compact(zones)
}

// drillOrder says what to do with one zone of a cell or of all cells of a region.
type drillOrder struct {
	place, zone string
	drill       *v1alpha1.Drill // nil ends the drill
	wait        bool
}

func (s *session) drill(ctx context.Context, order drillOrder) error {
	hub, err := s.hub()
	if err != nil {
		return err
	}
	cells, err := cellsAt(ctx, hub, order.place, order.zone)
	if err != nil {
		return err
	}
	var changed []*v1alpha1.Cell
	for _, name := range cells {
		cell, err := changeCell(ctx, hub, name, "change the drills of", func(cell *v1alpha1.Cell) bool {
			before := drillText(cell.Spec.Drills)
			setDrill(cell, order.zone, order.drill)
			return drillText(cell.Spec.Drills) != before
		})
		if err != nil {
			return err
		}
		changed = append(changed, cell)
	}
	for _, cell := range changed {
		if order.wait {
			if err := s.awaitDrill(ctx, hub, cell.Name, order); err != nil {
				return err
			}
		}
		if err := s.say(hub.Scheme(), cell, "cell %s: %s", cell.Name, order.done()); err != nil {
			return err
		}
	}
	return nil
}

// done says what became of the zone.
func (o drillOrder) done() string {
	switch {
	case o.drill != nil && o.wait:
		return "zone " + o.zone + " is held: " + string(o.drill.Mode)
	case o.drill != nil:
		return "zone " + o.zone + " will be held: " + string(o.drill.Mode)
	case o.wait:
		return "zone " + o.zone + " is released"
	}
	return "zone " + o.zone + " will be released"
}

// setDrill puts a drill in force in a zone, or ends it when it is nil.
func setDrill(cell *v1alpha1.Cell, zone string, drill *v1alpha1.Drill) {
	cell.Spec.Drills = slices.DeleteFunc(cell.Spec.Drills, func(d v1alpha1.Drill) bool { return d.Zone == zone })
	if drill != nil {
		cell.Spec.Drills = append(cell.Spec.Drills, *drill)
	}
}

// cellsAt lists the cells that a place means, a cell or all cells of a region, and that span the zone.
func cellsAt(ctx context.Context, hub client.Client, place, zone string) ([]string, error) {
	var list v1alpha1.CellList
	if err := hub.List(ctx, &list); err != nil {
		return nil, explain("list cells", err)
	}
	var here []v1alpha1.Cell
	var places []string
	for _, cell := range list.Items {
		places = append(places, cell.Name, cell.Spec.Region)
		if cell.Name == place || cell.Spec.Region == place {
			here = append(here, cell)
		}
	}
	if len(here) == 0 {
		slices.Sort(places)
		return nil, fail(exitNotFound, "%s", suggest.NotFound("cell or region", place, slices.Compact(places)))
	}
	var cells []string
	for _, cell := range here {
		if slices.Contains(cell.Spec.Zones, zone) {
			cells = append(cells, cell.Name)
		}
	}
	if len(cells) == 0 {
		return nil, fail(exitNotFound, "%s", suggest.NotFound("zone", zone+" of "+place, zonesOf(here)))
	}
	return cells, nil
}

// awaitDrill waits until the cell's agent reports the drill in force, or over.
func (s *session) awaitDrill(ctx context.Context, hub client.Client, name string, order drillOrder) error {
	next := "is its agent up? look with 'myriad cell describe " + name + "'"
	_, err := s.await(ctx, "cell "+name, next, func(ctx context.Context) (string, bool, error) {
		cell, err := findCell(ctx, hub, name)
		if err != nil {
			return "", false, err
		}
		i := slices.IndexFunc(cell.Status.Drills, func(d v1alpha1.Drill) bool { return d.Zone == order.zone })
		if order.drill == nil {
			return "waiting for zone " + order.zone + " to be released", i < 0, nil
		}
		return "waiting for zone " + order.zone + " to be held", i >= 0 && cell.Status.Drills[i] == *order.drill, nil
	})
	return err
}
