package placement

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/residency"
)

// world is a fleet with the guests that were placed in it, so that everything can be counted again without the
// code under test.
type world struct {
	cells  []*Cell
	guests []*resident
}

// resident is a guest that was placed.
type resident struct {
	Guest

	cell string
}

// anyWorld has two regions of one or two cells each.
func anyWorld(t *rapid.T) *world {
	w := &world{}
	for _, name := range []string{"r", "s"} {
		region := NewRegion(&v1alpha1.Region{})
		region.Place = residency.Place{Region: name, Area: "area-" + name}
		if rapid.IntRange(0, 3).Draw(t, "quota") == 0 {
			region.Quotas["team-a"] = v1alpha1.TenantQuota{Guests: new(rapid.Int32Range(0, 5).Draw(t, "guests"))}
		}
		for i := range rapid.IntRange(1, 2).Draw(t, "cells") {
			w.cells = append(w.cells, anyCell(t, region, fmt.Sprintf("%s-%d", name, i)))
		}
	}
	return w
}

func anyCell(t *rapid.T, region *Region, name string) *Cell {
	c := &Cell{
		Name: name, Region: region,
		Ready: rapid.IntRange(0, 19).Draw(t, "ready") > 0, Cordoned: rapid.IntRange(0, 19).Draw(t, "cordoned") == 0,
		Versions: []string{version}, MaxGuests: rapid.IntRange(0, 20).Draw(t, "maxGuests"), MaxPerTenant: rapid.IntRange(0, 9).Draw(t, "perTenant"),
		ReservePercent:        rapid.SampledFrom([]int64{40, 40, 0, 5, 60, 99, 100}).Draw(t, "reserve"),
		RuntimeProblem:        rapid.SampledFrom([]string{"", "", "", "NoStorageClass: install one"}).Draw(t, "runtime"),
		AddressesPerInterface: rapid.Int64Range(0, 3).Draw(t, "addresses"), Tenants: map[string]int{},
	}
	few := func(label string) int64 {
		return rapid.SampledFrom([]int64{Unlimited, Unlimited, Unlimited, Unlimited, 30, 5, 0}).Draw(t, label)
	}
	for _, zone := range []string{"a", "b", "c", "d"}[:rapid.SampledFrom([]int{3, 3, 4, 4, 2, 1, 0}).Draw(t, "zones")] {
		c.Zones = append(c.Zones, Zone{
			Name: zone, Held: rapid.IntRange(0, 19).Draw(t, "held") == 0, Interfaces: few("interfaces"),
			Capacity: Vector{
				MilliCPU: rapid.Int64Range(0, 8000).Draw(t, "cpu"), Memory: rapid.Int64Range(0, 8<<30).Draw(t, "memory"),
				Pods: few("pods"), Addresses: few("addresses"), Volumes: few("volumes"),
			},
		})
	}
	c.limit()
	for i := range c.Zones {
		for j := range i {
			trip := rapid.SampledFrom([]int64{0, 100, 100, 3000, 3000, 3001}).Draw(t, "trip")
			c.Zones[i].RoundTrip[j], c.Zones[j].RoundTrip[i] = trip, trip
		}
	}
	return c
}

func anyRequest(t *rapid.T) Request {
	r := request(func(r *Request) {
		r.Tenant = rapid.SampledFrom([]string{"team-a", "team-b"}).Draw(t, "tenant")
		r.Region = rapid.SampledFrom([]string{"r", "s", ""}).Draw(t, "region")
		r.VPC = rapid.SampledFrom([]string{"", "prod", "test"}).Draw(t, "vpc")
		r.Demand = nil
	})
	if r.Region == "" {
		r.Residency = &v1alpha1.Residency{Areas: rapid.SampledFrom([][]string{{"area-r"}, {"area-s"}, {"area-r", "area-s"}}).Draw(t, "areas")}
	}
	same := rapid.Bool().Draw(t, "same")
	for i := range rapid.SampledFrom([]int{1, 3}).Draw(t, "zones") {
		if i > 0 && same {
			r.Demand = append(r.Demand, r.Demand[0])
			continue
		}
		r.Demand = append(r.Demand, Demand{Vector: Vector{
			MilliCPU: rapid.Int64Range(1, 1500).Draw(t, "cpu"), Memory: rapid.Int64Range(1, 1<<30).Draw(t, "memory"), Pods: 4, Addresses: 4, Volumes: 1,
		}})
	}
	if len(r.Demand) > 1 {
		for i := range r.Demand {
			r.Demand[i].APIServerMilliCPU = r.Demand[i].MilliCPU / 2
		}
	}
	return r
}

