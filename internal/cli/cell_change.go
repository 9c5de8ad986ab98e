package cli

import (
	"context"

	"github.com/spf13/cobra"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// changeCell reads a cell, changes it and writes it back; when somebody else wrote it in between it
// starts again from what they wrote. It writes nothing when change returns false.
func changeCell(ctx context.Context, hub client.Client, name, doing string, change func(*v1alpha1.Cell) bool) (*v1alpha1.Cell, error) {
	var cell *v1alpha1.Cell
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() (err error) {
		if cell, err = findCell(ctx, hub, name); err != nil {
			return err
		}
		if !change(cell) {
			return nil
		}
		return hub.Update(ctx, cell)
	})
	return cell, explain(doing+" cell "+name, err)
}

func newCellCordon(s *session) *cobra.Command {
	return s.cordonCommand(true, &cobra.Command{
		Use:     "cordon CELL...",
		Short:   "Keep new clusters away from cells; those that live there stay",
		Example: "  myriad cell cordon hz-1",
	})
}

func newCellUncordon(s *session) *cobra.Command {
	return s.cordonCommand(false, &cobra.Command{
		Use:     "uncordon CELL...",
		Short:   "Let new clusters into cells again",
		Example: "  myriad cell uncordon hz-1",
	})
}

func (s *session) cordonCommand(cordoned bool, command *cobra.Command) *cobra.Command {
	doing := command.Name()
	command.Args = arguments(1, -1)
	command.ValidArgsFunction = s.completeWords(true, cellNames)
	command.RunE = func(command *cobra.Command, given []string) error {
		hub, err := s.hub()
		if err != nil {
			return err
		}
		for _, name := range given {
			cell, err := changeCell(command.Context(), hub, name, doing, func(cell *v1alpha1.Cell) bool {
				changed := cell.Spec.Cordoned != cordoned
				cell.Spec.Cordoned = cordoned
				return changed
			})
			if err != nil {
				return err
			}
			if err := s.say(hub.Scheme(), cell, "cell %s is %sed", name, doing); err != nil {
				return err
			}
		}
		return nil
	}
	return command
}

func newCellRevoke(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke CELL",
		Short: "Revoke every certificate that the agent of a cell has had",
		Long: `Revoke every certificate that the agent of a cell has had, by raising spec.credentialGeneration. Use it
when an agent's key may have been stolen. The cell's clusters keep running; until its agent has a new certificate nothing
in the cell is created, changed or deleted.`,
		Example:           "  myriad cell revoke hz-1 && myriad up",
		Args:              arguments(1, 1),
		ValidArgsFunction: s.completeWords(false, cellNames),
		RunE: func(command *cobra.Command, given []string) error {
			hub, err := s.hub()
			if err != nil {
				return err
			}
			cell, err := changeCell(command.Context(), hub, given[0], "revoke", func(cell *v1alpha1.Cell) bool {
				cell.Spec.CredentialGeneration = max(1, cell.Spec.CredentialGeneration) + 1
				return true
			})
			if err != nil {
				return err
			}
			if s.output == outputTable {
				defer s.notef("its clusters keep running; give its agent a new certificate: myriad up")
			}
			return s.say(hub.Scheme(), cell, "cell %s: certificates before generation %d are revoked", cell.Name, cell.Spec.CredentialGeneration)
		},
	}
}
