package placement

import (
	"fmt"
	"strings"
)

func tooFewZones(c *Candidate) (reason, message string) {
	need, usable := len(c.Request.Demand), 0
	for _, zone := range c.Cell.Zones {
		if !zone.Held {
			usable++
		}
	}
	switch {
	case need == 0:
		return ReasonTooFewZones, "the guest asks for no zone at all; it needs 1 (Single) or 3 (Zonal)"
	case usable >= need:
		return "", ""
	}
	message = fmt.Sprintf("needs %d zones, the cell has %d with reported capacity", need, usable)
	var held []string
	for _, zone := range c.Cell.Zones {
		if zone.Held {
			held = append(held, zone.Name)
		}
	}
	if len(held) > 0 {
		message += "; a drill holds " + strings.Join(held, ", ")
	}
	return ReasonTooFewZones, message
}

func tooFarApart(c *Candidate) (reason, message string) {
	if c.Cell.longest <= c.region.roundTrips || c.search.run(c, nearZones) {
		return "", ""
	}
	var far []string
	for i, a := range c.Cell.Zones {
		for j, b := range c.Cell.Zones[:i] {
			if measured := c.Cell.roundTrips[i][j]; measured > c.region.roundTrips && !a.Held && !b.Held {
				far = append(far, fmt.Sprintf("%s and %s %d µs", b.Name, a.Name, measured))
			}
		}
	}
	return ReasonTooFarApart, fmt.Sprintf("no %d zones are at most %d µs apart (spec.placement.maxRoundTripMicroseconds of the Region): %s; look at the network between them, or take a Single guest",
		len(c.Request.Demand), c.region.roundTrips, strings.Join(far, ", "))
}

func noInterfaces(c *Candidate) (reason, message string) {
	if c.everyZoneOffersInterface() || c.search.run(c, withInterfaces) {
		return "", ""
	}
	var parts []string
	for _, zone := range c.Cell.Zones {
		if zone.Held || zone.offersInterface(c.Request.VPC, c.Cell) {
			continue
		}
		parts = append(parts, fmt.Sprintf("zone %s has %d of %d interfaces attached", zone.Name, zone.attached, zone.Interfaces))
	}
	return ReasonInterfaces, fmt.Sprintf("too few zones have an interface left for VPC %s and keep %d %% of them free: %s; add nodes, or raise spec.network of the Cell if the nodes can attach more",
		c.Request.VPC, c.Cell.ReservePercent, strings.Join(parts, ", "))
}

// everyZoneOffersInterface is what holds as a rule, and is found out fast.
func (c *Candidate) everyZoneOffersInterface() bool {
	for _, zone := range c.Cell.Zones {
		if !zone.offersInterface(c.Request.VPC, c.Cell) {
			return false
		}
	}
	return true
}

// reserveBroken also writes the candidate's zones.
func reserveBroken(c *Candidate) (reason, message string) {
	if c.search.run(c, withinTheReserve) {
		c.Zones = append(c.Zones[:0], c.search.found...)
		return "", ""
	}
	return ReasonReserve, string(c.reserveMessage())
}

// reserveMessage says of every zone what would break the reserve there. It is written without fmt: in a
// fleet that is nearly full most cells are rejected for this, for every guest.
func (c *Candidate) reserveMessage() []byte {
	text := c.search.text[:0]
	text = append(text, "no zones could take it and keep "...)
	text = appendLimits(text, c.Cell)
	most, taken := largest(c.Request.Demand)
	separator := ": "
	for z, zone := range c.Cell.Zones {
		text = append(text, separator...)
		separator = ", "
		switch {
		case zone.Held:
			text = append(append(text, "a drill holds zone "...), zone.Name...)
		case !zone.offersInterface(c.Request.VPC, c.Cell):
			text = append(append(text, "zone "...), zone.Name...)
			text = append(append(text, " has no interface left for VPC "...), c.Request.VPC...)
		default:
			text = append(append(text, "zone "...), zone.Name...)
			text = appendBinding(text, c.Cell, z, zone.Used.Add(most), taken)
		}
	}
	text = append(text, "; add nodes or a cell, or move guests away ('myriad plan rebalance')"...)
	c.search.text = text
	return text
}

// largest part of a demand, and the most that one zone takes over of another.
func largest(demand []Demand) (most Vector, taken int64) {
	for i := range demand {
		most = most.larger(demand[i].Vector)
		taken = max(taken, share(demand[i].APIServerMilliCPU, len(demand)))
	}
	return most, taken
}

func appendLimits(text []byte, cell *Cell) []byte {
	text = appendInt(text, cell.ReservePercent)
	text = append(text, " % free, and "...)
	text = appendInt(text, reserveAfterLossPercent)
	return append(text, " % after the loss of any other zone"...)
}

// appendBinding says what binds first in a zone that would use that much, and would take over besides more
// than now from a lost zone.
func appendBinding(text []byte, cell *Cell, z int, would Vector, besides int64) []byte {
	zone := cell.Zones[z]
	for i := range things {
		thing := &things[i]
		used, capacity := thing.of(&would), thing.of(&zone.Capacity)
		if !holds(used, capacity, 100-cell.ReservePercent) {
			return appendUse(text, thing.name, thing.of(&zone.Used), used, capacity)
		}
	}
	if len(cell.Zones) < 2 {
		return append(text, " has room"...)
	}
	lost, now := worstLoss(cell, z)
	after := would.MilliCPU + now + besides
	if !holds(after, zone.Capacity.MilliCPU, 100-reserveAfterLossPercent) {
		text = appendUse(text, thingCPU, zone.Used.MilliCPU+now, after, zone.Capacity.MilliCPU)
		return append(append(text, " after the loss of zone "...), cell.Zones[lost].Name...)
	}
	if !holds(would.Memory, zone.Capacity.Memory, 100-reserveAfterLossPercent) {
		text = appendUse(text, thingMemory, zone.Used.Memory, would.Memory, zone.Capacity.Memory)
		return append(text, " after the loss of any other"...)
	}
	return append(text, " has room"...)
}

// appendUse says that a thing would be used too much, in percent of the capacity and in numbers for what is
// counted.
func appendUse(text []byte, name string, now, would, capacity int64) []byte {
	text = append(text, " would use "...)
	if capacity <= 0 || name != thingCPU && name != thingMemory {
		text = append(append(appendInt(text, would), " of "...), count(capacity)...)
		return append(append(text, ' '), name...)
	}
	text = append(append(appendTenths(text, would, capacity), " % of "...), name...)
	return append(appendTenths(append(text, " ("...), now, capacity), " % now)"...)
}

// worstLoss is the other zone of the cell whose loss asks most of zone z, and how much CPU (thousandths of a
// core) that is. Of equal zones the first by name is it.
func worstLoss(cell *Cell, z int) (lost int, takeover int64) {
	lost = -1
	for other, more := range cell.Zones[z].takeover {
		if other != z && (lost < 0 || more > takeover) {
			lost, takeover = other, more
		}
	}
	return lost, takeover
}
