package cli

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/gear"
)

// backtestOrder is what 'gears backtest' was told.
type backtestOrder struct {
	file, history string
	guests        int
	seed          uint64
}

func newGearsBacktest(s *session) *cobra.Command {
	order := backtestOrder{guests: 100, seed: 1}
	command := &cobra.Command{
		Use:   "backtest -f FILE",
		Short: "Replay recorded load against a proposed Gearbox, beside today's",
		Long: `Replay recorded load of a fleet against a proposed Gearbox, beside today's, with the functions that the hub
decides with: how often clusters would have shifted, and back within an hour (flaps); how long they would have carried more than
their gear's capacity; and what their gears would have cost. Nothing is changed.

Today's Gearbox is that of the fleet where there is one, or else the default of a new fleet. The load is that of --history,
which 'myriad gears record' writes, or else samples that come with myriad, scaled up by a generator: its clusters and their ups
and downs are made up from those samples, so that it tells less of your fleet than a recording of your own.`,
		Example: "  myriad gears ladder -o yaml >gearbox.yaml\n  myriad gears backtest -f gearbox.yaml\n" +
			"  myriad gears backtest -f gearbox.yaml --history fleet.jsonl.gz -o json",
		Args: arguments(0, 0),
		RunE: func(command *cobra.Command, _ []string) error {
			scaled := command.Flags().Changed("guests") || command.Flags().Changed("seed")
			if order.history != "" && scaled {
				return fail(exitUsage, "--guests and --seed scale the samples that come with myriad; a --history is replayed as it is: leave them out")
			}
			return s.backtest(command.Context(), order)
		},
	}
	fileFlag(command, &order.file, "proposed Gearbox (YAML or JSON; required)")
	flags := command.Flags()
	flags.StringVar(&order.history, "history", "", "recording to replay: one sample a line, plain or compressed by gzip (default: what comes with myriad)")
	flags.IntVar(&order.guests, "guests", order.guests, "clusters to scale the samples that come with myriad up to")
	flags.Uint64Var(&order.seed, "seed", order.seed, "seed of the generator that scales it up: the same seed gives the same load")
	must(command.MarkFlagFilename("history", "jsonl", "gz"))
	return command
}

func (s *session) backtest(ctx context.Context, order backtestOrder) error {
	if err := s.onlyFields(); err != nil {
		return err
	}
	if order.file == "" {
		return fail(exitUsage, "-f is missing: name the file of the proposed Gearbox; print today's to start from: myriad gears ladder -o yaml")
	}
	proposed, err := readGearboxFile(order.file)
	if err != nil {
		return err
	}
	load, samples, err := order.load()
	if err != nil {
		return err
	}
	today, source := s.todaysGearbox(ctx)
	result := backtestResult{
		Load:     load,
		Today:    outcomeOf(source, gear.BacktestSeq(today, v1alpha1.GearBounds{}, samples)),
		Proposed: outcomeOf(order.file, gear.BacktestSeq(proposed.Spec, v1alpha1.GearBounds{}, samples)),
	}
	if s.output != outputTable {
		return s.encode(result)
	}
	return s.showBacktest(result, union(rungs(proposed.Spec), rungs(today)))
}

// todaysGearbox is that of the fleet, or else the one that a new fleet gets; and which of them it is.
func (s *session) todaysGearbox(ctx context.Context) (v1alpha1.GearboxSpec, string) {
	hub, err := s.hub()
	if err == nil {
		var box *v1alpha1.Gearbox
		if box, err = findGearbox(ctx, hub); err == nil {
			if problems := gear.Check(box.Spec); len(problems) == 0 {
				return box.Spec, "Gearbox " + box.Name + " of the fleet"
			}
			err = fmt.Errorf("the fleet's own, Gearbox %s, does not fit together; see 'myriad gears ladder'", box.Name)
		}
	}
	return gear.Default(), "the default of a new fleet (" + err.Error() + ")"
}

// backtestResult is what 'gears backtest -o json' prints.
type backtestResult struct {
	Load     string          `json:"load"` // which was replayed
	Today    backtestOutcome `json:"today"`
	Proposed backtestOutcome `json:"proposed"`
}

