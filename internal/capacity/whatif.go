package capacity

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/myriad-fleet/myriad/internal/placement"
	"github.com/myriad-fleet/myriad/internal/suggest"
)

// Resettlement is where guests would go, and which find no place.
type Resettlement struct {
	// Guests that look for a place.
	Guests int `json:"guests"`
	// Placed guests by the cell that takes them, sorted by cell.
	Placed []Taken `json:"placed"`
	// Refused guests, in the order in which they asked.
	Refused []Refusal `json:"refused"`
}

// Taken is how many guests a cell takes.
type Taken struct {
	// Cell by name.
	Cell string `json:"cell"`
	// Guests that it takes.
	Guests int `json:"guests"`
	// FillPercent of the cell afterwards; 100 is full.
	FillPercent float64 `json:"fillPercent"`
}

// LoseZone says what the death of a zone of a cell does.
func LoseZone(fleet Fleet, cell, zone string) (ZoneLoss, error) {
	state, err := fleet.mustHave(cell)
	if err != nil {
		return ZoneLoss{}, err
	}
	if names := zoneNames(state); !slices.Contains(names, zone) {
		return ZoneLoss{}, fmt.Errorf("%s", suggest.NotFound("zone of cell "+cell, zone, names))
	}
	return lossOfZone(state, fleet.in(cell), zone), nil
}

// LoseCell says where the guests of a cell would go if it burned down. The largest look for a place first, because
// they find one the least easily.
func LoseCell(fleet Fleet, cell string) (Resettlement, error) {
	lost, err := fleet.mustHave(cell)
	if err != nil {
		return Resettlement{}, err
	}
	left := fleet.Clone()
	homeless := left.in(cell)
	for _, guest := range homeless { // the region's quotas are theirs again
		left.cell(cell).Release(guest.placed())
	}
	left.Cells = slices.DeleteFunc(left.Cells, func(c *placement.Cell) bool { return c.Name == lost.Name })
	return resettle(homeless, left.Cells), nil
}

// DoubleTenant says where the guests of a tenant would go if it made each of them a second time.
func DoubleTenant(fleet Fleet, tenant string) (Resettlement, error) {
	var own []Guest
	var tenants []string
	for _, guest := range fleet.Guests {
		tenants = append(tenants, guest.Tenant)
		if guest.Tenant == tenant {
			own = append(own, guest)
		}
	}
	if len(own) == 0 {
		slices.Sort(tenants)
		return Resettlement{}, fmt.Errorf("%s", suggest.NotFound("tenant with guests:", tenant, slices.Compact(tenants)))
	}
	return resettle(own, cloneCells(fleet.Cells)), nil
}

// resettle guests in cells, which take them.
func resettle(guests []Guest, cells []*placement.Cell) Resettlement {
	result := Resettlement{Guests: len(guests), Placed: []Taken{}, Refused: []Refusal{}}
	taken := map[string]int{}
	for _, guest := range largestFirst(guests) {
		next, decision := place(guest, cells)
		if decision.Cell == "" {
			result.Refused = append(result.Refused, *refusalOf(guest, decision))
			continue
		}
		taken[next.Cell]++
	}
	for _, name := range slices.Sorted(maps.Keys(taken)) {
		fullest, _ := Fullest(levelsOf(find(cells, name)))
		result.Placed = append(result.Placed, Taken{Cell: name, Guests: taken[name], FillPercent: fullest.Fill()})
	}
	return result
}

// largestFirst sorts guests by what they take in their first zone; of equal ones the first by id.
func largestFirst(guests []Guest) []Guest {
	size := func(guest Guest) placement.Vector {
		if len(guest.Demand) == 0 {
			return placement.Vector{}
		}
		return guest.Demand[0].Vector
	}
	return slices.SortedFunc(slices.Values(guests), func(a, b Guest) int {
		return cmp.Or(cmp.Compare(size(b).MilliCPU, size(a).MilliCPU), cmp.Compare(size(b).Memory, size(a).Memory), cmp.Compare(a.ID, b.ID))
	})
}