// TestPlaceInvariants: whatever comes, grows, goes and fails: no placement breaks the reserve, every reason is true,
// a cell is rejected for room only if brute force finds none, and the same question has the same answer.
func TestPlaceInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := anyWorld(t)
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0:
				w.drill(t)
			case 1:
				w.leave(t)
			case 2:
				w.grow(t)
			default:
				w.arrive(t)
			}
		}
		w.recount(t)
	})
}

// drill begins or ends one, also in zones that hold guests.
func (w *world) drill(t *rapid.T) {
	c := rapid.SampledFrom(w.cells).Draw(t, "drilled")
	if len(c.Zones) > 0 {
		zone := &c.Zones[rapid.IntRange(0, len(c.Zones)-1).Draw(t, "zone")]
		zone.Held = !zone.Held
	}
}

func (w *world) leave(t *rapid.T) {
	if len(w.guests) == 0 {
		return
	}
	i := rapid.IntRange(0, len(w.guests)-1).Draw(t, "leaves")
	w.cellOf(w.guests[i]).Release(w.guests[i].Guest)
	w.guests = slices.Delete(w.guests, i, i+1)
}

func (w *world) cellOf(g *resident) *Cell {
	return w.cells[slices.IndexFunc(w.cells, func(c *Cell) bool { return c.Name == g.cell })]
}

func (w *world) grow(t *rapid.T) {
	if len(w.guests) == 0 {
		return
	}
	g := rapid.SampledFrom(w.guests).Draw(t, "grows")
	to := slices.Clone(g.Demand)
	for i := range to {
		factor := rapid.Int64Range(0, 300).Draw(t, "percent")
		to[i].MilliCPU, to[i].APIServerMilliCPU = to[i].MilliCPU*factor/100, to[i].APIServerMilliCPU*factor/100
		to[i].Memory = to[i].Memory * rapid.Int64Range(0, 300).Draw(t, "memory") / 100
	}
	cell, grows := w.cellOf(g), More(g.Demand, to)
	problem := Grow(cell, g.Guest, to)
	if problem != "" {
		if !grows {
			t.Fatalf("a guest that takes less was refused: %s", problem)
		}
		return
	}
	g.Demand = to
	if why := w.over(cell, g.Zones, false); grows && why != "" {
		t.Fatalf("cell %s is over its reserve after growth: %s", cell.Name, why)
	}
}

func (w *world) arrive(t *rapid.T) {
	r := anyRequest(t)
	decision := Place(r, w.cells)
	w.checkStable(t, r, decision)
	w.checkReasons(t, r, decision)
	if decision.Cell == "" {
		return
	}
	g := &resident{Guest: Guest{Tenant: r.Tenant, VPC: r.VPC, Zones: decision.Zones, Demand: r.Demand}, cell: decision.Cell}
	cell := w.cellOf(g)
	cell.Take(g.Guest)
	w.guests = append(w.guests, g)
	if why := w.over(cell, g.Zones, true); why != "" {
		t.Fatalf("cell %s is over its reserve after %v in %v: %s", cell.Name, r.Demand, decision.Zones, why)
	}
}

