package network

import (
	"fmt"
	"slices"
)

// holding is a range that a guest has.
type holding struct {
	block
	id   string
	kind Kind
}

// String says whose range it is.
func (h holding) String() string { return fmt.Sprintf("%s, the %s of guest %s", h.block, h.kind, h.id) }

// taken finds holdings by address. Those of two guests never overlap, and of those of one guest that do
// only the larger is kept: so no two overlap, and each has a start of its own.
type taken struct {
	starts   []uint32 // sorted
	holdings map[uint32]holding
}

func newTaken() taken { return taken{holdings: map[uint32]holding{}} }

// overlapping is a holding that overlaps a block and is not of the guest that asks, the lowest one.
func (t *taken) overlapping(b block, asks string) (holding, bool) {
	at, found := slices.BinarySearch(t.starts, b.start)
	if !found && at > 0 {
		at-- // the one that starts before may reach in
	}
	for _, start := range t.starts[at:] {
		has := t.holdings[start]
		if has.start > b.last() {
			break
		}
		if has.id != asks && has.overlaps(b) {
			return has, true
		}
	}
	return holding{}, false
}

func (t *taken) add(b block, id string, kind Kind) {
	at, _ := slices.BinarySearch(t.starts, b.start)
	if at > 0 && t.holdings[t.starts[at-1]].overlaps(b) {
		return // inside a larger one of the same guest
	}
	end := at
	for end < len(t.starts) && t.starts[end] <= b.last() {
		if t.holdings[t.starts[end]].bits <= b.bits {
			return
		}
		delete(t.holdings, t.starts[end])
		end++
	}
	t.starts = slices.Replace(t.starts, at, end, b.start)
	t.holdings[b.start] = holding{b, id, kind}
}

func (t *taken) remove(b block, id string) {
	at, found := slices.BinarySearch(t.starts, b.start)
	if found && t.holdings[b.start].id == id && t.holdings[b.start].bits == b.bits {
		t.starts = slices.Delete(t.starts, at, at+1)
		delete(t.holdings, b.start)
	}
}
