package routing

import (
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// placements draws orders of few ids, cells and epochs, so that they collide; one per id and cell, as in a
// namespace of the hub.
func placements(t *rapid.T) []Placement {
	type key struct{ id, cell string }
	drawn := rapid.SliceOfDistinct(rapid.Custom(func(t *rapid.T) Placement {
		placement := Placement{
			ID:        rapid.SampledFrom([]string{"g1", "g2", "g3"}).Draw(t, "id"),
			Cell:      rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "cell"),
			Epoch:     rapid.Int64Range(1, 4).Draw(t, "epoch"),
			Tombstone: rapid.IntRange(0, 4).Draw(t, "tombstone") == 0,
			PlainPort: 7001,
		}
		if rapid.Bool().Draw(t, "superseded") {
			placement.SupersededBy = rapid.Int64Range(1, 5).Draw(t, "successor")
		}
		placement.ServerName = placement.ID + ".example"
		placement.CABundle = "ca-" + placement.Cell
		for zone := range rapid.IntRange(0, 2).Draw(t, "backends") {
			placement.Backends = append(placement.Backends, Backend{
				Zone: strconv.Itoa(zone), Address: placement.Cell + strconv.FormatInt(placement.Epoch, 10), Port: 6443,
			})
		}
		return placement
	}), func(p Placement) key { return key{p.ID, p.Cell} })
	return drawn.Draw(t, "placements")
}

func TestOrderOfArrivalDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := placements(t)
		shuffled := rapid.Permutation(all).Draw(t, "order")
		table := Build(Table{}, nil)
		for count := range shuffled {
			table = Build(table, shuffled[:count+1])
		}
		if diff := cmp.Diff(Build(Table{}, all), table); diff != "" {
			t.Errorf("all at once (-), one by one (+):\n%s", diff)
		}
	})
}

func TestInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var table Table
		for range rapid.IntRange(1, 5).Draw(t, "steps") {
			known := placements(t)
			next := Build(table, known)
			for _, placement := range known {
				route, routed := next.Routes[placement.ID]
				if routed && route.Epoch < placement.Epoch {
					t.Errorf("epoch %d of %s is routed, %d is known", route.Epoch, placement.ID, placement.Epoch)
				}
				if !routed && next.Tombstones[placement.ID] < placement.Epoch {
					t.Errorf("epoch %d of %s is not routed and was not ended", placement.Epoch, placement.ID)
				}
			}
			for id, before := range table.Routes {
				after, routed := next.Routes[id]
				if !routed && next.Tombstones[id] < before.Epoch {
					t.Errorf("the route of %s left without a tombstone", id)
				}
				if routed && after.Epoch < before.Epoch {
					t.Errorf("the route of %s went back from epoch %d to %d", id, before.Epoch, after.Epoch)
				}
			}
			for id, epoch := range next.Tombstones {
				if epoch < table.Tombstones[id] || next.Routes[id].Epoch > 0 && next.Routes[id].Epoch <= epoch {
					t.Errorf("the tombstone of %s at epoch %d is not final", id, epoch)
				}
			}
			if diff := cmp.Diff(next, Build(next, known)); diff != "" {
				t.Errorf("building twice changes the table:\n%s", diff)
			}
			table = next
		}
	})
}

func TestEncodeDecode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := Build(Table{}, placements(t))
		data, err := Encode(table)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(table, again); diff != "" {
			t.Errorf("written (-), read (+):\n%s", diff)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"version":1,"routes":[{"id":"g","epoch":1,"backends":[{"zone":"a","address":"x","port":1}]}]}`))
	f.Add([]byte(`{"version":2}`))
	f.Add([]byte(`{"version":1,"routes":[{"id":"g","epoch":1},{"id":"g","epoch":2}]}`))
	f.Add([]byte(``))
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := Decode(data)
		if err != nil {
			return
		}
		for id, route := range table.Routes {
			if id == "" || route.ID != id || route.Epoch < 1 {
				t.Errorf("Decode accepted the route %q: %+v", id, route)
			}
		}
	})
}