// checkStable: the same input gives the same decision, and the order of the cells does not matter.
func (w *world) checkStable(t *rapid.T, r Request, want Decision) {
	shuffled := slices.Clone(w.cells)
	rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	if diff := cmp.Diff(want, Place(r, shuffled)); diff != "" {
		t.Fatalf("the order of the cells changed the decision:\n%s", diff)
	}
	cell, zones := Choose(r, shuffled)
	if want.Cell == "" && cell != nil || want.Cell != "" && (cell == nil || cell.Name != want.Cell || !slices.Equal(zones, want.Zones)) {
		t.Fatalf("Choose and Place differ: %v in %v, %+v", cell, zones, want)
	}
}

// checkReasons: every cell is rejected, or could have been chosen; and every reason is true.
func (w *world) checkReasons(t *rapid.T, r Request, decision Decision) {
	reasons := map[string]string{}
	for _, rejected := range decision.Rejected {
		if reasons[rejected.Cell] = rejected.Reason; rejected.Message == "" {
			t.Fatalf("no word on why cell %s was rejected", rejected.Cell)
		}
	}
	if decision.Cell == "" && len(reasons) != len(w.cells) {
		t.Fatalf("no cell was chosen, but only %d of %d were rejected", len(reasons), len(w.cells))
	}
	for _, c := range w.cells {
		reason, rejected := reasons[c.Name]
		if fits := w.bruteForce(c, r); !rejected && !fits || rejected && !w.true(reason, r, c, fits) {
			t.Fatalf("cell %s: rejected %q, which is not true; brute force finds zones: %t", c.Name, reason, fits)
		}
	}
}

// true tells whether a cell may be rejected for that reason.
func (w *world) true(reason string, r Request, c *Cell, fits bool) bool {
	usable, tenants, inCell, inRegion := 0, 0, 0, 0
	for i := range c.Zones {
		if !c.Zones[i].Held {
			usable++
		}
	}
	for _, g := range w.guests {
		if g.cell == c.Name {
			inCell++
		}
		if g.Tenant == r.Tenant && g.cell == c.Name {
			tenants++
		}
		if g.Tenant == r.Tenant && w.cellOf(g).Region == c.Region {
			inRegion++
		}
	}
	switch reason {
	case ReasonOtherRegion:
		return r.Region != "" && r.Region != c.Region.Region
	case ReasonResidencyNotMet:
		return r.Residency != nil && !slices.Contains(r.Residency.Areas, c.Region.Area)
	case ReasonNotReady:
		return !c.Ready
	case ReasonRuntimeNotReady:
		return c.RuntimeProblem != ""
	case ReasonCordoned:
		return c.Cordoned
	case ReasonTooFewZones:
		return usable < len(r.Demand)
	case ReasonFull:
		return c.MaxGuests > 0 && inCell >= c.MaxGuests
	case ReasonTenantFull:
		return c.MaxPerTenant > 0 && tenants >= c.MaxPerTenant
	case ReasonQuotaExceeded:
		quota, ok := c.Region.Quotas[r.Tenant]
		return ok && inRegion >= int(*quota.Guests)
	case ReasonReserve, ReasonPods, ReasonAddresses, ReasonVolumes, ReasonInterfaces, ReasonTooFarApart:
		return !fits
	}
	return false
}

// bruteForce tries every way to spread a demand over distinct zones.
func (w *world) bruteForce(c *Cell, r Request) bool {
	var try func(chosen []string) bool
	try = func(chosen []string) bool {
		if len(chosen) == len(r.Demand) {
			g := &resident{Guest: Guest{Tenant: r.Tenant, VPC: r.VPC, Zones: chosen, Demand: r.Demand}, cell: c.Name}
			w.guests = append(w.guests, g)
			defer func() { w.guests = w.guests[:len(w.guests)-1] }()
			return w.over(c, chosen, true) == "" && near(c, chosen)
		}
		for i := range c.Zones {
			if name := c.Zones[i].Name; !c.Zones[i].Held && !slices.Contains(chosen, name) && try(append(slices.Clone(chosen), name)) {
				return true
			}
		}
		return false
	}
	return len(r.Demand) > 0 && try(nil)
}

