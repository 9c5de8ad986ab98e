package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/myriad-fleet/myriad/internal/capacity"
)

func newPlanWhatIf(s *session) *cobra.Command {
	command := group(&cobra.Command{
		Use:   "what-if",
		Short: "See what the loss of a zone or a cell, a tenant that doubles, or an upgrade would do",
		Long:  "See what would happen. Nothing is changed: guests are placed on copies of the cells, by the function that the hub places them by.",
	})
	command.AddCommand(
		s.whatIf("lose-zone CELL/ZONE", "See what the death of a zone of a cell does", "hz-1/b", s.loseZone),
		s.whatIf("lose-cell CELL", "See where a cell's guests would go, and which find no place", "hz-1", s.loseCell),
		s.whatIf("double-tenant TENANT", "See where a tenant's guests would go if it had each of them twice", "team-a", s.doubleTenant),
		s.whatIf("upgrade-surge PERCENT", "See what it does to upgrade so many percent of each cell's guests at once", "10", s.upgradeSurge),
	)
	return command
}

// whatIf makes a command that takes one word.
func (s *session) whatIf(use, short, example string, run func(capacity.Fleet, string) error) *cobra.Command {
	name, _, _ := strings.Cut(use, " ")
	return &cobra.Command{
		Use: use, Short: short, Example: "  myriad plan what-if " + name + " " + example,
		Args: arguments(1, 1),
		RunE: func(command *cobra.Command, words []string) error {
			return s.whatIfOf(command.Context(), words[0], run)
		},
	}
}

func (s *session) whatIfOf(ctx context.Context, word string, run func(capacity.Fleet, string) error) error {
	if err := s.onlyFields(); err != nil {
		return err
	}
	fleet, err := s.readFleet(ctx)
	if err != nil {
		return err
	}
	return run(fleet, word)
}

func (s *session) loseZone(fleet capacity.Fleet, place string) error {
	cell, zone, found := strings.Cut(place, "/")
	if !found || cell == "" || zone == "" {
		return fail(exitUsage, "%s names no zone of a cell: write CELL/ZONE, for example hz-1/b", place)
	}
	loss, err := capacity.LoseZone(fleet, cell, zone)
	if err != nil {
		return fail(exitNotFound, "%w", err)
	}
	if s.output != outputTable {
		return s.encode(loss)
	}
	d := &description{out: s.out}
	row := lossRow(loss)
	d.fields([][2]string{
		{"Zone", cell + "/" + zone},
		{"Down", row[0] + " (guests that had no other zone, until it is back)"},
		{"On two zones", row[1]},
		{"Untouched", strconv.Itoa(loss.Untouched)},
		{"Fullest then", row[2]},
		{"Limit", row[3]},
	})
	return d.err
}

func (s *session) loseCell(fleet capacity.Fleet, cell string) error {
	result, err := capacity.LoseCell(fleet, cell)
	if err != nil {
		return fail(exitNotFound, "%w", err)
	}
	return s.showResettlement("guests of cell "+cell+" look for a place", result)
}

func (s *session) doubleTenant(fleet capacity.Fleet, tenant string) error {
	result, err := capacity.DoubleTenant(fleet, tenant)
	if err != nil {
		return fail(exitNotFound, "%w", err)
	}
	return s.showResettlement("more guests of tenant "+tenant+" look for a place", result)
}

// mostRefused guests that a table lists; JSON has all.
const mostRefused = 20

func (s *session) showResettlement(what string, result capacity.Resettlement) error {
	if s.output != outputTable {
		return s.encode(result)
	}
	d := &description{out: s.out}
	placed := result.Guests - len(result.Refused)
	_, d.err = fmt.Fprintf(s.out, "%d %s: %d find one, %d do not.\n", result.Guests, what, placed, len(result.Refused))
	var cells, reasons, refused [][]string
	for _, taken := range result.Placed {
		cells = append(cells, []string{taken.Cell, strconv.Itoa(taken.Guests), capacity.PercentText(taken.FillPercent)})
	}
	d.section("Where they would go (FULL: of what the reserve lets be used, then)", []string{"CELL", "GUESTS", "FULL"}, cells)
	for i, one := range result.Refused {
		at := slices.IndexFunc(reasons, func(row []string) bool { return row[0] == one.Reason })
		if at < 0 {
			reasons = append(reasons, []string{one.Reason, "0", one.Message})
			at = len(reasons) - 1
		}
		count, _ := strconv.Atoi(reasons[at][1])
		reasons[at][1] = strconv.Itoa(count + 1)
		if i < mostRefused {
			refused = append(refused, []string{one.ID, one.Tenant, kindText(one.Gear, one.Availability), one.Reason})
		}
	}
	d.section("Why the others find none", []string{"REASON", "GUESTS", "WHAT A CELL SAYS TO THE FIRST"}, reasons)
	title := "Guests without a place"
	if len(result.Refused) > mostRefused {
		title += fmt.Sprintf(" (the largest %d; -o json lists all)", mostRefused)
	}
	d.section(title, []string{"GUEST", "TENANT", "GEAR", "REASON"}, refused)
	return d.err
}

func (s *session) upgradeSurge(fleet capacity.Fleet, text string) error {
	percent, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(text), "%"))
	if err != nil {
		return fail(exitUsage, "%q is no share of guests: write a whole number of percent, for example 10", text)
	}
	surges, err := capacity.UpgradeSurge(fleet, percent)
	if err != nil {
		return fail(exitUsage, "%w", err)
	}
	if s.output != outputTable {
		return s.encode(surges)
	}
	var rows [][]string
	for _, surge := range surges {
		fullest, verdict := "reports no zone", "carried"
		if surge.Fullest != nil {
			fullest = fmt.Sprintf("%s of %s of zone %s", capacity.PercentText(surge.Fullest.AfterLossPercent), surge.Fullest.Thing, surge.Fullest.Zone)
		}
		if surge.Over {
			verdict = "not carried"
		}
		rows = append(rows, []string{surge.Cell, fmt.Sprintf("%d of %d", surge.Guests, surge.Of), fullest, verdict, fmt.Sprintf("%d %%", surge.MostPercent)})
	}
	_, err = fmt.Fprintf(s.out, "%d %% of each cell's guests, those with the largest API servers, run %d API servers in each zone at once:\n", percent, capacity.SurgeFactor)
	if err != nil {
		return err
	}
	return table{columns: []string{"CELL", "GUESTS", "FULLEST AFTER A LOSS", "A DEAD ZONE MEANWHILE", "AT MOST AT ONCE"}, rows: rows}.write(s.out, "")
}
