package placement

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Located is a guest that lies in a cell, with what it would ask for if it were placed anew.
type Located struct {
	// ID of the guest; no two are alike.
	ID string
	// Cell that it lies in.
	Cell string
	// Guest as the cell has taken it.
	Guest

	// Request that Place would get for it. Its region is the cell's, whatever is written here; its tenant, VPC
	// and demand are the guest's.
	Request Request
}

// Move of a guest to another cell of its region.
type Move struct {
	ID, From, To string
	// Zones of the cell To, in the order of the guest's demand.
	Zones []string
	// Why: what is over its limit in the cell From, or for whom the guest makes room.
	Why string
}

// Unmended is a cell that stays over a limit.
type Unmended struct {
	Cell string
	// Why: what is over its limit, and what keeps guests from other cells.
	Why string
}

// Rebalanced is what brings cells back under their water levels.
type Rebalanced struct {
	// Moves in the order in which they can be made: each is one that Place allows after those before it.
	Moves []Move
	// Unmended cells, sorted by name. Their guests are not moved: half a mending helps nobody.
	Unmended []Unmended
	// Fewest tells that no shorter list of moves mends all cells: every shorter one was tried. It is false
	// for fleets too large for that, and where cells stay unmended.
	Fewest bool
}

// Rebalance proposes the fewest moves that bring every cell back under its limits (Over), for example after its
// capacity shrank or its guests grew. The cells have taken the guests; they are not changed. Guests stay in their
// region and go only where Place would let them: into cells that are ready, not cordoned, with residency,
// quotas and the reserve kept. A guest moves once. Guests that are not in the list stay.
func Rebalance(cells []*Cell, guests []Located) Rebalanced {
	greedy := newPlan(cells, guests)
	least := greedy.needed(greedy.over())
	greedy.mend()
	limit := len(greedy.moves) - 1
	if len(greedy.over()) > 0 {
		limit = maxMovesTried
	}
	if limit < least {
		return greedy.result(true)
	}
	shorter, all := newSearch(cells, guests, limit).run()
	if shorter != nil {
		return shorter.result(true)
	}
	return greedy.result(all)
}

// plan is a fleet while moves are made in it.
type plan struct {
	cells  []*Cell // clones
	guests []Located
	at     []int // cell of each guest, by its place in cells; negative: none of them
	moved  []bool
	moves  []Move
	failed map[string]string // by cell: why it cannot be mended
}