// backtestOutcome is a gear.Outcome in hours.
type backtestOutcome struct {
	Gearbox          string  `json:"gearbox"`
	Guests           int     `json:"guests"`
	Samples          int     `json:"samples"`
	GuestHours       float64 `json:"guestHours"`
	SizeMoves        int     `json:"sizeMoves"`
	TuningMoves      int     `json:"tuningMoves"`
	Flaps            int     `json:"flaps"` // moves that were taken back within an hour
	UnderProvisioned struct {
		Hours   float64 `json:"hours"`
		Percent float64 `json:"percent"` // of guestHours
	} `json:"underProvisioned"`
	CoreHours float64        `json:"coreHours"`
	GiBHours  float64        `json:"gibHours"`
	AtEnd     map[string]int `json:"atEnd"` // guests by gear
}

func outcomeOf(box string, o gear.Outcome) backtestOutcome {
	shown := backtestOutcome{
		Gearbox: box, Guests: o.Guests, Samples: o.Samples, GuestHours: hundredths(o.Total.Hours()),
		SizeMoves: o.SizeMoves, TuningMoves: o.TuningMoves, Flaps: o.Flaps,
		CoreHours: hundredths(o.CoreHours), GiBHours: hundredths(o.GiBHours), AtEnd: o.AtEnd,
	}
	shown.UnderProvisioned.Hours = hundredths(o.UnderProvisioned.Hours())
	if o.Total > 0 {
		shown.UnderProvisioned.Percent = hundredths(100 * o.UnderProvisioned.Hours() / o.Total.Hours())
	}
	return shown
}

func hundredths(x float64) float64 { return math.Round(100*x) / 100 }

func (s *session) showBacktest(r backtestResult, ladder []string) error {
	d := &description{out: s.out}
	today, proposed := r.Today, r.Proposed
	d.fields([][2]string{
		{"Load", r.Load},
		{"Replayed", fmt.Sprintf("%d samples of %d clusters, %s hours together", today.Samples, today.Guests, number(today.GuestHours))},
		{"Today", today.Gearbox},
		{"Proposed", proposed.Gearbox},
	})
	share := func(o backtestOutcome) string {
		return fmt.Sprintf("%s h (%s %%)", number(o.UnderProvisioned.Hours), number(o.UnderProvisioned.Percent))
	}
	d.section("Outcome", []string{"", "TODAY", "PROPOSED", "DIFFERENCE"}, [][]string{
		countRow("shifts of size", today.SizeMoves, proposed.SizeMoves),
		countRow("shifts of tuning", today.TuningMoves, proposed.TuningMoves),
		countRow("flaps (taken back within 1h)", today.Flaps, proposed.Flaps),
		{"time over capacity", share(today), share(proposed), difference(today.UnderProvisioned.Hours, proposed.UnderProvisioned.Hours) + " h"},
		amountRow("core-hours, all zones", today.CoreHours, proposed.CoreHours),
		amountRow("GiB-hours, all zones", today.GiBHours, proposed.GiBHours),
	})
	var rows [][]string
	for _, name := range ladder {
		if today.AtEnd[name] != 0 || proposed.AtEnd[name] != 0 {
			rows = append(rows, countRow(name, today.AtEnd[name], proposed.AtEnd[name]))
		}
	}
	d.section("Clusters by gear at the end", []string{"GEAR", "TODAY", "PROPOSED", "DIFFERENCE"}, rows)
	return d.err
}

func countRow(name string, today, proposed int) []string {
	return []string{name, strconv.Itoa(today), strconv.Itoa(proposed), difference(float64(today), float64(proposed))}
}

// amountRow also says by how many per cent an amount differs.
func amountRow(name string, today, proposed float64) []string {
	text := difference(today, proposed)
	if today != 0 && today != proposed {
		text += fmt.Sprintf(" (%+.1f %%)", 100*(proposed-today)/today)
	}
	return []string{name, number(today), number(proposed), text}
}

func difference(today, proposed float64) string {
	if change := hundredths(proposed - today); change > 0 {
		return "+" + number(change)
	}
	return number(hundredths(proposed - today))
}

// number with at most two digits behind the point.
func number(x float64) string { return strconv.FormatFloat(hundredths(x), 'f', -1, 64) }

// union of two lists, the first one's order first.
func union[T comparable](a, b []T) []T {
	all := slices.Clone(a)
	for _, one := range b {
		if !slices.Contains(all, one) {
			all = append(all, one)
		}
	}
	return all
}
