package capacity

import (
	"slices"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/placement"
)

// ZoneLoss is what a cell looks like after one of its zones died.
type ZoneLoss struct {
	// Cell and the Zone that died.
	Cell string `json:"cell"`
	Zone string `json:"zone"`
	// Down are guests that had only that zone: they are gone until it is back.
	Down int `json:"down"`
	// OnTwo are guests that run on their two other zones.
	OnTwo int `json:"onTwo"`
	// Untouched are guests that had nothing there.
	Untouched int `json:"untouched"`
	// WorstZone that remains, the Thing it is fullest of, and how full, in percent of its capacity.
	WorstZone    string  `json:"worstZone,omitempty"`
	WorstThing   string  `json:"worstThing,omitempty"`
	WorstPercent float64 `json:"worstPercent"`
	// LimitPercent that a zone may be used to after a loss.
	LimitPercent float64 `json:"limitPercent"`
	// Over the limit of anything.
	Over bool `json:"over"`
	// DownGuests by id.
	DownGuests []string `json:"downGuests,omitempty"`
}

// lossOfZone of a cell: what its API servers took moves to the guests' other zones; etcd and Single guests stay
// where they were, so the rest is used as before.
func lossOfZone(cell *placement.Cell, guests []Guest, lost string) ZoneLoss {
	loss := ZoneLoss{Cell: cell.Name, Zone: lost, LimitPercent: afterLossLimitPercent}
	for _, guest := range guests {
		switch {
		case !slices.Contains(guest.Zones, lost):
			loss.Untouched++
		case guest.Availability == v1alpha1.Zonal:
			loss.OnTwo++
		default:
			loss.Down++
			loss.DownGuests = append(loss.DownGuests, guest.ID)
		}
	}
	for _, level := range levelsOf(cell) {
		if level.Zone == lost {
			continue
		}
		used := level.Used
		if level.Thing == cpu {
			used += takeover(cell, level.Zone, lost)
		}
		if full := percent(used, level.Capacity); loss.WorstZone == "" || full > loss.WorstPercent {
			loss.WorstZone, loss.WorstThing, loss.WorstPercent = level.Zone, level.Thing, full
		}
		loss.Over = loss.Over || used > level.AfterLossLimit
	}
	return loss
}
