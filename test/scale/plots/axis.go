package plots

import (
	"math"
	"strconv"
	"strings"
)

// The charts' own units: they are stretched to the width of the page.
const (
	chartWidth  = 1000.0
	chartHeight = 300.0
)

// axis from Low to High, with a tick every Step.
type axis struct {
	Low, High, Step float64
}

// axisParts is into how many parts ticks divide an axis, about: they are at round values.
const axisParts = 4

// axisOf values from low to high: it holds 0, and begins and ends at a tick. For nothing but 0 it ends at 1.
func axisOf(low, high float64) axis {
	low, high = min(low, 0), max(high, 0)
	if low == high {
		high = 1
	}
	step := roundStep((high - low) / axisParts)
	// A value a rounding error above a tick needs no further one.
	const slack = 1e-9
	return axis{Low: math.Floor(low/step+slack) * step, High: math.Ceil(high/step-slack) * step, Step: step}
}

// roundStep is the smallest of 1, 2, 2.5 and 5 times a power of ten that is at least so much.
func roundStep(least float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(least)))
	for _, factor := range []float64{1, 2, 2.5, 5} {
		if factor*power >= least*(1-1e-9) {
			return factor * power
		}
	}
	return 10 * power
}

// share of the axis' length at which a value is, from 0 to 1 for values of the axis.
func (a axis) share(value float64) float64 { return (value - a.Low) / (a.High - a.Low) }

// ticks of the axis, in its direction, with the unit.
func (a axis) ticks(unit string) []tick {
	decimals := 0
	for step := a.Step; decimals < 9 && math.Abs(step-math.Round(step)) > 1e-9*step; step *= 10 {
		decimals++
	}
	var ticks []tick
	for i := range int(math.Round((a.High-a.Low)/a.Step)) + 1 {
		value := a.Low + float64(i)*a.Step
		ticks = append(ticks, tick{At: percent(a.share(value)), Text: withUnit(number(value, decimals), unit), Minor: i%2 == 1})
	}
	return ticks
}

// tick of an axis.
type tick struct {
	// At in percent of the axis' length.
	At   float64
	Text string
	// Minor ticks have no text where there is little room.
	Minor bool
}

// Room of a text below an axis, in percent of the axis on the narrowest phone: a digit of 6.5 px of 270 px.
const percentPerLetter = 2.4

// sizeTicks of an axis of sizes of a fleet: one for each size, but for those beside which there is no room. The
// largest has one always.
func sizeTicks(a axis, sizes []int) []tick {
	var ticks []tick
	free := math.Inf(1) // where the text to the right begins
	for i := len(sizes); i >= 0; i-- {
		size := 0
		if i > 0 {
			size = sizes[i-1]
		}
		text := number(float64(size), 0)
		at, half := percent(a.share(float64(size))), percentPerLetter*float64(len([]rune(text)))/2
		if at+half+1 > free {
			continue
		}
		free = at - half
		ticks = append([]tick{{At: at, Text: text}}, ticks...)
	}
	return ticks
}

// percent of a share, to a hundredth.
func percent(share float64) float64 { return math.Round(share*10000) / 100 }

// number with so many decimals, its thousands parted by a narrow space.
func number(value float64, decimals int) string {
	text := strconv.FormatFloat(value, 'f', decimals, 64)
	digits, rest, hasRest := strings.Cut(strings.TrimPrefix(text, "-"), ".")
	var b strings.Builder
	if strings.HasPrefix(text, "-") && strings.Trim(text, "-0.") != "" {
		b.WriteRune('−')
	}
	for i, digit := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteRune('\u202f')
		}
		b.WriteRune(digit)
	}
	if hasRest {
		b.WriteString("." + rest)
	}
	return b.String()
}

// measure is a value, with three digits that count where it is not whole, and its unit.
func measure(value float64, unit string) string {
	size := math.Abs(value)
	decimals := 3
	switch {
	case size == math.Trunc(size) || size >= 100:
		decimals = 0
	case size >= 10:
		decimals = 1
	case size >= 1:
		decimals = 2
	}
	return withUnit(number(value, decimals), unit)
}

// withUnit beside a number, from which no line break parts it.
func withUnit(text, unit string) string {
	if unit == "" || strings.HasPrefix(unit, "/") {
		return text + unit
	}
	return text + "\u00a0" + unit
}
