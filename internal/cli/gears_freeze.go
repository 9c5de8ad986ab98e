package cli

import (
	"context"

	"github.com/spf13/cobra"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

func newGearsFreeze(s *session) *cobra.Command {
	return s.freezeCommand(true, &cobra.Command{
		Use:   "freeze [CELL...]",
		Short: "Stop all shifts of gears, in the fleet or in cells",
		Long: `Stop all shifts of gears: of the whole fleet (spec.frozen of Gearbox 'default'), or of the clusters in some
cells (spec.gearsFrozen of the Cell). Every cluster keeps the gear that it has, whatever its load; what is being shifted is finished.`,
		Example: "  myriad gears freeze\n  myriad gears freeze hz-1",
	})
}

func newGearsUnfreeze(s *session) *cobra.Command {
	return s.freezeCommand(false, &cobra.Command{
		Use:     "unfreeze [CELL...]",
		Short:   "Let gears follow the load again, in the fleet or in cells",
		Example: "  myriad gears unfreeze\n  myriad gears unfreeze hz-1",
	})
}

func (s *session) freezeCommand(frozen bool, command *cobra.Command) *cobra.Command {
	command.Args = arguments(0, -1)
	command.ValidArgsFunction = s.completeWords(true, cellNames)
	command.RunE = func(command *cobra.Command, given []string) error {
		hub, err := s.hub()
		if err != nil {
			return err
		}
		if len(given) == 0 {
			return s.freezeFleet(command.Context(), hub, frozen)
		}
		return s.freezeCells(command.Context(), hub, given, frozen)
	}
	return command
}

func (s *session) freezeFleet(ctx context.Context, hub client.Client, frozen bool) error {
	var box *v1alpha1.Gearbox
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() (err error) {
		if box, err = findGearbox(ctx, hub); err != nil || box.Spec.Frozen == frozen {
			return err
		}
		box.Spec.Frozen = frozen
		return hub.Update(ctx, box)
	})
	if err != nil {
		return explain("change Gearbox "+v1alpha1.DefaultGearbox, err)
	}
	if frozen {
		return s.say(hub.Scheme(), box, "gears of the fleet are frozen; undo it: myriad gears unfreeze")
	}
	if s.output == outputTable {
		s.noteFrozenCells(ctx, hub)
	}
	return s.say(hub.Scheme(), box, "gears of the fleet follow the load")
}

// noteFrozenCells reminds of cells that stay frozen by themselves.
func (s *session) noteFrozenCells(ctx context.Context, hub client.Client) {
	var cells v1alpha1.CellList
	if hub.List(ctx, &cells) != nil {
		return // a reminder, not the answer
	}
	for _, cell := range cells.Items {
		if cell.Spec.GearsFrozen {
			s.notef("cell %s stays frozen; 'myriad gears unfreeze %s' ends it", cell.Name, cell.Name)
		}
	}
}

func (s *session) freezeCells(ctx context.Context, hub client.Client, names []string, frozen bool) error {
	doing, done := "unfreeze the gears of", "follow the load"
	if frozen {
		doing, done = "freeze the gears of", "are frozen"
	}
	for _, name := range names {
		cell, err := changeCell(ctx, hub, name, doing, func(cell *v1alpha1.Cell) bool {
			changed := cell.Spec.GearsFrozen != frozen
			cell.Spec.GearsFrozen = frozen
			return changed
		})
		if err != nil {
			return err
		}
		if err := s.say(hub.Scheme(), cell, "gears in cell %s %s", name, done); err != nil {
			return err
		}
	}
	return nil
}
