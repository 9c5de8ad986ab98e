package placement

import "slices"

// Independent counting: what follows shares no code with the placement that it checks. It counts guests anew
// from where they lie, tries every order of zones, and knows the rules from the words of docs/placement.md.

// placed remembers what was placed.
type placed struct {
	tenant, vpc string
	zones       []string
	demand      []Demand
}

func (p placed) guest() Guest {
	return Guest{Tenant: p.tenant, VPC: p.vpc, Zones: p.zones, Demand: p.demand}
}

// orders lists every way to take n of the names in order.
func orders(names []string, n int) [][]string {
	if n == 0 {
		return [][]string{nil}
	}
	var all [][]string
	for i, name := range names {
		rest := slices.Concat(names[:i], names[i+1:])
		for _, tail := range orders(rest, n-1) {
			all = append(all, append([]string{name}, tail...))
		}
	}
	return all
}

func zoneNames(c *Cell, alsoHeld bool) []string {
	var names []string
	for _, zone := range c.Zones {
		if alsoHeld || !zone.Held {
			names = append(names, zone.Name)
		}
	}
	return names
}

// far tells whether two of the zones are measured to be further apart than allowed.
func far(c *Cell, zones []string) bool {
	for i, a := range c.Zones {
		for j, b := range c.Zones {
			if slices.Contains(zones, a.Name) && slices.Contains(zones, b.Name) && c.roundTrips != nil && c.roundTrips[i][j] > c.Region.MaxRoundTrip {
				return true
			}
		}
	}
	return false
}

// interfacesKept counts the interfaces of those zones anew.
func interfacesKept(c *Cell, guests []placed, zones []string) bool {
	for _, name := range zones {
		zone := c.Zone(name)
		if zone.Interfaces == Unlimited {
			continue
		}
		byVPC := map[string]int64{}
		for _, guest := range guests {
			if guest.vpc != "" && slices.Contains(guest.zones, name) {
				byVPC[guest.vpc]++
			}
		}
		attached := int64(0)
		for _, n := range byVPC {
			for ; n > 0; n -= max(c.AddressesPerInterface, 1) {
				attached++
			}
		}
		if attached*100 > zone.Interfaces*(100-c.ReservePercent) {
			return false
		}
	}
	return true
}

// reserveKept counts the guests anew: the reserve holds before any loss, and 90 % of CPU and memory after the
// loss of each other zone, whose API servers' load is shared by the guest's other zones. A zone that a drill
// holds is lost now and may be lost again: it is one of them.
func reserveKept(c *Cell, guests []placed, zones []string) bool {
	for _, name := range zones {
		capacity := c.Zone(name).Capacity
		now := loadOf(guests, name, "")
		for _, pair := range [][2]int64{
			{now.MilliCPU, capacity.MilliCPU},
			{now.Memory, capacity.Memory},
			{now.Pods, capacity.Pods},
			{now.Addresses, capacity.Addresses},
			{now.Volumes, capacity.Volumes},
		} {
			if pair[1] >= 0 && pair[0]*100 > pair[1]*(100-c.ReservePercent) {
				return false
			}
		}
		for _, lost := range zoneNames(c, true) {
			after := loadOf(guests, name, lost)
			if lost != name && (after.MilliCPU*10 > capacity.MilliCPU*9 || after.Memory*10 > capacity.Memory*9) {
				return false
			}
		}
	}
	return true
}

func loadOf(guests []placed, zone, lost string) Vector {
	var sum Vector
	for _, guest := range guests {
		here := slices.Index(guest.zones, zone)
		if here < 0 {
			continue
		}
		demand := guest.demand[here]
		sum.MilliCPU += demand.MilliCPU
		sum.Memory += demand.Memory
		sum.Pods += demand.Pods
		sum.Addresses += demand.Addresses
		sum.Volumes += demand.Volumes
		if there := slices.Index(guest.zones, lost); there >= 0 && len(guest.zones) > 1 {
			sum.MilliCPU += (guest.demand[there].APIServerMilliCPU + int64(len(guest.zones)) - 2) / int64(len(guest.zones)-1)
		}
	}
	return sum
}

// options are all ways to put a guest into a cell, by how much is asked for: zones that are near each other, that
// have interfaces besides, that keep the reserve besides.
func options(c *Cell, before []placed, r Request) (near, attached, kept [][]string) {
	for _, zones := range orders(zoneNames(c, false), len(r.Demand)) {
		if far(c, zones) {
			continue
		}
		near = append(near, zones)
		after := append(slices.Clip(before), placed{vpc: r.VPC, zones: zones, demand: r.Demand})
		if r.VPC != "" && !interfacesKeptBy(c, before, after, zones) {
			continue
		}
		attached = append(attached, zones)
		if reserveKept(c, after, zones) {
			kept = append(kept, zones)
		}
	}
	return near, attached, kept
}

// interfacesKeptBy tells whether a guest finds an interface in each zone: one that its VPC has already, or one
// more within the limit.
func interfacesKeptBy(c *Cell, before, after []placed, zones []string) bool {
	for _, name := range zones {
		if !interfacesKept(c, after, []string{name}) && attachedBy(c, before, name) != attachedBy(c, after, name) {
			return false
		}
	}
	return true
}

func attachedBy(c *Cell, guests []placed, name string) int64 {
	byVPC, sum := map[string]int64{}, int64(0)
	for _, guest := range guests {
		if guest.vpc == "" || !slices.Contains(guest.zones, name) {
			continue
		}
		if byVPC[guest.vpc]%max(c.AddressesPerInterface, 1) == 0 {
			sum++
		}
		byVPC[guest.vpc]++
	}
	return sum
}

// leastFree share of the zones with all guests in them, of whatever is scarcest.
func leastFree(c *Cell, guests []placed, zones []string) float64 {
	least := 1.0
	for _, name := range zones {
		capacity, now := c.Zone(name).Capacity, loadOf(guests, name, "")
		for _, pair := range [][2]int64{
			{now.MilliCPU, capacity.MilliCPU},
			{now.Memory, capacity.Memory},
			{now.Pods, capacity.Pods},
			{now.Addresses, capacity.Addresses},
			{now.Volumes, capacity.Volumes},
		} {
			if pair[1] > 0 {
				least = min(least, 1-float64(pair[0])/float64(pair[1]))
			}
		}
	}
	return least
}
