package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/myriad-fleet/myriad/internal/capacity"
)

func newPlanRebalance(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "rebalance",
		Short: "Propose the fewest moves that bring every cell back under its water level",
		Long: `Propose the fewest moves of guests that bring every cell back under its water level, before and after the loss of a zone: for example
after a cell's capacity shrank or its guests grew. Each guest goes only where the hub would place it. Nothing is moved: this version
of Myriad proposes moves and cannot make them yet.`,
		Example: "  myriad plan rebalance\n  myriad plan rebalance -o json",
		Args:    arguments(0, 0),
		RunE: func(command *cobra.Command, _ []string) error {
			return s.planRebalance(command.Context())
		},
	}
}

func (s *session) planRebalance(ctx context.Context) error {
	if err := s.onlyFields(); err != nil {
		return err
	}
	fleet, err := s.readFleet(ctx)
	if err != nil {
		return err
	}
	if err := mustHaveRegion(fleet, ""); err != nil {
		return err
	}
	result := capacity.Rebalance(fleet)
	if s.output != outputTable {
		return s.encode(result)
	}
	return s.showRebalancing(result)
}

func (s *session) showRebalancing(result capacity.Rebalancing) error {
	d := &description{out: s.out}
	if len(result.Over) == 0 {
		_, d.err = fmt.Fprintln(s.out, "Every cell is under its water level, before and after the loss of a zone: nothing needs to move.")
		return d.err
	}
	var over, moves, unmended [][]string
	cells := map[string]bool{}
	for _, level := range result.Over {
		cells[level.Cell] = true
		over = append(over, []string{level.Cell, level.Text()})
	}
	for _, move := range result.Moves {
		moves = append(moves, []string{move.ID, move.Tenant, move.Gear, move.From, move.To, strings.Join(move.Zones, ","), move.Why})
	}
	for _, cell := range result.Unmended {
		unmended = append(unmended, []string{cell.Cell, cell.Why})
	}
	fewest := ""
	if result.Fewest && len(moves) > 0 {
		fewest = ", and no fewer do"
	}
	_, d.err = fmt.Fprintf(s.out, "%d cells are over their water level; %d moves mend %d of them%s.\n", len(cells), len(moves), len(cells)-len(unmended), fewest)
	d.section("Over", []string{"CELL", "WHAT"}, over)
	d.section("Moves, in the order in which they can be made", []string{"GUEST", "TENANT", "GEAR", "FROM", "TO", "ZONES", "WHY"}, moves)
	d.section("Cells that stay over", []string{"CELL", "WHY"}, unmended)
	if d.err == nil {
		_, d.err = fmt.Fprintln(s.out, "\nNothing was moved: this version of Myriad proposes moves and cannot make them yet.")
	}
	return d.err
}