func near(c *Cell, zones []string) bool {
	for _, a := range zones {
		for _, b := range zones {
			if c.Zones[c.index(a)].RoundTrip[c.index(b)] > 3000 {
				return false
			}
		}
	}
	return true
}

// over counts the guests of a cell anew, and says which of the zones is over the reserve: before any loss, or 90 %
// after that of each other zone, whose API servers' load is shared by the guests' other zones. A zone that a drill
// holds is lost now and may be lost again: it is one of them. Things in number and interfaces grow with placements only.
func (w *world) over(c *Cell, zones []string, numbers bool) string {
	kept := 100 - c.ReservePercent
	for _, name := range zones {
		zone := &c.Zones[c.index(name)]
		used, interfaces := w.used(c, name)
		for _, thing := range things {
			if capacity := zone.Capacity.Of(thing); capacity >= 0 && (numbers || thing == CPU || thing == Memory) && used.Of(thing)*100 > capacity*kept {
				return fmt.Sprintf("zone %s: %d of %d %s", name, used.Of(thing), capacity, thing)
			}
		}
		if numbers && zone.Interfaces >= 0 && c.AddressesPerInterface > 0 && interfaces*100 > zone.Interfaces*kept && w.inVPCs(c, name) {
			return fmt.Sprintf("zone %s: %d of %d interfaces", name, interfaces, zone.Interfaces)
		}
		for i := range c.Zones {
			lost := c.Zones[i].Name
			if lost != name && ((used.MilliCPU+w.takeover(c, name, lost))*100 > zone.Capacity.MilliCPU*90 || used.Memory*100 > zone.Capacity.Memory*90) {
				return fmt.Sprintf("zone %s after the loss of zone %s", name, lost)
			}
		}
	}
	return ""
}

// inVPCs tells whether the guest that came last reaches into a VPC: others need no interface.
func (w *world) inVPCs(c *Cell, zone string) bool {
	last := w.guests[len(w.guests)-1]
	return last.VPC != "" && last.cell == c.Name && slices.Contains(last.Zones, zone)
}

func (w *world) used(c *Cell, zone string) (used Vector, interfaces int64) {
	vpcs := map[string]int64{}
	for _, g := range w.guests {
		for i, name := range g.Zones {
			if g.cell == c.Name && name == zone {
				used = used.Add(g.Demand[i].Vector)
				vpcs[g.VPC]++
			}
		}
	}
	for vpc, guests := range vpcs {
		for ; vpc != "" && c.AddressesPerInterface > 0 && guests > 0; guests -= c.AddressesPerInterface {
			interfaces++
		}
	}
	return used, interfaces
}

func (w *world) takeover(c *Cell, zone, lost string) (cpu int64) {
	for _, g := range w.guests {
		if i := slices.Index(g.Zones, lost); g.cell == c.Name && i >= 0 && slices.Contains(g.Zones, zone) {
			cpu += (g.Demand[i].APIServerMilliCPU + 1) / 2
		}
	}
	return cpu
}

// recount: the books say what counting anew says.
func (w *world) recount(t *rapid.T) {
	for _, c := range w.cells {
		for i := range c.Zones {
			used, interfaces := w.used(c, c.Zones[i].Name)
			if used != c.Zones[i].Used || interfaces != c.Zones[i].interfaces {
				t.Fatalf("cell %s zone %s: %+v and %d interfaces are booked, %+v and %d in use", c.Name, c.Zones[i].Name, c.Zones[i].Used, c.Zones[i].interfaces, used, interfaces)
			}
			for j := range c.Zones {
				if cpu := w.takeover(c, c.Zones[i].Name, c.Zones[j].Name); i != j && cpu != c.Zones[i].Takeover[j] {
					t.Fatalf("cell %s: zone %s takes %d over from %s, booked are %d", c.Name, c.Zones[i].Name, cpu, c.Zones[j].Name, c.Zones[i].Takeover[j])
				}
			}
		}
	}
}
