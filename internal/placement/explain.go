package placement

import (
	"fmt"
	"strings"
)

// Explain says what keeps the guest away: the first thing whose rule alone does, besides CPU and memory, which
// always count.
func (roomFilter) Explain(r *Request, c *Cell) (reason, message string) {
	if len(r.Demand) == 0 || len(r.Demand) > mostZones {
		return ReasonTooFewZones, fmt.Sprintf("a guest lies in 1 to %d zones, not in %d", mostZones, len(r.Demand))
	}
	fits := func(which checks) bool {
		_, ok := findSpot(r, c, which)
		return ok
	}
	if !fits(0) {
		return ReasonReserve, "no zones could take the guest and " + c.reserveText() + ": " + c.usageText()
	}
	for _, alone := range []struct {
		check   checks
		reason  string
		message func() string
	}{
		{checkNear, ReasonTooFarApart, func() string { return c.farText() }},
		{checkPods, ReasonPods, func() string { return c.thingText(r, Pods) }},
		{checkAddresses, ReasonAddresses, func() string { return c.thingText(r, Addresses) }},
		{checkVolumes, ReasonVolumes, func() string { return c.thingText(r, Volumes) }},
		{checkInterfaces, ReasonInterfaces, func() string { return c.interfacesText(r.VPC) }},
	} {
		if !fits(alone.check) {
			return alone.reason, alone.message()
		}
	}
	return ReasonReserve, "each of CPU, memory, pods, addresses, volumes, interfaces and distance has room somewhere, but no zones have it of all; " + c.usageText()
}

// reserveText says what is kept.
func (c *Cell) reserveText() string {
	return fmt.Sprintf("keep %d %% free, and %d %% after the loss of any other zone", c.ReservePercent, reserveAfterLossPercent)
}

// usageText says how full the usable zones are.
func (c *Cell) usageText() string {
	var parts []string
	for i := range c.Zones {
		zone := &c.Zones[i]
		if zone.Held {
			continue
		}
		afterLoss := ""
		if lost, takeover := c.worstLoss(i); takeover > 0 {
			afterLoss = fmt.Sprintf(" (%d %% after the loss of zone %s)", percent(zone.Used.MilliCPU+takeover, zone.Capacity.MilliCPU), c.Zones[lost].Name)
		}
		parts = append(parts, fmt.Sprintf("zone %s has %d %% of CPU%s and %d %% of memory in use", zone.Name,
			percent(zone.Used.MilliCPU, zone.Capacity.MilliCPU), afterLoss, percent(zone.Used.Memory, zone.Capacity.Memory)))
	}
	return strings.Join(parts, ", ")
}

// percent of a capacity that is in use; over 100 when it has shrunk below what is booked.
func percent(used, capacity int64) int64 {
	if capacity <= 0 {
		if used <= 0 {
			return 0
		}
		return 100
	}
	return int64(float64(used) / float64(capacity) * 100)
}

// worstLoss is the other zone of the cell whose loss asks most of that one, and how much CPU
// (thousandths of a core) that is. Of equal zones the first by name is it.
func (c *Cell) worstLoss(zone int) (lost int, takeover int64) {
	for other, more := range c.Zones[zone].Takeover {
		if other != zone && more > takeover {
			lost, takeover = other, more
		}
	}
	return lost, takeover
}

func (c *Cell) farText() string {
	var parts []string
	for i := range c.Zones {
		for j := range i {
			if trip := c.Zones[i].RoundTrip[j]; trip > 0 {
				parts = append(parts, fmt.Sprintf("%s and %s %d.%d ms", c.Zones[j].Name, c.Zones[i].Name, trip/1000, trip%1000/100))
			}
		}
	}
	return fmt.Sprintf("a guest's zones may be %d.%d ms apart (spec.placement of the Region); measured between zones %s",
		c.Region.MaxRoundTrip/1000, c.Region.MaxRoundTrip%1000/100, strings.Join(parts, ", "))
}

// thingText says how much is left of a thing that is counted in numbers.
func (c *Cell) thingText(r *Request, thing Thing) string {
	var parts []string
	for i := range c.Zones {
		zone := &c.Zones[i]
		parts = append(parts, fmt.Sprintf("zone %s has %d of %d in use", zone.Name, zone.Used.Of(thing), zone.before.Of(thing)))
	}
	return fmt.Sprintf("no zones have %d %s left for it, with %d %% kept free: %s", r.Demand[0].Of(thing), thing, c.ReservePercent, strings.Join(parts, ", "))
}

func (c *Cell) interfacesText(vpc string) string {
	var parts []string
	for i := range c.Zones {
		zone := &c.Zones[i]
		parts = append(parts, fmt.Sprintf("zone %s has %d of %d in use", zone.Name, zone.interfaces, percentOf(zone.Interfaces, 100-c.ReservePercent)))
	}
	return fmt.Sprintf("no zones can attach one more interface to VPC %s, with %d %% kept free: %s", vpc, c.ReservePercent, strings.Join(parts, ", "))
}
