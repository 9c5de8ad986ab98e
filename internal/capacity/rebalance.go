package capacity

import "github.com/myriad-fleet/myriad/internal/placement"

// Rebalancing is what brings every cell back under its water level.
type Rebalancing struct {
	// Over lists the levels that are over a limit now.
	Over []OverLevel `json:"over"`
	// Moves in the order in which they can be made.
	Moves []Move `json:"moves"`
	// Fewest tells that no shorter list of moves does.
	Fewest bool `json:"fewest"`
	// Unmended cells stay over a limit: their guests are not moved.
	Unmended []Unmended `json:"unmended"`
}

// OverLevel is a level of a cell that is over its limit.
type OverLevel struct {
	// Cell by name.
	Cell string `json:"cell"`

	Level
}

// Move of a guest to another cell of its region.
type Move struct {
	// ID, Tenant and Gear of the guest.
	ID     string `json:"id"`
	Tenant string `json:"tenant"`
	Gear   string `json:"gear"`
	// From one cell To another, and its Zones there.
	From  string   `json:"from"`
	To    string   `json:"to"`
	Zones []string `json:"zones"`
	// Why it moves.
	Why string `json:"why"`
}

// Unmended is a cell that stays over a limit, and why.
type Unmended struct {
	Cell string `json:"cell"`
	Why  string `json:"why"`
}

// Rebalance proposes the fewest moves that bring every cell back under its water level (placement.Rebalance).
func Rebalance(fleet Fleet) Rebalancing {
	result := Rebalancing{Over: []OverLevel{}, Moves: []Move{}, Unmended: []Unmended{}}
	for _, cell := range fleet.Cells {
		for _, level := range levelsOf(cell) {
			if level.Used > level.Limit || level.AfterLoss > level.AfterLossLimit {
				result.Over = append(result.Over, OverLevel{Cell: cell.Name, Level: level})
			}
		}
	}
	guests := map[string]Guest{}
	located := make([]placement.Located, 0, len(fleet.Guests))
	for _, guest := range fleet.Guests {
		guests[guest.ID] = guest
		located = append(located, placement.Located{ID: guest.ID, Cell: guest.Cell, Guest: guest.placed(), Request: guest.request()})
	}
	balanced := placement.Rebalance(fleet.Cells, located)
	result.Fewest = balanced.Fewest
	for _, move := range balanced.Moves {
		guest := guests[move.ID]
		result.Moves = append(result.Moves, Move{
			ID: move.ID, Tenant: guest.Tenant, Gear: guest.Gear, From: move.From, To: move.To, Zones: move.Zones, Why: move.Why,
		})
	}
	for _, cell := range balanced.Unmended {
		result.Unmended = append(result.Unmended, Unmended{Cell: cell.Cell, Why: cell.Why})
	}
	return result
}
