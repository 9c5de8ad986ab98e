package capacity

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/myriad-fleet/myriad/internal/placement"
)

// Capacity of a fleet: how full it is, how much is left, and until when.
type Capacity struct {
	// At is when the fleet was looked at.
	At time.Time `json:"at"`
	// Seed, Runs and Days of the forecast, and the Drift of gears that it assumes.
	Seed  uint64 `json:"seed"`
	Runs  int    `json:"runs"`
	Days  int    `json:"days"`
	Drift Drift  `json:"drift"`
	// Regions by name.
	Regions []RegionCapacity `json:"regions"`
}

// RegionCapacity is the capacity of a region.
type RegionCapacity struct {
	// Region by name.
	Region string `json:"region"`
	// Guests that live there.
	Guests int `json:"guests"`
	// FillPercent is the share of what may be used that is used over all cells; 100 is full.
	FillPercent float64 `json:"fillPercent"`
	// Mix of its guests by gear and availability, the most frequent first.
	Mix []MixShare `json:"mix"`
	// MixOf says where the mix was taken from.
	MixOf string `json:"mixOf,omitempty"`
	// Room for more guests of the mix in all cells together.
	Room Room `json:"room"`
	// Growth that the forecast assumes, for example "2.00x/year"; empty: none is known.
	Growth string `json:"growth,omitempty"`
	// GrowthBasis says where the growth is from, or why none is known.
	GrowthBasis string `json:"growthBasis"`
	// Forecast; nil when no growth is known or the fleet shrinks.
	Forecast *Forecast `json:"forecast,omitempty"`
	// Next says in words when the next cell is needed.
	Next string `json:"next"`
	// Cells by name.
	Cells []CellCapacity `json:"cells"`
}

// MixShare is how many guests are of one making.
type MixShare struct {
	// Gear and Availability.
	Gear         string `json:"gear"`
	Availability string `json:"availability"`
	// Guests, and their share of all in percent.
	Guests  int     `json:"guests"`
	Percent float64 `json:"percent"`
}

// CellCapacity is the capacity of a cell.
type CellCapacity struct {
	// Cell by name.
	Cell string `json:"cell"`
	// Guests that live there.
	Guests int `json:"guests"`
	// Closed says why the cell takes no new guests; empty: it does.
	Closed string `json:"closed,omitempty"`
	// Levels by zone and thing.
	Levels []Level `json:"levels"`
	// Fullest of them; nil when the cell reports no zone.
	Fullest *Level `json:"fullest,omitempty"`
	// Room for more guests of the region's mix in this cell alone.
	Room Room `json:"room"`
	// Losses of each zone.
	Losses []ZoneLoss `json:"losses"`
}

// CapacityOf a fleet, of all its regions or of the named one. Growth is that which is given; nil: that which is
// seen in the guests of a region, or else of the fleet. Options without a Problem.
func CapacityOf(fleet Fleet, region string, growth *Growth, options Options) Capacity {
	result := Capacity{At: options.Now, Seed: options.Seed, Runs: options.Runs, Days: options.Days, Drift: options.Drift}
	for _, name := range fleet.Regions() {
		if region == "" || region == name {
			result.Regions = append(result.Regions, regionCapacity(name, fleet, growth, options))
		}
	}
	return result
}

func regionCapacity(name string, fleet Fleet, given *Growth, options Options) RegionCapacity {
	part := fleet.In(name)
	mix, mixOf := mixFor(part, fleet)
	result := RegionCapacity{
		Region: name, Guests: len(part.Guests), FillPercent: fillOf(part.Cells, demand{}), Mix: mixShares(mix), MixOf: mixOf,
		Room: roomIn(cloneCells(part.Cells), newMixer(options.Seed, 0, name, mix)),
	}
	for _, cell := range part.Cells {
		result.Cells = append(result.Cells, cellCapacity(cell, part, mix, options.Seed))
	}
	growth, basis, known := growthFor(part, fleet, given, options.Now)
	result.GrowthBasis = basis
	if known {
		result.Growth = growth.String()
	}
	result.forecast(part, mix, growth, known, options)
	return result
}

