package plots

import (
	"fmt"
	"slices"
	"strings"

	"github.com/myriad-fleet/myriad/test/bench/figures"
)

// drawn is a figure of runs, as one series of a chart.
type drawn struct {
	figure, name, class string
}

// growthCharts over the number of clusters.
func growthCharts(runs []Run) []chart {
	create := []string{PartHub, PartEtcd, PartAPIServer, PartAgents}
	idle := []string{PartHub, PartEtcd, PartAPIServer, PartControllers, PartAgents}
	return []chart{
		growthChart(runs, "CPU to take a cluster in", "ms", byPart(create, "CPU of %s to take a cluster in")),
		growthChart(runs, "Memory per cluster", "KiB", byPart(create, "memory of %s per cluster")),
		growthChart(runs, "CPU while the fleet idles", "cores", byPart(idle, "%s idle")),
		growthChart(runs, "Memory while the fleet idles", "MiB", byPart(idle, "%s idle, memory")),
		growthChart(runs, "Clusters bound, sustained", "/s", []drawn{{"binds, sustained", "binds", "one"}}),
		growthChart(runs, "Create to Ready, beyond the simulated start", "s", []drawn{
			{"create to Ready beyond the simulated start, p50", "p50", "one"},
			{"create to Ready beyond the simulated start, p99", "p99", "two"},
		}),
	}
}

// byPart is a figure that each part has, with the part in its name.
func byPart(parts []string, format string) []drawn {
	var all []drawn
	for _, part := range parts {
		all = append(all, drawn{figure: fmt.Sprintf(format, part), name: part, class: partClass(part)})
	}
	return all
}

// growth of a figure: its values by size of the fleet, the smallest size first.
type growth struct {
	sizes  []int
	values [][]float64
}

// growthOf a figure. Runs are sorted by clusters; those that do not have it are left out.
func growthOf(runs []Run, figure string) growth {
	var g growth
	for _, run := range runs {
		value, ok := run.value(figure)
		if !ok {
			continue
		}
		if n := len(g.sizes); n == 0 || g.sizes[n-1] != run.Clusters {
			g.sizes, g.values = append(g.sizes, run.Clusters), append(g.values, nil)
		}
		last := len(g.sizes) - 1
		g.values[last] = append(g.values[last], value)
	}
	return g
}

// growthChart of figures, with a dot for each run and lines through the mean of each size. Without any value it has
// no series.
func growthChart(runs []Run, title, unit string, figures []drawn) chart {
	low, high := 0.0, 0.0
	var sizes []int
	growths := make([]growth, len(figures))
	for i, figure := range figures {
		growths[i] = growthOf(runs, figure.figure)
		sizes = append(sizes, growths[i].sizes...)
		for _, values := range growths[i].values {
			low, high = min(low, slices.Min(values)), max(high, slices.Max(values))
		}
	}
	c := chart{Title: title, Below: "clusters"}
	if len(sizes) == 0 {
		return c
	}
	slices.Sort(sizes)
	sizes = slices.Compact(sizes)
	// The largest size is not at the very edge, so that its dot and its text have room.
	x := axis{High: max(1, float64(sizes[len(sizes)-1])) * 1.06}
	y := axisOf(low, high)
	c.Horizontal, c.Vertical, c.Zero = sizeTicks(x, sizes), y.downTicks(unit), y.down(0)
	var texts []string
	for i, figure := range figures {
		if g := growths[i]; len(g.sizes) > 0 {
			c.Series = append(c.Series, g.series(figure, x, y))
			texts = append(texts, figure.name+" "+g.text(unit))
		}
	}
	c.Text = "On average: " + strings.Join(texts, "; ") + "."
	c.Table = growthTable(figures, growths, sizes, unit)
	return c
}

func (g growth) series(figure drawn, x, y axis) series {
	var through, each []point
	for i, size := range g.sizes {
		across := chartWidth * x.share(float64(size))
		through = append(through, point{across, y.down(figures.Mean(g.values[i]))})
		for _, value := range g.values[i] {
			each = append(each, point{across, y.down(value)})
		}
	}
	return series{Name: figure.name, Class: figure.class, Line: line(through), Dots: dots(each)}
}

// text with the first and the last mean, and how many times as much as the first the last is.
func (g growth) text(unit string) string {
	last := len(g.sizes) - 1
	from, to := figures.Mean(g.values[0]), figures.Mean(g.values[last])
	text := fmt.Sprintf("%s with %s clusters", measure(from, unit), number(float64(g.sizes[0]), 0))
	if last == 0 {
		return text
	}
	text += fmt.Sprintf(", %s with %s", measure(to, unit), number(float64(g.sizes[last]), 0))
	if from > 0 && to > 0 {
		text += fmt.Sprintf(" (×\u00a0%s)", measure(to/from, ""))
	}
	return text
}

// growthTable of means, with the least and the most of a size where there is more than one run of it.
func growthTable(figures []drawn, growths []growth, sizes []int, unit string) table {
	t := table{Head: []string{"Mean (least to most)"}}
	for _, size := range sizes {
		t.Head = append(t.Head, number(float64(size), 0)+" clusters")
	}
	for i, figure := range figures {
		row := []string{figure.figure}
		for _, size := range sizes {
			row = append(row, growths[i].cell(size, unit))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func (g growth) cell(size int, unit string) string {
	i := slices.Index(g.sizes, size)
	if i < 0 {
		return "–"
	}
	values := g.values[i]
	text := measure(figures.Mean(values), unit)
	if len(values) > 1 {
		text += fmt.Sprintf(" (%s\u00a0to\u00a0%s)", measure(slices.Min(values), ""), measure(slices.Max(values), ""))
	}
	return text
}
