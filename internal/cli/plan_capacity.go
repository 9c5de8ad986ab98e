package cli

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/myriad-fleet/myriad/internal/capacity"
	"github.com/myriad-fleet/myriad/internal/capacity/report"
)

// capacityOrder is what 'plan capacity' is asked for.
type capacityOrder struct {
	region, growth, html string
	driftUp, driftDown   float64
	options              capacity.Options
}

func newPlanCapacity(s *session) *cobra.Command {
	drift := capacity.DefaultDrift()
	order := capacityOrder{driftUp: 100 * drift.UpPerMonth, driftDown: 100 * drift.DownPerMonth}
	command := &cobra.Command{
		Use:   "capacity [--region REGION] [--growth GROWTH]",
		Short: "Show how full cells are, how many more guests fit, and when the next cell is needed",
		Long: `Show, per region and cell, the water level of each zone, what binds first, how many more guests of today's mix fit, what a dead
zone does, and the date of the next cell. Guests are placed on copies of the cells by the function that the hub places them by.

The date is the first day on which a new or growing guest finds no place in any cell of the region, in many futures: in each of them
other guests come and drift up and down the ladder of gears. P50 is the day by which half of the futures need a cell; P95 is the day until
which the room lasts in 95 of 100: order by that. The growth is that which is seen in the age of the guests, or that of --growth:
2x/year, +10%/month, +50/week.`,
		Example: "  myriad plan capacity\n  myriad plan capacity --region cn-hangzhou --growth 2x/year --html capacity.html\n  myriad plan capacity --growth +50/week --days 90 -o json",
		Args:    arguments(0, 0),
		RunE: func(command *cobra.Command, _ []string) error {
			return s.planCapacity(command.Context(), order)
		},
	}
	flags := command.Flags()
	flags.StringVar(&order.region, "region", "", "region to look at (default: all)")
	flags.StringVar(&order.growth, "growth", "", "growth of the number of guests, such as 2x/year, +10%/month or +50/week (default: that which is seen)")
	flags.IntVar(&order.options.Days, "days", capacity.DefaultDays, "days to look ahead")
	flags.IntVar(&order.options.Runs, "runs", capacity.DefaultRuns, "futures to draw")
	flags.Uint64Var(&order.options.Seed, "seed", 1, "seed of what is drawn: the same seed gives the same answer")
	flags.Float64Var(&order.driftUp, "drift-up", order.driftUp, "guests of a hundred that go up a gear in a month")
	flags.Float64Var(&order.driftDown, "drift-down", order.driftDown, "guests of a hundred that come down a gear in a month")
	htmlFlag(command, &order.html)
	s.completeFlag(command, "region", regionNames)
	return command
}

func (s *session) planCapacity(ctx context.Context, order capacityOrder) error {
	if err := s.onlyFields(); err != nil {
		return err
	}
	var growth *capacity.Growth
	if order.growth != "" {
		given, err := capacity.ParseGrowth(order.growth)
		if err != nil {
			return fail(exitUsage, "--growth: %w", err)
		}
		growth = &given
	}
	order.options.Now = s.clock.Now().UTC()
	order.options.Drift = capacity.Drift{UpPerMonth: order.driftUp / 100, DownPerMonth: order.driftDown / 100}
	if problem := order.options.Problem(); problem != "" {
		return fail(exitUsage, "%s", problem)
	}
	fleet, err := s.readFleet(ctx)
	if err != nil {
		return err
	}
	if err := mustHaveRegion(fleet, order.region); err != nil {
		return err
	}
	found := capacity.CapacityOf(fleet, order.region, growth, order.options)
	if order.html != "" {
		if err := s.writeHTML(order.html, func(file *renameio.PendingFile) error { return report.Capacity(file, found) }); err != nil {
			return err
		}
	}
	if s.output != outputTable {
		return s.encode(found)
	}
	return s.showCapacity(found)
}

func (s *session) showCapacity(found capacity.Capacity) error {
	d := &description{out: s.out}
	var regions, growths, cells, losses [][]string
	for _, region := range found.Regions {
		growth := cmp.Or(region.Growth, "not known")
		regions = append(regions, append([]string{
			region.Region, strconv.Itoa(len(region.Cells)), strconv.Itoa(region.Guests), capacity.PercentText(region.FillPercent),
			roomText(region.Room), growth,
		}, datesOf(region)...))
		growths = append(growths, []string{region.Region, growth, region.GrowthBasis})
		for _, cell := range region.Cells {
			cells = append(cells, cellRow(region.Region, cell))
			for _, loss := range cell.Losses {
				losses = append(losses, append([]string{loss.Cell, loss.Zone}, lossRow(loss)...))
			}
		}
	}
	d.err = table{columns: []string{"REGION", "CELLS", "GUESTS", "FULL", "ROOM", "GROWTH", "NEXT CELL P95", "P50"}, rows: regions}.write(s.out, "")
	d.section("Where the growth is from", []string{"REGION", "GROWTH", "BASIS"}, growths)
	d.section("Cells (FULLEST: the zone and thing that has least left; BINDS: what is full when the room is filled with today's mix)",
		[]string{"REGION", "CELL", "GUESTS", "ROOM", "FULLEST", "BINDS"}, cells)
	d.section("When a zone dies (DOWN: guests that had no other zone; ON TWO: guests that run on their other two)",
		[]string{"CELL", "ZONE", "DOWN", "ON TWO", "FULLEST THEN", "LIMIT"}, losses)
	if d.err == nil {
		_, d.err = fmt.Fprintf(s.out, "\nForecasts: %d futures of %d days, seed %d; %s of the guests go up a gear in a month and %s come down.\n",
			found.Runs, found.Days, found.Seed, capacity.PercentText(100*found.Drift.UpPerMonth), capacity.PercentText(100*found.Drift.DownPerMonth))
	}
	return d.err
}

// datesOf the next cell of a region: P95 and P50, or why there are none.
func datesOf(region capacity.RegionCapacity) []string {
	if region.Forecast == nil {
		text, _, _ := strings.Cut(region.Next, ": ")
		return []string{text, ""}
	}
	text := func(next capacity.NextCell) string {
		return cmp.Or(next.Date, fmt.Sprintf("not within %d days", region.Forecast.Days))
	}
	return []string{text(region.Forecast.P95), text(region.Forecast.P50)}
}

func roomText(room capacity.Room) string {
	if room.AtLeast {
		return "≥ " + strconv.Itoa(room.Guests)
	}
	return strconv.Itoa(room.Guests)
}

func cellRow(region string, cell capacity.CellCapacity) []string {
	fullest, binds := "reports no zone", cell.Room.Binds
	if cell.Fullest != nil {
		fullest = cell.Fullest.Text()
	}
	if cell.Closed != "" {
		binds = "closed: " + cell.Closed
	}
	return []string{region, cell.Cell, strconv.Itoa(cell.Guests), roomText(cell.Room), fullest, binds}
}

func lossRow(loss capacity.ZoneLoss) []string {
	if loss.WorstZone == "" {
		return []string{strconv.Itoa(loss.Down), strconv.Itoa(loss.OnTwo), "no zone is left", ""}
	}
	limit := capacity.PercentText(loss.LimitPercent)
	if loss.Over {
		limit += ": over"
	}
	return []string{
		strconv.Itoa(loss.Down), strconv.Itoa(loss.OnTwo),
		fmt.Sprintf("%s of %s of zone %s", capacity.PercentText(loss.WorstPercent), loss.WorstThing, loss.WorstZone), limit,
	}
}