// forecast adds the forecast, and says in words what comes of it.
func (r *RegionCapacity) forecast(part Fleet, mix []Guest, growth Growth, known bool, options Options) {
	switch {
	case !known:
		r.Next = "not known: " + r.GrowthBasis
		return
	case growth.Shrinks():
		r.Next = "never: the fleet shrinks"
		return
	case len(mix) == 0:
		r.Next = "not known: there is no guest to take a mix from"
		return
	}
	r.Forecast = forecast(r.Region, part, mix, growth, options)
	r.Next = nextText(*r.Forecast)
}

func nextText(f Forecast) string {
	text := func(next NextCell) string {
		if next.Day < 0 {
			return fmt.Sprintf("not within %d days", f.Days)
		}
		return fmt.Sprintf("%s (in %d days)", next.Date, next.Day)
	}
	if f.P50 == f.P95 {
		return text(f.P50)
	}
	return fmt.Sprintf("P50 %s, P95 %s", text(f.P50), text(f.P95))
}

// mixFor new guests of a region: its own, or the fleet's while it has none.
func mixFor(part, fleet Fleet) (mix []Guest, of string) {
	if len(part.Guests) > 0 || len(fleet.Guests) == 0 {
		return part.Guests, ""
	}
	return fleet.Guests, "the fleet, for the region has no guest yet"
}

func growthFor(part, fleet Fleet, given *Growth, now time.Time) (growth Growth, basis string, known bool) {
	if given != nil {
		return *given, "given", true
	}
	growth, basis, err := GrowthSeen(createdOf(part), now)
	if err == nil {
		return growth, "seen in " + basis, true
	}
	if wide, basis, errWide := GrowthSeen(createdOf(fleet), now); errWide == nil {
		return wide, "seen in the whole fleet, for the region alone tells too little: " + basis, true
	}
	return Growth{}, err.Error(), false
}

func createdOf(fleet Fleet) []time.Time {
	created := make([]time.Time, 0, len(fleet.Guests))
	for _, guest := range fleet.Guests {
		created = append(created, guest.CreatedAt)
	}
	return created
}

func mixShares(mix []Guest) []MixShare {
	counts := map[MixShare]int{}
	for _, guest := range mix {
		counts[MixShare{Gear: guest.Gear, Availability: string(guest.Availability)}]++
	}
	shares := make([]MixShare, 0, len(counts))
	for share, count := range counts {
		share.Guests, share.Percent = count, 100*float64(count)/float64(len(mix))
		shares = append(shares, share)
	}
	slices.SortFunc(shares, func(a, b MixShare) int {
		return cmp.Or(cmp.Compare(b.Guests, a.Guests), cmp.Compare(a.Gear, b.Gear), cmp.Compare(a.Availability, b.Availability))
	})
	return shares
}

func cellCapacity(cell *placement.Cell, part Fleet, mix []Guest, seed uint64) CellCapacity {
	guests := part.in(cell.Name)
	result := CellCapacity{Cell: cell.Name, Guests: len(guests), Closed: closed(cell), Levels: levelsOf(cell)}
	if fullest, found := Fullest(result.Levels); found {
		result.Fullest = &fullest
	}
	result.Room = roomIn(cloneCells([]*placement.Cell{cell}), newMixer(seed, 0, cell.Region.Region, mix))
	for _, zone := range zoneNames(cell) {
		result.Losses = append(result.Losses, lossOfZone(cell, guests, zone))
	}
	return result
}

// closed says why a cell takes no new guests.
func closed(cell *placement.Cell) string {
	switch {
	case !cell.Ready:
		return "not ready"
	case cell.RuntimeProblem != "":
		return cell.RuntimeProblem
	case cell.Cordoned:
		return "cordoned"
	}
	return ""
}
