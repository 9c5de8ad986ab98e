package placement

import (
	"cmp"
	"slices"
)

const (
	// maxMovesTried is the length of the longest list of moves that is searched for where one cell after the
	// other could not be mended.
	maxMovesTried = 6
	// maxTries bounds the search, in moves that are tried: about two seconds on one core.
	maxTries = 50_000
)

// moveSearch looks for the shortest list of moves that mends all cells, chains included: a guest may make room
// for another. It tries lists of no moves, then of one, then of two, …
type moveSearch struct {
	*plan

	limit int
	tries int
}

func newSearch(cells []*Cell, guests []Located, limit int) *moveSearch {
	return &moveSearch{plan: newPlan(cells, guests), limit: limit}
}

// run returns a plan with the fewest moves, nil when none of at most limit moves was found; and whether all
// shorter ones were tried.
func (s *moveSearch) run() (*plan, bool) {
	if len(s.guests)*len(s.cells) > maxTries/10 {
		return nil, false // not even lists of two moves could be tried
	}
	for moves := range s.limit + 1 {
		if s.extend(moves) {
			return s.plan, true
		}
		if s.tries >= maxTries {
			return nil, false
		}
	}
	return nil, true
}

// extend the plan by at most that many moves; true: it mends all.
func (s *moveSearch) extend(moves int) bool {
	over := s.over()
	switch {
	case len(over) == 0:
		return true
	case s.needed(over) > moves:
		return false
	}
	for guest := range s.guests {
		if s.moved[guest] || s.at[guest] < 0 {
			continue
		}
		from := s.at[guest]
		for to := range s.cells {
			if to == from || s.cells[to].Region != s.cells[from].Region {
				continue
			}
			if s.tries++; s.tries >= maxTries {
				return false
			}
			move, refused := s.try(guest, s.cells[to:to+1])
			if refused != "" {
				continue
			}
			move.Why = s.why(from)
			undo := s.do(guest, move)
			if s.extend(moves - 1) {
				return true
			}
			undo()
		}
	}
	return false
}

func (s *moveSearch) why(from int) string {
	if why := overText(s.cells[from]); why != "" {
		return why
	}
	return "makes room for a guest of another cell"
}

// needed is a number of moves that no plan can do with less: from each cell that is over a limit as many
// guests must go as its largest of that thing cover what is over.
func (p *plan) needed(over []int) int {
	sum := 0
	for _, cell := range over {
		most := 1
		for _, level := range Over(p.cells[cell]) {
			most = max(most, p.neededFor(cell, &level))
		}
		sum += most
	}
	return sum
}

func (p *plan) neededFor(cell int, level *Level) int {
	var relief []int64
	for i := range p.guests {
		if p.at[i] == cell {
			relief = append(relief, reliefOf(&p.guests[i].Guest, level))
		}
	}
	slices.SortFunc(relief, func(a, b int64) int { return cmp.Compare(b, a) })
	excess, moves := max(level.Used-level.Limit, level.AfterLoss-level.LimitAfterLoss), 0
	for ; excess > 0 && moves < len(relief); moves++ {
		excess -= relief[moves]
	}
	return moves
}

// reliefOf a level is what it has less, at most, when a guest goes.
func reliefOf(guest *Guest, level *Level) int64 {
	zone := slices.Index(guest.Zones, level.Zone)
	if zone < 0 || zone >= len(guest.Demand) {
		return 0
	}
	if level.Thing == thingInterfaces {
		return 1
	}
	relief := int64(0)
	for _, thing := range things {
		if thing.name == level.Thing {
			relief = thing.of(&guest.Demand[zone].Vector)
		}
	}
	if lost := slices.Index(guest.Zones, level.Lost); level.Thing == thingCPU && lost >= 0 && lost < len(guest.Demand) {
		relief += share(guest.Demand[lost].APIServerMilliCPU, len(guest.Zones))
	}
	return relief
}
