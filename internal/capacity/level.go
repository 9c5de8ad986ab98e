package capacity

import (
	"fmt"
	"math"

	"github.com/myriad-fleet/myriad/internal/placement"
)

// Level is how full one zone of a cell is of one thing.
type Level struct {
	// Zone of the cell.
	Zone string `json:"zone"`
	// Thing: CPU (in thousandths of a core), memory (in bytes), pods, addresses or volumes.
	Thing string `json:"thing"`
	// Used by guests, Capacity in all, and Limit of what may be used before any loss.
	Used     int64 `json:"used"`
	Capacity int64 `json:"capacity"`
	Limit    int64 `json:"limit"`
	// Lost is the other zone whose loss asks most of this one; empty where a loss moves nothing.
	Lost string `json:"lost,omitempty"`
	// AfterLoss of that zone so much would be used, and AfterLossLimit is what may be then.
	AfterLoss      int64 `json:"afterLoss"`
	AfterLossLimit int64 `json:"afterLossLimit"`
	// The same in percent of the capacity.
	Percent               float64 `json:"percent"`
	LimitPercent          float64 `json:"limitPercent"`
	AfterLossPercent      float64 `json:"afterLossPercent"`
	AfterLossLimitPercent float64 `json:"afterLossLimitPercent"`
}

// inPercent fills in the percentages.
func (l Level) inPercent() Level {
	l.Percent, l.LimitPercent = percent(l.Used, l.Capacity), percent(l.Limit, l.Capacity)
	l.AfterLossPercent, l.AfterLossLimitPercent = percent(l.AfterLoss, l.Capacity), percent(l.AfterLossLimit, l.Capacity)
	return l
}

// Fill is the share of what may be used that is used, in percent: the larger of before and after a loss. 100 is full.
func (l Level) Fill() float64 { return max(l.before(), l.after()) }

func (l Level) before() float64 { return fill(l.Used, l.Limit) }
func (l Level) after() float64  { return fill(l.AfterLoss, l.AfterLossLimit) }

// When says whether the limit before or after a loss is the nearer one, for example "after the loss of zone b".
func (l Level) When() string {
	if l.Lost != "" && l.after() > l.before() {
		return "after the loss of zone " + l.Lost
	}
	return "before a loss"
}

// Text of a level, for example "CPU of zone a: 58 % of 60 % before a loss".
func (l Level) Text() string {
	used, limit := l.Percent, l.LimitPercent
	if l.Lost != "" && l.after() > l.before() {
		used, limit = l.AfterLossPercent, l.AfterLossLimitPercent
	}
	return fmt.Sprintf("%s of zone %s: %s of %s %s", l.Thing, l.Zone, PercentText(used), PercentText(limit), l.When())
}

// Fullest of some levels, the first of equal ones; false: there is none.
func Fullest(levels []Level) (Level, bool) {
	if len(levels) == 0 {
		return Level{}, false
	}
	best := levels[0]
	for _, level := range levels[1:] {
		if level.Fill() > best.Fill() {
			best = level
		}
	}
	return best, true
}

// percent of a capacity; any use of no capacity is as much as a number can say.
func percent(used, capacity int64) float64 {
	switch {
	case capacity > 0:
		return 100 * float64(used) / float64(capacity)
	case used > 0:
		return overfull
	}
	return 0
}

// overfull stands for a share of nothing: JSON has no infinity.
const overfull = 1e6

func fill(used, limit int64) float64 {
	if limit <= 0 && used <= 0 {
		return 100 // nothing more is allowed
	}
	return min(percent(used, limit), overfull)
}

// PercentText rounds to a whole number and says less than one as such: 0 %, < 1 %, 58 %.
func PercentText(x float64) string {
	switch {
	case x > 0 && x < 1:
		return "< 1 %"
	case x >= overfull:
		return "no capacity"
	}
	return fmt.Sprintf("%.0f %%", math.Round(x))
}

// fillOf a region: for each thing the sum over all zones of what is used, as a share of the sum of what may be,
// before and after each zone's worst loss; the largest is it. Waiting is what guests ask for that have no place.
func fillOf(cells []*placement.Cell, waiting demand) float64 {
	sums := map[string]Level{}
	for _, cell := range cells {
		for _, level := range levelsOf(cell) {
			sum := sums[level.Thing]
			sum.Used, sum.Limit = sum.Used+level.Used, sum.Limit+level.Limit
			sum.AfterLoss, sum.AfterLossLimit = sum.AfterLoss+level.AfterLoss, sum.AfterLossLimit+level.AfterLossLimit
			sums[level.Thing] = sum
		}
	}
	worst := 0.0
	for thing, sum := range sums {
		wanted := waiting.of(thing)
		sum.Used, sum.AfterLoss = sum.Used+wanted, sum.AfterLoss+wanted
		if thing == cpu {
			sum.AfterLoss += waiting.takeover
		}
		worst = max(worst, percent(sum.Used, sum.Limit), percent(sum.AfterLoss, sum.AfterLossLimit))
	}
	return worst
}

// demand of guests over all their zones.
type demand struct {
	vector   placement.Vector
	takeover int64
}

// of a thing, the amount. What guests that wait would share of interfaces nobody knows.
func (d *demand) of(thing string) int64 {
	switch thing {
	case cpu:
		return d.vector.MilliCPU
	case "memory":
		return d.vector.Memory
	case "pods":
		return d.vector.Pods
	case "addresses":
		return d.vector.Addresses
	case "volumes":
		return d.vector.Volumes
	}
	return 0
}

// add what a guest asks for.
func (d *demand) add(guest Guest) {
	for _, one := range guest.Demand {
		d.vector = d.vector.Add(one.Vector)
		if n := int64(len(guest.Demand) - 1); n > 0 {
			d.takeover += one.APIServerMilliCPU / n
		}
	}
}

// addAll adds what guests ask for, so many times.
func (d *demand) addAll(guests []Guest, times int64) {
	var all demand
	for _, guest := range guests {
		all.add(guest)
	}
	v := all.vector
	d.vector = d.vector.Add(placement.Vector{
		MilliCPU: times * v.MilliCPU, Memory: times * v.Memory, Pods: times * v.Pods, Addresses: times * v.Addresses, Volumes: times * v.Volumes,
	})
	d.takeover += times * all.takeover
}
