package placement

import (
	"fmt"
	"math"
)

// Level is how full one zone of a cell is of one thing.
type Level struct {
	// Zone of the cell.
	Zone string
	// Thing that is counted.
	Thing Thing
	// Used by guests, and Capacity in all: CPU in thousandths of a core, memory in bytes, all else in numbers.
	Used, Capacity int64
	// Limit of what may be used before any loss.
	Limit int64
	// Percent of the capacity that is used, and LimitPercent that may be before any loss. More than 100 when the capacity has
	// shrunk below what is booked; use of no capacity at all is 100.
	Percent, LimitPercent float64
	// WorstLoss is the other zone whose loss asks most of this one; empty: none asks for anything.
	WorstLoss string
	// AfterLoss is what is used once that zone is lost, and AfterLossLimit what may then be. Only CPU moves on a loss: of
	// all else AfterLoss is Used. Where no limit after a loss is kept (pods, addresses, volumes, interfaces,
	// and a cell of one zone) AfterLossLimit is Limit.
	AfterLoss, AfterLossLimit int64
	// AfterLossPercent of the capacity and AfterLossLimitPercent are the same two in percent.
	AfterLossPercent, AfterLossLimitPercent float64
}

// Fill is the share of what may be used that is used, in percent: the larger of before and after a loss. 100 is full,
// and so is a limit of nothing; use of a limit of nothing is infinitely much.
func (l Level) Fill() float64 { return max(l.before(), l.after()) }

func (l Level) before() float64 { return fill(l.Used, l.Limit) }
func (l Level) after() float64  { return fill(l.AfterLoss, l.AfterLossLimit) }

// Over tells whether more is used than may be, before or after a loss.
func (l Level) Over() bool { return l.Used > l.Limit || l.AfterLoss > l.AfterLossLimit }

// When says which limit is the nearer one, for example "after the loss of zone b".
func (l Level) When() string {
	if l.after() > l.before() && l.WorstLoss != "" {
		return "after the loss of zone " + l.WorstLoss
	}
	return "before a loss"
}

// String of a level by its nearer limit, for example "CPU of zone a: 64 % of the 60 % that may be used before a loss".
func (l Level) String() string {
	used, allowed := l.Percent, l.LimitPercent
	if l.after() > l.before() {
		used, allowed = l.AfterLossPercent, l.AfterLossLimitPercent
	}
	return fmt.Sprintf("%s of zone %s: %s of the %.0f %% that may be used %s", l.Thing, l.Zone, percentText(used, allowed), allowed, l.When())
}

// percentText has one digit behind the point where a whole number would hide that a limit is exceeded.
func percentText(used, allowed float64) string {
	if used > allowed && math.Round(used) <= math.Round(allowed) {
		return fmt.Sprintf("%.2f %%", used)
	}
	return fmt.Sprintf("%.0f %%", used)
}

// Levels of everything that is counted in each zone of a cell, by zone and thing. What is unlimited is left out.
func Levels(cell *Cell) []Level {
	var levels []Level
	for z := range cell.Zones {
		zone := &cell.Zones[z]
		for _, thing := range things {
			if capacity := zone.Capacity.Of(thing); capacity >= 0 {
				levels = append(levels, cell.level(z, thing, zone.Used.Of(thing), capacity))
			}
		}
		if zone.Interfaces >= 0 && cell.AddressesPerInterface > 0 {
			levels = append(levels, cell.level(z, Interfaces, zone.interfaces, zone.Interfaces))
		}
	}
	return levels
}

// level of a thing in the zone of that index.
func (c *Cell) level(z int, thing Thing, used, capacity int64) Level {
	used = max(0, used)
	allowed := 100 - c.ReservePercent
	level := Level{
		Zone: c.Zones[z].Name, Thing: thing, Used: used, Capacity: capacity,
		Limit: percentOf(capacity, allowed), Percent: share100(used, capacity), LimitPercent: float64(allowed),
		AfterLoss: used,
	}
	level.AfterLossLimit, level.AfterLossLimitPercent = level.Limit, level.LimitPercent
	if len(c.Zones) > 1 && (thing == CPU || thing == Memory) {
		level.AfterLossLimit, level.AfterLossLimitPercent = percentOf(capacity, 100-reserveAfterLossPercent), 100-reserveAfterLossPercent
	}
	if lost, takeover := c.worstLoss(z); thing == CPU && takeover > 0 {
		level.WorstLoss, level.AfterLoss = c.Zones[lost].Name, used+takeover
	}
	level.AfterLossPercent = share100(level.AfterLoss, capacity)
	return level
}

// Fullest is what binds first: the level nearest to its limit, or most over it, before or after a loss; the first of
// equal ones. It is false when there is none.
func Fullest(levels []Level) (Level, bool) {
	if len(levels) == 0 {
		return Level{}, false
	}
	fullest := levels[0]
	for _, level := range levels[1:] {
		if level.Fill() > fullest.Fill() {
			fullest = level
		}
	}
	return fullest, true
}

// share100 is the share of a capacity in percent.
func share100(used, capacity int64) float64 {
	switch {
	case used <= 0:
		return 0
	case capacity <= 0:
		return 100
	}
	return 100 * float64(used) / float64(capacity)
}

// fill is the share of a limit in percent.
func fill(used, limit int64) float64 {
	switch {
	case limit > 0:
		return share100(used, limit)
	case used > 0:
		return math.Inf(1)
	}
	return 100
}
