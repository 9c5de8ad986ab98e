package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

func newGearsHistory(s *session) *cobra.Command {
	return &cobra.Command{
		Use:               "history CLUSTER",
		Short:             "Show the latest moves of a cluster from gear to gear, newest first",
		Example:           "  myriad gears history hello",
		Args:              arguments(1, 1),
		ValidArgsFunction: s.completeWords(false, s.clusterNames),
		RunE: func(command *cobra.Command, given []string) error {
			if err := s.onlyFields(); err != nil {
				return err
			}
			hub, err := s.hub()
			if err != nil {
				return err
			}
			cluster, err := s.findCluster(command.Context(), hub, given[0])
			if err != nil {
				return err
			}
			return s.showMoves(cluster)
		},
	}
}

func (s *session) showMoves(cluster *v1alpha1.Cluster) error {
	moves := []v1alpha1.GearMove{}
	if gear := cluster.Status.Gear; gear != nil {
		moves = append(moves, gear.Moves...)
	}
	switch {
	case s.output != outputTable:
		return s.encode(moves)
	case cluster.Status.Gear == nil:
		s.notef("the gear of cluster %s is not computed; see why: myriad gears explain %s", cluster.Name, s.inNamespace(cluster.Name))
		return nil
	case len(moves) == 0:
		s.notef("cluster %s has not moved: it has been in gear %s from the start", cluster.Name, dash(cluster.Status.Gear.Size))
		return nil
	}
	t := table{columns: []string{"TIME", "AGE", "KIND", "FROM", "TO", "REASON", "LOAD"}}
	for _, move := range moves {
		t.rows = append(t.rows, []string{
			move.Time.UTC().Format(time.RFC3339), s.age(move.Time), string(move.Kind), move.From, move.To, move.Reason, move.Message,
		})
	}
	return t.write(s.out, "")
}
