package plots

import (
	"fmt"
	"strings"
)

// chart is what the template of a chart needs.
type chart struct {
	Title string
	// Text says what the chart shows.
	Text string
	// Series in the order of the legend. They are drawn the last first, so that the first is on top.
	Series []series
	// Ticks of both axes, with their place in percent of the length, of Vertical from the top.
	Horizontal, Vertical []tick
	// Zero is where 0 is, from the top, in the chart's own units.
	Zero float64
	// Below is the name of the horizontal axis, where ticks have no unit.
	Below string
	// Bands are phases behind the lines, the names of which take Lanes lines of text.
	Bands []band
	Lanes int
	// Table of the same, if any.
	Table table
}

// series of values of one kind.
type series struct {
	Name string
	// Class of its colour, in style.gohtml.
	Class string
	// Line and Dots as SVG's paths; Dots may be empty.
	Line, Dots string
}

type table struct {
	Head []string
	Rows [][]string
}

// point in a chart, in its own units.
type point struct{ x, y float64 }

// line through runs of points; a run of one point is a dot.
func line(runs ...[]point) string {
	var b strings.Builder
	for _, points := range runs {
		for i, p := range points {
			letter := "L"
			if i == 0 {
				letter = "M"
			}
			fmt.Fprintf(&b, "%s%.1f,%.1f", letter, p.x, p.y)
		}
		if len(points) == 1 {
			b.WriteString("h0")
		}
	}
	return b.String()
}

// dots are lines without a length, whose round ends a browser draws: they stay round however the chart is stretched.
func dots(points []point) string {
	var b strings.Builder
	for _, p := range points {
		fmt.Fprintf(&b, "M%.1f,%.1fh0", p.x, p.y)
	}
	return b.String()
}

// down is where a value of the vertical axis is, from the top, in the chart's own units.
func (a axis) down(value float64) float64 { return chartHeight * (1 - a.share(value)) }

// downTicks of the vertical axis, from the top.
func (a axis) downTicks(unit string) []tick {
	ticks := a.ticks(unit)
	for i := range ticks {
		ticks[i].At = percent(1 - ticks[i].At/100)
	}
	return ticks
}

// partClass is the class of a part's colour.
func partClass(part string) string { return "part-" + part }
