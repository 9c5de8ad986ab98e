package placement

import "cmp"

// Level is how full a zone of a cell is of one thing. Amounts are thousandths of a core of CPU, bytes of
// memory, and numbers of all else.
type Level struct {
	Zone string
	// Thing: CPU, memory, pods, addresses, volumes or interfaces.
	Thing string
	// Used now, of Capacity in all; Limit is what may be used before any loss.
	Used, Capacity, Limit int64
	// AfterLoss is what would be used after the loss of the other zone Lost, that whose loss asks most, and
	// LimitAfterLoss what may be then. Lost is empty, and both are Used and Limit, for what does not move:
	// pods, addresses, volumes, interfaces, and all of a cell of one zone.
	AfterLoss, LimitAfterLoss int64
	Lost                      string
	// Percent and PercentAfterLoss of Capacity; of no capacity 100 are used when anything is.
	Percent, PercentAfterLoss float64
	// Over its limit, now or after the loss.
	Over bool
	// Binds marks the level of the cell that is nearest to a limit of its own, or furthest over it.
	Binds bool
}

// full is the share of the limit that is used, of the nearer of both limits.
func (l *Level) full() float64 {
	return max(part(l.Used, l.Limit), part(l.AfterLoss, l.LimitAfterLoss))
}

// Levels of a cell by zone, and in the zone CPU, memory, pods, addresses, volumes, interfaces. What nothing
// counts is left out.
func Levels(cell *Cell) []Level {
	var levels []Level
	for z, zone := range cell.Zones {
		for _, thing := range things {
			if capacity := thing.of(&zone.Capacity); capacity != Unlimited {
				levels = append(levels, cell.level(z, thing.name, thing.of(&zone.Used), capacity))
			}
		}
		if zone.Interfaces != Unlimited {
			levels = append(levels, cell.level(z, thingInterfaces, zone.attached, zone.Interfaces))
		}
	}
	binds := -1
	for i := range levels {
		if binds < 0 || cmp.Compare(levels[i].full(), levels[binds].full()) > 0 {
			binds = i
		}
	}
	if binds >= 0 {
		levels[binds].Binds = true
	}
	return levels
}

func (c *Cell) level(z int, thing string, used, capacity int64) Level {
	level := Level{
		Zone: c.Zones[z].Name, Thing: thing, Used: used, Capacity: capacity,
		Limit: capacity * (100 - c.ReservePercent) / 100, AfterLoss: used,
	}
	level.LimitAfterLoss = level.Limit
	if moves := thing == thingCPU || thing == thingMemory; moves && len(c.Zones) > 1 {
		lost, takeover := worstLoss(c, z)
		level.Lost, level.LimitAfterLoss = c.Zones[lost].Name, capacity*(100-reserveAfterLossPercent)/100
		if thing == thingCPU {
			level.AfterLoss += takeover
		}
	}
	level.Percent, level.PercentAfterLoss = 100*part(used, capacity), 100*part(level.AfterLoss, capacity)
	level.Over = level.Used > level.Limit || level.AfterLoss > level.LimitAfterLoss
	return level
}

// Over lists the levels of a cell that are over a limit; none: the cell keeps its reserve.
func Over(cell *Cell) []Level {
	var over []Level
	for _, level := range Levels(cell) {
		if level.Over {
			over = append(over, level)
		}
	}
	return over
}
