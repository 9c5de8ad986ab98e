package plots

import "fmt"

// labelPercent is the room that a phase's number takes, in percent of the width on the narrowest phone: 18 px of 270.
const labelPercent = 6.7

// band is a phase behind the lines of a chart.
type band struct {
	Number int
	Name   string
	// Text says when it was.
	Text string
	// Left and Width in percent of the chart's width.
	Left, Width float64
	// Odd ones are shaded.
	Odd bool
	// LabelLeft and LabelWidth in percent is where its number stands and its name may, if it finds room, in this
	// Lane, from above.
	LabelLeft, LabelWidth float64
	Lane                  int
}

// bandsOf phases until an end in seconds, and how many lanes their numbers take: numbers of phases that are too short
// stand below each other.
func bandsOf(phases []Phase, end float64) (bands []band, lanes int) {
	x := axis{High: max(end, 1e-3)}
	var last []*band // of each lane
	bands = make([]band, len(phases))
	for i, phase := range phases {
		to := max(phase.To, phase.From) // a phase that was not ended has no time
		left := percent(x.share(phase.From))
		bands[i] = band{
			Number: i + 1, Name: phase.Name, Text: fmt.Sprintf("%s to %s", number(phase.From, 0), seconds(to)),
			Left: left, Width: percent(x.share(to - phase.From)), Odd: i%2 == 0, LabelLeft: min(left, 100-labelPercent),
		}
		b := &bands[i]
		b.LabelWidth = max(labelPercent, b.Left+b.Width-b.LabelLeft)
		for b.Lane < len(last) && last[b.Lane].LabelLeft+labelPercent > b.LabelLeft {
			b.Lane++
		}
		if b.Lane == len(last) {
			last = append(last, nil)
		} else if before := last[b.Lane]; before.LabelLeft+before.LabelWidth > b.LabelLeft {
			before.LabelWidth = b.LabelLeft - before.LabelLeft
		}
		last[b.Lane] = b
	}
	return bands, len(last)
}
