package placement

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Located is a guest that was counted in a cell (Take).
type Located struct {
	// ID of the guest, and the Cell that it lies in.
	ID, Cell string
	// Guest as it is counted there.
	Guest Guest
	// Request that it would look for another cell with. It books Request.Demand there.
	Request Request
}

// Move of a guest into other zones of another cell.
type Move struct {
	// ID and Tenant of the guest.
	ID, Tenant string
	// From and To are cells.
	From, To string
	// Zones of To, in the order of the guest's demand.
	Zones []string
	// Why the guest leaves, for people.
	Why string
}

// Unmended is a cell that stays over its reserve.
type Unmended struct {
	// Cell by name.
	Cell string
	// Level that is most over its limit.
	Level Level
	// Why no moves can mend it, for people.
	Why string
}

// Plan of Rebalance.
type Plan struct {
	// Moves in the order in which each of them has room.
	Moves []Move
	// Fewest tells that no fewer moves do: one cell was over its reserve, and all smaller sets of its guests were tried.
	Fewest bool
	// Unmended cells, sorted by name: none of their guests moves.
	Unmended []Unmended
}

// Rebalance plans the fewest moves that bring every cell back under its reserve, before and after a loss: after
// capacity shrank, gears grew, or an operator raised the reserve. The cells hold the guests already and are not changed.
//
// Every move keeps to Place's filters in the order given, with the guest's own booking released in its old cell. Guests
// leave their region only if their Request names no region and they reach into no VPC, and prefer one in it. Only
// guests of cells that are over their reserve move, each at most once, and never into a cell that is over its reserve.
//
// The number of moves is the least possible for each cell by itself as long as it is at most three: all sets of one
// guest, then of two, then of three are tried, largest relief first, in every order, with every choice of
// cells for them (in each cell the zones that Place would choose). Beyond three, or where mostSets or mostTries ends the search first,
// guests leave by largest relief until the cell is mended, and those that turn out not to have been needed stay: few moves, but
// perhaps not the fewest. Cells are mended one after the other by name, and again after others have made room:
// the sum over several cells that compete for the same room may be larger than the least possible, too.
// A cell that no moves can mend keeps all its guests, so that others can have the room.
func Rebalance(cells []*Cell, guests []Located) Plan {
	r := rebalance{cells: Clone(cells), guests: map[string][]Located{}}
	slices.SortFunc(r.cells, func(a, b *Cell) int { return cmp.Compare(a.Name, b.Name) })
	for _, guest := range guests {
		r.guests[guest.Cell] = append(r.guests[guest.Cell], guest)
	}
	for _, located := range r.guests {
		slices.SortFunc(located, func(a, b Located) int { return cmp.Compare(a.ID, b.ID) })
	}
	waiting := slices.DeleteFunc(slices.Clone(r.cells), func(c *Cell) bool { return !c.over() })
	r.plan.Fewest = len(waiting) == 1
	for {
		left := slices.DeleteFunc(slices.Clone(waiting), r.mend)
		if len(left) == len(waiting) {
			break
		}
		waiting = left
	}
	r.plan.Fewest = r.plan.Fewest && len(r.plan.Moves) > 0
	for _, cell := range waiting {
		r.plan.Unmended = append(r.plan.Unmended, r.unmended(cell))
	}
	return r.plan
}

// rebalance under way.
type rebalance struct {
	cells  []*Cell              // as they are after the moves so far
	guests map[string][]Located // by cell, sorted by id
	plan   Plan
}

// mend a cell by moves, or leave everything as it is.
func (r *rebalance) mend(cell *Cell) bool {
	fullest, _ := Fullest(Levels(cell))
	s := newRelief(r, cell)
	if !s.fewest() {
		r.plan.Fewest = false
		if !s.greedy() {
			return false
		}
	}
	for _, left := range s.left {
		r.plan.Moves = append(r.plan.Moves, Move{
			ID: left.ID, Tenant: left.Request.Tenant, From: cell.Name, To: left.to.Name, Zones: left.booked.Zones,
			Why: "cell " + cell.Name + " is over its reserve: " + fullest.String(),
		})
	}
	return true
}

// over tells whether the cell is over its reserve anywhere, before or after a loss.
func (c *Cell) over() bool { return slices.ContainsFunc(Levels(c), Level.Over) }

// unmended says why nothing mends a cell.
func (r *rebalance) unmended(cell *Cell) Unmended {
	s := newRelief(r, cell)
	fullest, _ := Fullest(Levels(cell))
	why := "it holds no guest that takes any of it"
	switch relieving := len(s.leavers) + len(s.stuck); {
	case relieving > 0 && len(s.stuck) == 0:
		why = fmt.Sprintf("%d of its guests take of it and could move, each by itself, but other cells have no room for as many as must", relieving)
	case relieving > 0:
		why = fmt.Sprintf("%d of its guests take of it, and %d of them can go nowhere else: %s", relieving, len(s.stuck), r.stuckText(s))
	}
	return Unmended{Cell: cell.Name, Level: fullest, Why: fullest.String() + "; " + why}
}

// stuckText says of the guest that would relieve most what keeps it out of the other cells, by reason.
func (r *rebalance) stuckText(s *relief) string {
	guest := s.stuck[0]
	s.from.Release(guest.Guest)
	rejected := Place(guest.Request, s.others).Rejected
	s.from.Take(guest.Guest)
	cells := map[string]int{}
	for _, rejection := range rejected {
		cells[rejection.Reason]++
	}
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(cells)) {
		parts = append(parts, fmt.Sprintf("%d × %s", cells[reason], reason))
	}
	if len(parts) == 0 {
		return "there is no other cell under its reserve that it may lie in"
	}
	return fmt.Sprintf("guest %s, which would relieve it most, is kept out of the %d cells that are under their reserve by %s (%s: %s)",
		guest.ID, len(rejected), strings.Join(parts, ", "), rejected[0].Cell, rejected[0].Message)
}
