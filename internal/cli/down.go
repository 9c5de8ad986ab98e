package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/myriad-fleet/myriad/internal/local"
)

func newDown(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "Stop the fleet on this machine; its data stays",
		Long: `Stop everything of this home on this machine, and only that.

Clusters keep their data; the next 'myriad up' brings them back. Those in cells that are Kubernetes clusters run on,
without gateways. To remove a fleet for good: delete the clusters of such cells, run this, delete the home.`,
		Args: arguments(0, 0),
		RunE: func(command *cobra.Command, _ []string) error {
			if err := local.Down(command.Context(), s.home, local.Lines(s.err, s.clock)); err != nil {
				return fmt.Errorf("myriad down: %w", err)
			}
			s.notef("the fleet of %s is down; 'myriad up' brings it back", s.home)
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
}
