package simulated

// agenda is a heap of the guests that something is due for, the next one first. Those of one instant come in the
// order in which the guests came, so that it does not depend on the heap.
type agenda []*guest

// Len is the number of guests.
func (a *agenda) Len() int { return len(*a) }

// Less says that a guest comes before another.
func (a *agenda) Less(i, j int) bool {
	first, second := (*a)[i], (*a)[j]
	if first.due != second.due {
		return first.due < second.due
	}
	return first.number < second.number
}

// Swap two guests.
func (a *agenda) Swap(i, j int) {
	all := *a
	all[i], all[j] = all[j], all[i]
	all[i].index, all[j].index = i, j
}

// Push a guest.
func (a *agenda) Push(x any) {
	g, ok := x.(*guest)
	if !ok {
		return // heap.Push is only given guests
	}
	g.index = len(*a)
	*a = append(*a, g)
}

// Pop the last guest.
func (a *agenda) Pop() any {
	last := len(*a) - 1
	g := (*a)[last]
	(*a)[last] = nil
	*a = (*a)[:last]
	g.index = -1
	return g
}
