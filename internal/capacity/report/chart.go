package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/myriad-fleet/myriad/internal/capacity"
)

// The chart's own units: it is stretched to the width of the page.
const (
	chartWidth  = 1000.0
	chartHeight = 300.0
)

// chart of a forecast.
type chart struct {
	// Band between P50 and P95 and the two lines, as SVG's points.
	Band, P50, P95 string
	// Full is where 100 % is, from the top.
	Full float64
	// Ticks of both axes, with their place in percent of the length.
	Horizontal, Vertical []tick
	// Dates of the next cell.
	Dates []mark
	// Text says what the chart shows.
	Text string
}

type tick struct {
	At   float64
	Text string
	// Minor ticks are left out where there is no room.
	Minor bool
}

// mark is a date of the next cell.
type mark struct {
	Name string
	At   float64
	X    float64
	Text string
}

// chartOf the forecast of a region, from the day of the report on.
func chartOf(region capacity.RegionCapacity, at time.Time) chart {
	f := region.Forecast
	top := topOf(f.Points)
	x := func(day int) float64 { return chartWidth * float64(day) / float64(f.Days) }
	y := func(fill float64) float64 { return chartHeight * (1 - min(fill, top)/top) }
	var p50, p95, back []string
	for _, point := range f.Points {
		p50 = append(p50, fmt.Sprintf("%.1f,%.1f", x(point.Day), y(point.FillP50)))
		p95 = append(p95, fmt.Sprintf("%.1f,%.1f", x(point.Day), y(point.FillP95)))
	}
	for _, point := range slices.Backward(p50) {
		back = append(back, point)
	}
	c := chart{
		P50: strings.Join(p50, " "), P95: strings.Join(p95, " "), Band: strings.Join(append(p95, back...), " "),
		Full: y(100), Vertical: verticalTicks(top), Horizontal: horizontalTicks(at, f.Days), Text: textOf(region),
	}
	for _, one := range []struct {
		name string
		next capacity.NextCell
	}{{"P95", f.P95}, {"P50", f.P50}} {
		if one.next.Day >= 0 {
			c.Dates = append(c.Dates, mark{Name: one.name, At: 100 * float64(one.next.Day) / float64(f.Days), X: x(one.next.Day), Text: one.next.Date})
		}
	}
	return c
}

// topOf the vertical axis: a quarter above what is shown, in steps, and three times as much as there is at most.
func topOf(points []capacity.Point) float64 {
	most := 100.0
	for _, point := range points {
		most = max(most, point.FillP95)
	}
	return min(math.Ceil(most*1.05/25)*25, 300)
}

func verticalTicks(top float64) []tick {
	step := 25.0
	if top > 150 {
		step = 50
	}
	var ticks []tick
	for fill := 0.0; fill <= top; fill += step {
		ticks = append(ticks, tick{At: 100 * (1 - fill/top), Text: fmt.Sprintf("%.0f %%", fill)})
	}
	return ticks
}

// horizontalTicks: six parts of the time, every second of which can be left out.
func horizontalTicks(at time.Time, days int) []tick {
	const parts = 6
	var ticks []tick
	for i := range parts + 1 {
		day := days * i / parts
		ticks = append(ticks, tick{At: 100 * float64(day) / float64(days), Text: at.AddDate(0, 0, day).Format("2 Jan 2006"), Minor: i%3 != 0})
	}
	return ticks
}

func textOf(region capacity.RegionCapacity) string {
	f := region.Forecast
	first, last := f.Points[0], f.Points[len(f.Points)-1]
	return fmt.Sprintf("Share of what the reserve lets be used in %s: %s today; in %d days %s in half of the futures and up to %s in 95 of 100. Next cell: %s.",
		region.Region, capacity.PercentText(first.FillP50), last.Day, capacity.PercentText(last.FillP50), capacity.PercentText(last.FillP95), region.Next)
}
