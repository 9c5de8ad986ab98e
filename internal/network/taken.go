package network

import (
	"fmt"
	"iter"
	"maps"
	"slices"
)

// Take ranges for a guest, in place of those that it had. It is an error when one of them overlaps what
// another guest has, or is no IPv4 network. Nobody else is given them even then: the guest may have them.
// Ranges outside the pools are taken, too: pools may have been changed since.
func (v *VPC) Take(id string, ranges Ranges) error {
	for _, kind := range Kinds {
		if prefix := ranges.Of(kind); prefix.IsValid() && !prefix.Addr().Is4() {
			return fmt.Errorf("guest %s: the range of the %s, %s, is no IPv4 network", id, kind, prefix)
		}
	}
	v.Release(id)
	clash := v.clash(id, ranges)
	v.guests[id] = ranges
	if clash != nil {
		v.clashing[id] = true
	}
	for kind, b := range ranges.blocks() {
		if clash == nil {
			v.taken.add(b, id, kind)
		}
		v.hide(b)
	}
	return clash
}

// clash says what of a guest's ranges others have.
func (v *VPC) clash(id string, ranges Ranges) error {
	for kind, b := range ranges.blocks() {
		if other, found := v.holder(b); found {
			return fmt.Errorf("guest %s: the range of the %s, %s, overlaps %s", id, kind, b, other)
		}
	}
	return nil
}

// Release what a guest has; nothing happens when it has nothing.
func (v *VPC) Release(id string) {
	ranges, clashed := v.guests[id], v.clashing[id]
	delete(v.guests, id)
	delete(v.clashing, id)
	for _, b := range ranges.blocks() {
		v.taken.remove(b, id)
		v.show(b)
	}
	if !clashed && len(v.clashing) == 0 {
		return
	}
	for _, b := range ranges.blocks() { // what others have of them stays taken
		for other := range v.holders(b) {
			v.hide(other.block)
		}
	}
}

// Guests that have ranges, by id.
func (v *VPC) Guests() map[string]Ranges { return maps.Clone(v.guests) }

// hide takes a block out of what is free, and show gives back what of it guests may have.
func (v *VPC) hide(b block) {
	for _, p := range v.pools {
		p.free.remove(b)
	}
}

func (v *VPC) show(b block) {
	for _, p := range v.pools {
		for _, part := range p.within(b) {
			p.free.add(part)
		}
	}
}

// holder of some of a block: the lowest one, if there is any.
func (v *VPC) holder(b block) (holding, bool) {
	for has := range v.holders(b) {
		return has, true
	}
	return holding{}, false
}

// holders of any of a block.
func (v *VPC) holders(b block) iter.Seq[holding] {
	return func(yield func(holding) bool) {
		for has := range v.taken.over(b) {
			if !yield(has) {
				return
			}
		}
		for _, id := range slices.Sorted(maps.Keys(v.clashing)) {
			for kind, has := range v.guests[id].blocks() {
				if has.overlaps(b) && !yield(holding{has, id, kind}) {
					return
				}
			}
		}
	}
}

// holding is a range that a guest has.
type holding struct {
	block
	id   string
	kind Kind
}

// String says whose range it is.
func (h holding) String() string { return fmt.Sprintf("%s, the %s of guest %s", h.block, h.kind, h.id) }

// taken finds holdings by address. Those of two guests never overlap (see VPC.clashing), and of those of one
// guest that do only the larger is kept: so no two overlap, and each has a start of its own.
type taken struct {
	starts   []uint32 // sorted
	holdings map[uint32]holding
}

func newTaken() taken { return taken{holdings: map[uint32]holding{}} }

// over are the holdings that overlap a block, by address.
func (t *taken) over(b block) iter.Seq[holding] {
	return func(yield func(holding) bool) {
		at, found := slices.BinarySearch(t.starts, b.start)
		if !found && at > 0 {
			at-- // the one that starts before may reach in
		}
		for _, start := range t.starts[at:] {
			has := t.holdings[start]
			if has.start > b.last() || (has.overlaps(b) && !yield(has)) {
				return
			}
		}
	}
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
