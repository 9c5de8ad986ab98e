package network

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"slices"
)

// addressBits of IPv4.
const addressBits = 32

// block is an IPv4 network as numbers: what is asked of thousands of them is arithmetic.
type block struct {
	start uint32
	bits  int // of the prefix
}

func blockOf(prefix netip.Prefix) block {
	bytes := prefix.Masked().Addr().As4()
	return block{binary.BigEndian.Uint32(bytes[:]), prefix.Bits()}
}

func (b block) prefix() netip.Prefix {
	var bytes [4]byte
	binary.BigEndian.PutUint32(bytes[:], b.start)
	return netip.PrefixFrom(netip.AddrFrom4(bytes), b.bits)
}

// String is the block as a CIDR.
func (b block) String() string { return b.prefix().String() }

// size in addresses.
func (b block) size() int64 { return 1 << (addressBits - b.bits) }

// last address of the block.
func (b block) last() uint32 { return b.start | ^mask(b.bits) }

func (b block) overlaps(other block) bool { return b.start <= other.last() && other.start <= b.last() }

// compareEnd is negative when the block ends before the address, and positive otherwise.
func (b block) compareEnd(address uint32) int {
	if b.last() < address {
		return -1
	}
	return 1
}

// parent is the block of twice the size that holds this one, and sibling the other half of that.
func (b block) parent() block  { return block{b.start & mask(b.bits-1), b.bits - 1} }
func (b block) sibling() block { return block{b.start ^ uint32(b.size()), b.bits} }

func mask(prefixBits int) uint32 { return ^uint32(0) << (addressBits - prefixBits) }

// bitsFor is the prefix length of the smallest network of at least that many addresses.
func bitsFor(addresses int64) int { return addressBits - bits.Len64(uint64(addresses-1)) }

// free is a set of addresses as the largest aligned blocks that it is made of: for each length of prefix
// their starts, sorted. With thousands of blocks every operation takes microseconds at most.
type free struct {
	starts [addressBits + 1][]uint32
}

// add a block, and join it with its neighbours. What of it is there already stays.
func (f *free) add(b block) {
	if _, found := f.holder(b); found {
		return
	}
	f.removeInside(b)
	for b.bits > 0 && f.drop(b.sibling()) {
		b = b.parent()
	}
	at, _ := slices.BinarySearch(f.starts[b.bits], b.start)
	f.starts[b.bits] = slices.Insert(f.starts[b.bits], at, b.start)
}

// remove a block, whether all of it is there or not.
func (f *free) remove(b block) {
	holder, found := f.holder(b)
	if !found {
		f.removeInside(b)
		return
	}
	f.drop(holder)
	for b.bits > holder.bits { // the other halves stay
		other := b.sibling()
		at, _ := slices.BinarySearch(f.starts[other.bits], other.start)
		f.starts[other.bits] = slices.Insert(f.starts[other.bits], at, other.start)
		b = b.parent()
	}
}

// holder is the block of the set that holds all of another one.
func (f *free) holder(b block) (block, bool) {
	for length := range b.bits + 1 {
		has := block{b.start & mask(length), length}
		if _, found := slices.BinarySearch(f.starts[length], has.start); found {
			return has, true
		}
	}
	return block{}, false
}

// drop a block of the set, and false when it is none.
func (f *free) drop(b block) bool {
	at, found := slices.BinarySearch(f.starts[b.bits], b.start)
	if found {
		f.starts[b.bits] = slices.Delete(f.starts[b.bits], at, at+1)
	}
	return found
}

// removeInside removes the blocks that are smaller than a block and lie in it.
func (f *free) removeInside(b block) {
	for length := b.bits + 1; length <= addressBits; length++ {
		from, _ := slices.BinarySearch(f.starts[length], b.start)
		to, found := slices.BinarySearch(f.starts[length], b.last())
		if found { // a block of one address
			to++
		}
		f.starts[length] = slices.Delete(f.starts[length], from, to)
	}
}

// candidates are up to most places of a size, best first: those in the smallest free blocks, and of these
// the lowest.
func (f *free) candidates(prefixBits, most int) []block {
	var found []block
	for length := prefixBits; length >= 0; length-- {
		for _, start := range f.starts[length] {
			places := int64(1) << (prefixBits - length)
			for i := range min(places, int64(most-len(found))) {
				found = append(found, block{start + uint32(i<<(addressBits-prefixBits)), prefixBits})
			}
			if len(found) == most {
				return found
			}
		}
	}
	return found
}

// count the addresses.
func (f *free) count() int64 {
	var sum int64
	for length, starts := range f.starts {
		sum += int64(len(starts)) << (addressBits - length)
	}
	return sum
}

// places of a size that the set has.
func (f *free) places(prefixBits int) int64 {
	var sum int64
	for length := range prefixBits + 1 {
		sum += int64(len(f.starts[length])) << (prefixBits - length)
	}
	return sum
}

// largest block, the lowest of them.
func (f *free) largest() (block, bool) {
	for length, starts := range f.starts {
		if len(starts) > 0 {
			return block{starts[0], length}, true
		}
	}
	return block{}, false
}

// blocks of the set in the order of their addresses.
func (f *free) blocks() []block {
	var all []block
	for length, starts := range f.starts {
		for _, start := range starts {
			all = append(all, block{start, length})
		}
	}
	slices.SortFunc(all, func(a, b block) int { return slices.Compare([]uint32{a.start}, []uint32{b.start}) })
	return all
}
