package ledger

import (
	"maps"
	"slices"
	"strings"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// foldAt is how many ids a Ledger says something of before that is folded into its base: a booking takes some 360
// bytes, so a Ledger stays at 12 KiB or so where a cell of 250 guests takes 90, and the base is written once for 32
// changes.
const foldAt = 32

// Volume is a Ledger and its base. Both may be empty; what is in them is shared, and only read.
//
// Whoever changes bookings writes the Ledger on the version that it read. Four rules make it safe to write the base,
// then the Ledger, whoever else does the same and dies in between: the base only takes what the Ledger said before, which
// was promised already; it is written on the version that was read, too; an id that a Ledger says something of stays
// in it until the base has it, so that the Ledger on a new base says what it said on the old one; and the Ledger that
// is read is still the same after the base was (Fetch), so that the base is at most one fold ahead of it.
type Volume struct {
	Head, Base *v1alpha1.Ledger
}

// Bookings sorted by id.
func (v Volume) Bookings() []v1alpha1.Booking { return sorted(v.byID()) }

func (v Volume) byID() map[string]v1alpha1.Booking {
	all := make(map[string]v1alpha1.Booking, len(v.Base.Bookings)+len(v.Head.Bookings))
	for _, ledger := range []*v1alpha1.Ledger{v.Base, v.Head} {
		for _, booking := range ledger.Bookings {
			all[booking.ID] = booking
		}
	}
	for _, id := range v.Head.Dropped {
		delete(all, id)
	}
	return all
}

// says which ids the Ledger itself says something of.
func (v Volume) says() map[string]bool {
	said := make(map[string]bool, len(v.Head.Bookings)+len(v.Head.Dropped))
	for _, booking := range v.Head.Bookings {
		said[booking.ID] = true
	}
	for _, id := range v.Head.Dropped {
		said[id] = true
	}
	return said
}

// folded is the next base: all that is booked.
func (v Volume) folded() *v1alpha1.Ledger {
	base := successor(v.Base)
	base.Name = v1alpha1.BaseLedger(v.Head.Name)
	base.Bookings = v.Bookings()
	return base
}

// successor of a Ledger, on its version, without content.
func successor(before *v1alpha1.Ledger) *v1alpha1.Ledger {
	next := &v1alpha1.Ledger{}
	next.Name, next.ResourceVersion, next.UID = before.Name, before.ResourceVersion, before.UID
	return next
}

func sorted(byID map[string]v1alpha1.Booking) []v1alpha1.Booking {
	return slices.SortedFunc(maps.Values(byID), func(a, b v1alpha1.Booking) int { return strings.Compare(a.ID, b.ID) })
}
