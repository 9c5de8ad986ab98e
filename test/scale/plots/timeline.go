package plots

import (
	"fmt"
	"slices"
	"strings"
)

// mostPoints of a line over time: what the widest page has pixels for, thrice over.
const mostPoints = 350

// timeline of a run.
type timeline struct {
	Run    *Run
	Charts []chart
	// Phases as the bands number them.
	Phases []band
	// Costs of the phases by part.
	Costs table
}

// level is a value over time; of says whether a sample has it.
type level struct {
	name, class string
	of          func(Sample) (float64, bool)
}

func timelineOf(run *Run) timeline {
	t := timeline{Run: run}
	samples := thin(run.Samples, mostPoints)
	end := 0.0
	for _, sample := range samples {
		end = max(end, sample.At)
	}
	for _, phase := range run.Phases {
		end = max(end, phase.To, phase.From)
	}
	var lanes int
	t.Phases, lanes = bandsOf(run.Phases, end)
	t.Costs = costsOf(run.Phases)
	if len(samples) == 0 || end <= 0 {
		return t
	}
	for _, c := range []chart{
		timeChart("Clusters", "", samples, end, []level{
			{"Ready", "ready", func(s Sample) (float64, bool) { return float64(s.Ready), true }},
			{"bound to a cell", "bound", func(s Sample) (float64, bool) { return float64(s.Bound), true }},
			{"created and not gone", "created", func(s Sample) (float64, bool) { return float64(s.Created), true }},
		}),
		timeChart("CPU by part", "cores", samples, end, levels(samples, func(s Sample) map[string]float64 { return s.Cores })),
		timeChart("Memory by part", "MiB", samples, end, levels(samples, func(s Sample) map[string]float64 { return s.MiB })),
	} {
		c.Bands, c.Lanes = t.Phases, lanes
		t.Charts = append(t.Charts, c)
	}
	return t
}

// levels of all parts that samples have.
func levels(samples []Sample, of func(Sample) map[string]float64) []level {
	var names []string
	for _, sample := range samples {
		for part := range of(sample) {
			names = append(names, part)
		}
	}
	var all []level
	for _, part := range inOrder(names) {
		all = append(all, level{part, partClass(part), func(s Sample) (float64, bool) {
			value, ok := of(s)[part]
			return value, ok
		}})
	}
	return all
}

// inOrder are parts, each once: those that we know in their order, then others.
func inOrder(parts []string) []string {
	slices.Sort(parts)
	var ordered []string
	for _, part := range Parts {
		if _, found := slices.BinarySearch(parts, part); found {
			ordered = append(ordered, part)
		}
	}
	for _, part := range slices.Compact(parts) {
		if !slices.Contains(Parts, part) {
			ordered = append(ordered, part)
		}
	}
	return ordered
}

// timeChart of levels from 0 to an end in seconds. A line has a gap where a part does not run.
func timeChart(title, unit string, samples []Sample, end float64, levels []level) chart {
	low, high := 0.0, 0.0
	for _, level := range levels {
		for _, sample := range samples {
			if value, ok := level.of(sample); ok {
				low, high = min(low, value), max(high, value)
			}
		}
	}
	x, y := axis{High: end, Step: roundStep(end / 8)}, axisOf(low, high)
	c := chart{Title: title, Horizontal: timeTicks(x), Vertical: y.downTicks(unit), Zero: y.down(0)}
	var texts []string
	for _, level := range levels {
		var runs [][]point
		var seen []Sample
		broken := true
		for _, sample := range samples {
			value, ok := level.of(sample)
			if !ok {
				broken = true
				continue
			}
			if broken {
				runs, broken = append(runs, nil), false
			}
			last := len(runs) - 1
			runs[last] = append(runs[last], point{chartWidth * x.share(sample.At), y.down(value)})
			seen = append(seen, sample)
		}
		if len(seen) > 0 {
			c.Series = append(c.Series, series{Name: level.name, Class: level.class, Line: line(runs...)})
			texts = append(texts, level.text(seen, unit))
		}
	}
	c.Text = fmt.Sprintf("From %s to %s. %s.", seconds(samples[0].At), seconds(samples[len(samples)-1].At), strings.Join(texts, "; "))
	return c
}

// text with the first, the largest and the last value.
func (l level) text(samples []Sample, unit string) string {
	first, _ := l.of(samples[0])
	last, _ := l.of(samples[len(samples)-1])
	most, at := first, samples[0].At
	for _, sample := range samples {
		if value, _ := l.of(sample); value > most {
			most, at = value, sample.At
		}
	}
	return fmt.Sprintf("%s: %s at first, at most %s after %s, %s at last", l.name, measure(first, unit), measure(most, unit), seconds(at), measure(last, unit))
}

func seconds(at float64) string { return withUnit(number(at, 0), "s") }

// timeTicks are at round times only: the axis ends when the run does.
func timeTicks(x axis) []tick {
	whole := axis{High: float64(int(x.High/x.Step)) * x.Step, Step: x.Step}
	ticks := whole.ticks("s")
	for i := range ticks {
		ticks[i].At = percent(x.share(float64(i) * x.Step))
	}
	return ticks
}

// costsOf phases by part: seconds of CPU, and MiB at most.
func costsOf(phases []Phase) table {
	var names []string
	for _, phase := range phases {
		for part := range phase.CPUSeconds {
			names = append(names, part)
		}
		for part := range phase.PeakMiB {
			names = append(names, part)
		}
	}
	parts := inOrder(names)
	if len(parts) == 0 {
		return table{}
	}
	t := table{Head: append([]string{"CPU seconds; MiB at most"}, parts...)}
	for i, phase := range phases {
		row := []string{fmt.Sprintf("%d %s", i+1, phase.Name)}
		for _, part := range parts {
			row = append(row, valueText(phase.CPUSeconds, part)+";\u00a0"+valueText(phase.PeakMiB, part))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func valueText(values map[string]float64, part string) string {
	value, ok := values[part]
	if !ok {
		return "–"
	}
	return measure(value, "")
}