func newPlan(cells []*Cell, guests []Located) *plan {
	p := &plan{cells: Clone(cells), guests: slices.Clone(guests), failed: map[string]string{}}
	slices.SortFunc(p.cells, func(a, b *Cell) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(p.guests, func(a, b Located) int { return cmp.Compare(a.ID, b.ID) })
	p.at, p.moved = make([]int, len(p.guests)), make([]bool, len(p.guests))
	for i := range p.guests {
		guest := &p.guests[i]
		p.at[i] = slices.IndexFunc(p.cells, func(c *Cell) bool { return c.Name == guest.Cell })
		if p.at[i] >= 0 && p.cells[p.at[i]].Region != nil {
			guest.Request.Region = p.cells[p.at[i]].Region.Region
		}
		guest.Request.Tenant, guest.Request.VPC, guest.Request.Demand = guest.Tenant, guest.VPC, guest.Demand
	}
	return p
}

// over lists the cells that are over a limit.
func (p *plan) over() []int {
	var over []int
	for i, cell := range p.cells {
		if len(Over(cell)) > 0 {
			over = append(over, i)
		}
	}
	return over
}

// try to move a guest to where Place would have it, of those cells only; nil: any but its own. It says why not.
func (p *plan) try(guest int, to []*Cell) (Move, string) {
	located, from := &p.guests[guest], p.cells[p.at[guest]]
	if to == nil {
		to = slices.DeleteFunc(slices.Clone(p.cells), func(c *Cell) bool { return c == from })
	}
	from.Release(located.Guest)
	decision := Place(located.Request, to)
	from.Take(located.Guest)
	if decision.Cell == "" {
		return Move{}, refusals(decision)
	}
	return Move{ID: located.ID, From: from.Name, To: decision.Cell, Zones: decision.Zones}, ""
}

// do a move; undo takes it back.
func (p *plan) do(guest int, move Move) (undo func()) {
	before, from := p.guests[guest].Guest, p.at[guest]
	p.cells[from].Release(before)
	after := before
	after.Zones = move.Zones
	to := slices.IndexFunc(p.cells, func(c *Cell) bool { return c.Name == move.To })
	p.cells[to].Take(after)
	p.guests[guest].Guest, p.at[guest], p.moved[guest] = after, to, true
	p.moves = append(p.moves, move)
	return func() {
		p.cells[to].Release(after)
		p.cells[from].Take(before)
		p.guests[guest].Guest, p.at[guest], p.moved[guest] = before, from, false
		p.moves = p.moves[:len(p.moves)-1]
	}
}

// mend one cell after the other, the one that is furthest over first. What cannot be mended is left as it was.
func (p *plan) mend() {
	for {
		worst, by := -1, 0.0
		for _, cell := range p.over() {
			if excess := excessOf(p.cells[cell]); p.failed[p.cells[cell].Name] == "" && excess > by {
				worst, by = cell, excess
			}
		}
		if worst < 0 {
			return
		}
		p.mendCell(worst)
	}
}

// mendCell moves guests away, each time the one that leaves the least over, and of equal ones the smallest.
func (p *plan) mendCell(cell int) {
	var undo []func()
	for len(Over(p.cells[cell])) > 0 {
		guest, move, why := p.bestMove(cell)
		if guest < 0 {
			p.failed[p.cells[cell].Name] = why
			for _, back := range slices.Backward(undo) {
				back()
			}
			return
		}
		move.Why = overText(p.cells[cell])
		undo = append(undo, p.do(guest, move))
	}
}

// bestMove of a guest out of a cell; negative: there is none, and why.
func (p *plan) bestMove(cell int) (int, Move, string) {
	type option struct {
		guest        int
		excess, size float64
	}
	from, why := p.cells[cell], "it has no guest left whose move would help"
	now := excessOf(from)
	var options []option
	for i := range p.guests {
		if p.at[i] != cell || p.moved[i] {
			continue
		}
		from.Release(p.guests[i].Guest)
		left := excessOf(from)
		from.Take(p.guests[i].Guest)
		if left < now {
			need := total(p.guests[i].Demand)
			capacity, _ := from.sums()
			options = append(options, option{i, left, part(need.MilliCPU, capacity.MilliCPU) + part(need.Memory, capacity.Memory)})
		}
	}
	slices.SortStableFunc(options, func(a, b option) int {
		return cmp.Or(cmp.Compare(a.excess, b.excess), cmp.Compare(a.size, b.size))
	})
	for _, option := range options {
		move, refused := p.try(option.guest, nil)
		if refused == "" {
			return option.guest, move, ""
		}
		why = fmt.Sprintf("guest %s finds no other cell: %s", p.guests[option.guest].ID, refused)
	}
	return -1, Move{}, why
}

// excessOf a cell: what is over its limits, in shares of those limits; 0: nothing is.
func excessOf(cell *Cell) float64 {
	sum := 0.0
	for _, level := range Levels(cell) {
		if level.Over {
			sum += max(over(level.Used, level.Limit), over(level.AfterLoss, level.LimitAfterLoss))
		}
	}
	return sum
}

// over is by how much a limit is broken, in shares of it; a limit of nothing counts as one.
func over(used, limit int64) float64 { return max(0, float64(used-limit)/float64(max(limit, 1))) }

func overText(cell *Cell) string {
	parts := []string{}
	for _, level := range Over(cell) {
		if level.Used > level.Limit {
			parts = append(parts, fmt.Sprintf("zone %s uses %.1f %% of its %s, %d %% may be", level.Zone, level.Percent, level.Thing, 100-cell.ReservePercent))
			continue
		}
		parts = append(parts, fmt.Sprintf("zone %s would use %.1f %% of its %s after the loss of zone %s, %d %% may be",
			level.Zone, level.PercentAfterLoss, level.Thing, level.Lost, 100-reserveAfterLossPercent))
	}
	return strings.Join(parts, "; ")
}

// refusals of a decision in short: the reasons and how many cells each has.
func refusals(decision Decision) string {
	if len(decision.Rejected) == 0 {
		return "there is no other"
	}
	reasons := map[string]int{}
	for _, rejected := range decision.Rejected {
		reasons[rejected.Reason]++
	}
	parts := make([]string, 0, len(reasons))
	for reason, cells := range reasons {
		parts = append(parts, fmt.Sprintf("%s (%d)", reason, cells))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// result of a plan; fewest: no shorter one mends all cells.
func (p *plan) result(fewest bool) Rebalanced {
	found := Rebalanced{Moves: p.moves, Fewest: fewest}
	for _, cell := range p.over() {
		name := p.cells[cell].Name
		why := overText(p.cells[cell])
		if reason := p.failed[name]; reason != "" {
			why += "; " + reason
		}
		found.Unmended = append(found.Unmended, Unmended{Cell: name, Why: why})
		found.Fewest = false
	}
	return found
}
