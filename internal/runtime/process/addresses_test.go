package process

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/myriad-fleet/myriad/internal/controlplane"
)

var network = netip.MustParsePrefix("127.9.16.0/20")

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func open(t *testing.T, dir string) *addresses {
	t.Helper()
	a, err := openAddresses(dir, network, writeAtomically, quiet())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func reserve(t *testing.T, a *addresses, id string, names ...string) map[string]string {
	t.Helper()
	reserved, err := a.reserve(id, names, quiet())
	if err != nil {
		t.Fatal(err)
	}
	hosts := map[string]string{}
	for name, address := range reserved {
		hosts[name] = address.String()
	}
	return hosts
}

func TestReserve(t *testing.T) {
	dir := t.TempDir()
	a := open(t, dir)
	steps := []struct {
		reason string
		id     string
		names  []string
		want   map[string]string
	}{
		{"the first block is the cell's own", "g1", []string{"etcd-a", "api-a"}, map[string]string{"etcd-a": "127.9.16.17", "api-a": "127.9.16.18"}},
		{"each guest has its block", "g2", []string{"etcd-a"}, map[string]string{"etcd-a": "127.9.16.33"}},
		{"the same answer every time, in any order", "g1", []string{"api-a", "etcd-a"}, map[string]string{"etcd-a": "127.9.16.17", "api-a": "127.9.16.18"}},
		{"new names come after the old ones", "g1", []string{"api-b", "etcd-a"}, map[string]string{"etcd-a": "127.9.16.17", "api-b": "127.9.16.19"}},
	}
	for _, step := range steps {
		for range 2 { // once more from disk
			if diff := cmp.Diff(step.want, reserve(t, a, step.id, step.names...)); diff != "" {
				t.Errorf("%s: reserve(): -want +got:\n%s", step.reason, diff)
			}
			a = open(t, dir)
		}
	}
	if err := a.release("g1"); err != nil {
		t.Fatal(err)
	}
	if got := reserve(t, open(t, dir), "g3", "x")["x"]; got != "127.9.16.49" {
		t.Errorf("a block just released must not be the next one given: got %s", got)
	}
}

func TestReserveExhausted(t *testing.T) {
	book := addressBook{}
	for i := range 255 {
		if _, _, err := book.reserve(network, fmt.Sprintf("g%d", i), []string{"x"}); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err := book.reserve(network, "one-more", []string{"x"})
	if err == nil || !strings.Contains(err.Error(), "255 guests") {
		t.Errorf("want an error that says how many guests live here, got %v", err)
	}
	delete(book.Guests, "g7")
	if got, _, err := book.reserve(network, "one-more", []string{"x"}); err != nil || got["x"].String() != "127.9.16.129" {
		t.Errorf("want the block that became free, got %v, %v", got, err)
	}
	names := strings.Fields("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16")
	if _, _, err := book.reserve(network, "g1", names); err == nil {
		t.Error("more components than a block has addresses: want an error")
	}
}

func TestReserveNeverShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		small := netip.MustParsePrefix("127.9.16.0/25")
		book := addressBook{}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			id := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g", "h", "i"}).Draw(t, "id")
			if rapid.Bool().Draw(t, "release") {
				delete(book.Guests, id)
				continue
			}
			before := book.Guests[id]
			names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"u", "v", "w", "x"}), 1, 4, rapid.ID[string]).Draw(t, "names")
			got, _, err := book.reserve(small, id, names)
			if err != nil {
				if len(book.Guests) < 7 {
					t.Fatalf("%v with %d guests", err, len(book.Guests))
				}
				continue
			}
			for name, address := range before {
				if now, asked := got[name]; asked && now != address {
					t.Fatalf("%s of %s moved from %s to %s", name, id, address, now)
				}
			}
		}
		owner := map[netip.Addr]string{}
		for id, addresses := range book.Guests {
			for name, address := range addresses {
				if owner[address] != "" || !small.Contains(address) || address.Less(netip.MustParseAddr("127.9.16.16")) {
					t.Fatalf("%s of %s has %s; also %q", name, id, address, owner[address])
				}
				owner[address] = id
			}
		}
	})
}

func TestDamagedAddresses(t *testing.T) {
	dir := t.TempDir()
	want := reserve(t, open(t, dir), "g1", "etcd-a", "api-a")
	store := func(id, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(dir, guestsDir, id), dirMode); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, guestsDir, id, manifestFile), []byte(content), fileMode); err != nil {
			t.Fatal(err)
		}
	}
	store("g1", `{"id":"g1","components":[{"name":"etcd-a","host":"127.9.16.17","program":"p"},{"name":"api-a","host":"127.9.16.18","program":"p"}]}`)
	damage := func() {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, addressesFile), []byte(`{"last":1,"gue`), fileMode); err != nil {
			t.Fatal(err)
		}
	}
	damage()
	a := open(t, dir)
	if diff := cmp.Diff(want, reserve(t, a, "g1", "etcd-a", "api-a")); diff != "" {
		t.Errorf("addresses made again from manifests: -want +got:\n%s", diff)
	}
	if got := reserve(t, a, "g2", "x")["x"]; got != "127.9.16.33" {
		t.Errorf("next guest: got %s", got)
	}
	store("g3", `{"id":"g3",`)
	damage()
	a = open(t, dir)
	if _, err := a.reserve("g4", []string{"x"}, quiet()); err == nil || !strings.Contains(err.Error(), "guest g3") {
		t.Errorf("a guest whose addresses nobody knows: want an error that names it, got %v", err)
	}
	store("g3", `{"id":"g3","components":[]}`)
	reserve(t, a, "g4", "x")
}

func TestReserveThroughClient(t *testing.T) {
	b := newBench(t, func(s *Supervisor) { s.options.Network = network })
	want := map[string]string{"x": "127.9.16.17", "y": "127.9.16.18"}
	got, err := b.Reserve(t.Context(), "g", []string{"x", "y"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Reserve(): -want +got:\n%s", diff)
	}
	if err := b.Delete(t.Context(), "g"); err != nil {
		t.Fatal(err)
	}
	var book addressBook
	if _, err := readJSON(filepath.Join(b.dir, addressesFile), &book); err != nil || len(book.Guests) > 0 {
		t.Errorf("Delete() left addresses %v, %v", book.Guests, err)
	}
	b.restart()
	if _, err := b.Reserve(t.Context(), "g", []string{"x"}); err == nil {
		t.Error("Reserve() without a network: want an error")
	}
	capacity, err := b.Capacity(t.Context())
	if err != nil || len(capacity) != 2 || capacity[0].CPU.Cmp(capacity[1].CPU) != 0 || capacity[0].Memory.IsZero() {
		t.Errorf("Capacity(): %v, %v", capacity, err)
	}
	if err := b.Apply(t.Context(), controlplane.Manifest{ID: "Bad"}); err == nil {
		t.Error("Apply() with a bad id: want an error")
	}
}