// Surge of a cell while guests are upgraded: each for a moment has a second API server beside the one that it
// replaces.
type Surge struct {
	// Cell by name.
	Cell string `json:"cell"`
	// Guests that are upgraded at once, of Of.
	Guests int `json:"guests"`
	Of     int `json:"of"`
	// Fullest zone and thing meanwhile; nil when the cell reports no zone.
	Fullest *Level `json:"fullest,omitempty"`
	// Over: the fullest is above what may be used after a loss, so that a zone that dies meanwhile is not carried.
	Over bool `json:"over"`
	// MostPercent of the guests that can be upgraded at once without that.
	MostPercent int `json:"mostPercent"`
}

// SurgeFactor is how many API servers a guest has in each zone while it is upgraded: the one that runs and the one
// that replaces it.
const SurgeFactor = 2

// UpgradeSurge says what upgrading so many percent (1 to 100) of each cell's guests at once does: those with the
// largest API servers, which is the worst that can be chosen. The reserve is there for such moments; what must
// hold is the limit after a loss.
func UpgradeSurge(fleet Fleet, percentOfGuests int) ([]Surge, error) {
	if percentOfGuests < 1 || percentOfGuests > 100 {
		return nil, fmt.Errorf("%d %% of the guests cannot be upgraded at once: write 1 to 100", percentOfGuests)
	}
	var surges []Surge
	for _, cell := range fleet.Cells {
		guests := slices.SortedFunc(slices.Values(fleet.in(cell.Name)), func(a, b Guest) int {
			return cmp.Or(cmp.Compare(b.APIServer.MilliCPU, a.APIServer.MilliCPU), cmp.Compare(b.APIServer.Memory, a.APIServer.Memory), cmp.Compare(a.ID, b.ID))
		})
		surge := Surge{Cell: cell.Name, Of: len(guests), Guests: share(len(guests), percentOfGuests)}
		if fullest, found := surging(cell, guests[:surge.Guests]); found {
			surge.Fullest, surge.Over = &fullest, overAfterLoss(fullest)
		}
		for p := 1; p <= 100; p++ {
			if fullest, _ := surging(cell, guests[:share(len(guests), p)]); overAfterLoss(fullest) {
				break
			}
			surge.MostPercent = p
		}
		surges = append(surges, surge)
	}
	return surges, nil
}

func share(of, percent int) int { return int(math.Ceil(float64(of) * float64(percent) / 100)) }

// surging is what of the cell is fullest, against the limit after a loss, while guests have a second API server.
func surging(cell *placement.Cell, guests []Guest) (Level, bool) {
	clone := cloneCells([]*placement.Cell{cell})[0]
	for _, guest := range guests {
		more := guest
		more.Demand = slices.Clone(guest.Demand)
		for i := range more.Demand {
			extra := guest.APIServer
			extra.MilliCPU *= SurgeFactor - 1
			extra.Memory *= SurgeFactor - 1
			more.Demand[i].Vector = more.Demand[i].Add(extra)
			more.Demand[i].APIServerMilliCPU *= SurgeFactor
		}
		clone.Release(guest.placed())
		clone.Take(more.placed())
	}
	levels := levelsOf(clone)
	if len(levels) == 0 {
		return Level{}, false
	}
	return slices.MaxFunc(levels, func(a, b Level) int { return cmp.Compare(a.after(), b.after()) }), true
}

func overAfterLoss(level Level) bool { return level.AfterLoss > level.AfterLossLimit }

// mustHave a cell of that name.
func (f Fleet) mustHave(name string) (*placement.Cell, error) {
	if cell := f.cell(name); cell != nil {
		return cell, nil
	}
	var names []string
	for _, cell := range f.Cells {
		names = append(names, cell.Name)
	}
	return nil, fmt.Errorf("%s", suggest.NotFound("cell", name, names))
}
