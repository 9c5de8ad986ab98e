package placement

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func anyCell(t *rapid.T, name string) *Cell {
	c := &Cell{
		Name: name, Region: "r",
		Ready:          rapid.IntRange(0, 9).Draw(t, "ready") > 0,
		Cordoned:       rapid.IntRange(0, 9).Draw(t, "cordoned") == 0,
		Versions:       []string{version},
		MaxGuests:      rapid.IntRange(0, 20).Draw(t, "maxGuests"),
		ReservePercent: rapid.Int64Range(0, 99).Draw(t, "reserve"),
		RuntimeProblem: rapid.SampledFrom([]string{"", "", "", "NoStorageClass: install one"}).Draw(t, "runtime"),
		Zones:          map[string]*Zone{}, Tenants: map[string]int{},
	}
	for _, zone := range []string{"a", "b", "c", "d"}[:rapid.IntRange(0, 4).Draw(t, "zones")] {
		c.Zones[zone] = &Zone{
			Takeover: map[string]int64{}, Held: rapid.IntRange(0, 9).Draw(t, "held") == 0,
			Capacity: Vector{MilliCPU: rapid.Int64Range(0, 8000).Draw(t, "cpu"), Memory: rapid.Int64Range(0, 8<<30).Draw(t, "memory")},
		}
	}
	return c
}

// anyDrill begins or ends drills now and then, also in zones that hold guests.
func anyDrill(t *rapid.T, cells []*Cell) {
	for _, c := range cells {
		for _, zone := range allZones(c) {
			if rapid.IntRange(0, 19).Draw(t, "drill") == 0 {
				c.Zones[zone].Held = !c.Zones[zone].Held
			}
		}
	}
}

func anyRequest(t *rapid.T) Request {
	r := request(func(r *Request) {
		r.Tenant = rapid.SampledFrom([]string{"team-a", "team-b"}).Draw(t, "tenant")
		r.Demand = nil
	})
	for range rapid.SampledFrom([]int{1, 3}).Draw(t, "zones") {
		cpu := rapid.Int64Range(1, 1500).Draw(t, "cpu")
		r.Demand = append(r.Demand, Demand{Vector: Vector{MilliCPU: cpu, Memory: rapid.Int64Range(1, 1<<30).Draw(t, "memory")}})
	}
	if len(r.Demand) > 1 {
		for i := range r.Demand {
			r.Demand[i].APIServerMilliCPU = rapid.Int64Range(0, r.Demand[i].MilliCPU).Draw(t, "api")
		}
	}
	return r
}

// placed remembers what was placed, so that usage can be counted again without the code under test.
type placed struct {
	zones  []string
	demand []Demand
}

func TestPlaceInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cells := make([]*Cell, 0, 3)
		for _, name := range []string{"w", "x", "y"} {
			cells = append(cells, anyCell(t, name))
		}
		guests := map[string][]placed{}
		for range rapid.IntRange(1, 30).Draw(t, "requests") {
			anyDrill(t, cells)
			r := anyRequest(t)
			decision := Place(r, cells)
			checkStable(t, r, cells, decision)
			checkRejections(t, r, cells, guests, decision)
			if decision.Cell == "" {
				continue
			}
			for _, c := range cells {
				if c.Name == decision.Cell {
					c.Take(r.Tenant, decision.Zones, r.Demand)
					guests[c.Name] = append(guests[c.Name], placed{zones: decision.Zones, demand: r.Demand})
					if !keepsReserve(c, guests[c.Name]) {
						t.Fatalf("cell %s is over its reserve after %v in %v", c.Name, r.Demand, decision.Zones)
					}
				}
			}
		}
	})
}

// checkStable: the same input gives the same decision, and the order of the cells does not matter.
func checkStable(t *rapid.T, r Request, cells []*Cell, want Decision) {
	shuffled := append([]*Cell(nil), cells...)
	rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	if diff := cmp.Diff(want, Place(r, shuffled)); diff != "" {
		t.Fatalf("the order of the cells changed the decision:\n%s", diff)
	}
}

// checkRejections: every cell is rejected, or could have been chosen; and every reason is true.
func checkRejections(t *rapid.T, r Request, cells []*Cell, guests map[string][]placed, decision Decision) {
	reasons := map[string]string{}
	for _, rejected := range decision.Rejected {
		reasons[rejected.Cell] = rejected.Reason
	}
	if decision.Cell == "" && len(reasons) != len(cells) {
		t.Fatalf("no cell was chosen, but only %d of %d were rejected", len(reasons), len(cells))
	}
	if _, ok := reasons[decision.Cell]; ok {
		t.Fatalf("cell %s was both chosen and rejected", decision.Cell)
	}
	for _, c := range cells {
		if decision.Cell == c.Name && c.RuntimeProblem != "" {
			t.Fatalf("cell %s was chosen although %s", c.Name, c.RuntimeProblem)
		}
		truth := map[string]bool{
			"":                    true,
			ReasonNotReady:        !c.Ready,
			ReasonRuntimeNotReady: c.RuntimeProblem != "",
			ReasonCordoned:        c.Cordoned,
			ReasonTooFewZones:     len(usableZones(c)) < len(r.Demand),
			ReasonFull:            c.MaxGuests > 0 && len(guests[c.Name]) >= c.MaxGuests,
			ReasonReserve:         !fitsSomewhere(c, guests[c.Name], r.Demand),
		}
		if reason := reasons[c.Name]; !truth[reason] {
			t.Fatalf("cell %s was rejected for %s, which is not true", c.Name, reason)
		}
	}
}

func fitsSomewhere(c *Cell, before []placed, demand []Demand) bool {
	for _, zones := range choices(usableZones(c), len(demand)) {
		if keepsReserveIn(c, append(slices.Clip(before), placed{zones: zones, demand: demand}), zones) {
			return true
		}
	}
	return false
}

func keepsReserve(c *Cell, guests []placed) bool {
	used := []string{}
	for _, guest := range guests {
		used = append(used, guest.zones...)
	}
	return keepsReserveIn(c, guests, used)
}

// keepsReserveIn counts the guests anew: the reserve holds before any loss, and 90 % after the
// loss of each other zone, whose API servers' load is shared by the guest's other zones. A zone that
// a drill holds is lost now and may be lost again: it is one of them.
func keepsReserveIn(c *Cell, guests []placed, zones []string) bool {
	for _, zone := range zones {
		capacity := c.Zones[zone].Capacity
		for _, lost := range append(allZones(c), "") {
			limit := int64(90)
			if lost == "" {
				limit = 100 - c.ReservePercent
			}
			cpu, memory := load(guests, zone, lost)
			if lost != zone && (cpu*100 > capacity.MilliCPU*limit || memory*100 > capacity.Memory*limit) {
				return false
			}
		}
	}
	return true
}

func allZones(c *Cell) []string { return slices.Sorted(maps.Keys(c.Zones)) }

func load(guests []placed, zone, lost string) (cpu, memory int64) {
	for _, guest := range guests {
		here, takeover := false, int64(0)
		for i, name := range guest.zones {
			if name == zone {
				here = true
				cpu += guest.demand[i].MilliCPU
				memory += guest.demand[i].Memory
			}
			if name == lost {
				takeover = (guest.demand[i].APIServerMilliCPU + 1) / 2
			}
		}
		if here {
			cpu += takeover
		}
	}
	return cpu, memory
}
