package ledger

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// TestVolumeStaysSmall: however much is booked, one more booking takes a small write.
func TestVolumeStaysSmall(t *testing.T) {
	v := Volume{Head: &v1alpha1.Ledger{ObjectMeta: metav1.ObjectMeta{Name: "cell.c"}}, Base: &v1alpha1.Ledger{}}
	bases := 0
	for i := range 250 {
		p := newPage(v)
		p.set(v1alpha1.Booking{ID: fmt.Sprintf("g%09d", i), PlainPort: int32(i)}, now)
		next, newBase, changed := p.written()
		if !changed || len(next.Head.Bookings) > foldAt+1 || len(next.Bookings()) != i+1 {
			t.Fatalf("guest %d: changed %t, %d bookings in the Ledger, %d in all", i, changed, len(next.Head.Bookings), len(next.Bookings()))
		}
		if newBase {
			bases++
		}
		v = next
	}
	if bases > 250/foldAt+1 {
		t.Errorf("250 bookings took %d writes of the base", bases)
	}
}

// disk holds a Ledger and its base as the API does: who writes names the version that was read.
type disk struct {
	head, base v1alpha1.Ledger
	version    int
}

func (d *disk) read() Volume { return Volume{Head: d.head.DeepCopy(), Base: d.base.DeepCopy()} }

func (d *disk) write(to, ledger *v1alpha1.Ledger) bool {
	if to.ResourceVersion != ledger.ResourceVersion {
		return false
	}
	d.version++
	ledger.ResourceVersion = strconv.Itoa(d.version)
	*to = *ledger.DeepCopy()
	return true
}

// TestVolumeRaces: several hubs, each with what it remembers, write one Ledger and die between the base and the
// Ledger. What was promised is what whoever reads finds, at any moment.
func TestVolumeRaces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := &disk{}
		d.head.Name = "cell.c"
		known := make([]*Volume, 3)
		promised := map[string]v1alpha1.Booking{}
		for range rapid.IntRange(1, 300).Draw(t, "passes") {
			hub := rapid.IntRange(0, len(known)-1).Draw(t, "hub")
			if known[hub] == nil {
				v := d.read()
				known[hub] = &v
			}
			p := newPage(*known[hub])
			for range rapid.IntRange(0, 20).Draw(t, "edits") {
				id := fmt.Sprintf("g%09d", rapid.IntRange(0, 60).Draw(t, "guest"))
				if rapid.Bool().Draw(t, "drop") {
					p.keep(func(b v1alpha1.Booking) bool { return b.ID != id })
				} else {
					p.set(v1alpha1.Booking{ID: id, PlainPort: int32(rapid.IntRange(1, 3).Draw(t, "port"))}, now)
				}
			}
			next, newBase, changed := p.written()
			if !changed {
				continue
			}
			known[hub] = nil
			if newBase && !d.write(&d.base, next.Base) {
				continue // a conflict: nothing is promised
			}
			if dies := rapid.IntRange(0, 5).Draw(t, "dies") == 0; !dies && d.write(&d.head, next.Head) {
				known[hub], promised = &next, next.byID()
			}
			if diff := cmp.Diff(sorted(promised), d.read().Bookings()); diff != "" {
				t.Fatalf("promised, and read (-promised +read):\n%s", diff)
			}
		}
	})
}

// TestLedgerOfAnEarlierBuild has every booking in itself and no base: the first change moves them there.
func TestLedgerOfAnEarlierBuild(t *testing.T) {
	v := Volume{Head: &v1alpha1.Ledger{ObjectMeta: metav1.ObjectMeta{Name: "cell.c"}}, Base: &v1alpha1.Ledger{}}
	for i := range 250 {
		v.Head.Bookings = append(v.Head.Bookings, v1alpha1.Booking{ID: fmt.Sprintf("g%09d", i), PlainPort: int32(i)})
	}
	p := newPage(v)
	p.keep(func(b v1alpha1.Booking) bool { return b.ID != "g000000007" })
	next, newBase, changed := p.written()
	if !changed || !newBase || next.Base.Name != v1alpha1.BaseLedger("cell.c") || len(next.Base.Bookings) != 250 {
		t.Fatalf("changed %t, new base %t: %q with %d bookings", changed, newBase, next.Base.Name, len(next.Base.Bookings))
	}
	if len(next.Head.Bookings) != 0 || len(next.Head.Dropped) != 1 || len(next.Bookings()) != 249 {
		t.Errorf("the Ledger says %d bookings, %q dropped; %d in all", len(next.Head.Bookings), next.Head.Dropped, len(next.Bookings()))
	}
	// Whoever dies after the base has written nothing that was not promised.
	if diff := cmp.Diff(v.Bookings(), Volume{Head: v.Head, Base: next.Base}.Bookings()); diff != "" {
		t.Errorf("the old Ledger on the new base (-before +then):\n%s", diff)
	}
}
