package local

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func testHome(t *testing.T) *Home {
	t.Helper()
	home, err := createHome(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return home
}

func TestClaim(t *testing.T) {
	r := registry{dir: filepath.Join(t.TempDir(), "claims")}
	first, second := testHome(t), testHome(t)
	claim := func(home *Home) netip.Prefix {
		t.Helper()
		network, err := r.claim(home)
		if err != nil {
			t.Fatal(err)
		}
		home.Settings.Network = network
		if err := home.save(); err != nil {
			t.Fatal(err)
		}
		return network
	}
	one, two := claim(first), claim(second)
	if one == two {
		t.Fatalf("two homes got the same network %s", one)
	}
	if again := claim(first); again != one {
		t.Errorf("the second claim gave %s, the first %s", again, one)
	}

	if err := os.Remove(first.path("home.json")); err != nil {
		t.Fatal(err)
	}
	forgotten, err := createHome(first.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if found := claim(forgotten); found != one {
		t.Errorf("a home that lost home.json got %s instead of its own %s", found, one)
	}

	if err := os.RemoveAll(r.dir); err != nil {
		t.Fatal(err)
	}
	if found := claim(second); found != two {
		t.Errorf("after the registry was emptied the home got %s instead of its own %s", found, two)
	}
}

func TestClaimOfRemovedHomeIsFree(t *testing.T) {
	r := registry{dir: filepath.Join(t.TempDir(), "claims")}
	home := testHome(t)
	network, err := r.claim(home)
	if err != nil {
		t.Fatal(err)
	}
	octet := int(network.Addr().As4()[1])
	if r.take(octet, "/elsewhere") {
		t.Fatal("a living home's network was taken")
	}
	if err := os.RemoveAll(home.Dir); err != nil {
		t.Fatal(err)
	}
	if !r.take(octet, "/elsewhere") {
		t.Error("a removed home's network is not free")
	}
}

func TestReclaimRefusesAnotherHomesNetwork(t *testing.T) {
	r := registry{dir: filepath.Join(t.TempDir(), "claims")}
	first, second := testHome(t), testHome(t)
	network, err := r.claim(first)
	if err != nil {
		t.Fatal(err)
	}
	second.Settings.Network = network
	if got, err := r.claim(second); err == nil {
		t.Errorf("the second home got %s, which the first has", got)
	}
}

func TestOpenHome(t *testing.T) {
	t.Run("HalfWritten", func(t *testing.T) {
		home := testHome(t)
		if err := os.WriteFile(home.path("home.json"), []byte(`{"network": "127.`), 0o600); err != nil {
			t.Fatal(err)
		}
		opened, err := OpenHome(home.Dir)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(Settings{}, opened.Settings, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
			t.Error(diff)
		}
		if _, err := os.Stat(home.path("home.json.broken")); err != nil {
			t.Errorf("the broken file was not kept: %v", err)
		}
	})
	t.Run("NotADirectory", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenHome(file); err == nil {
			t.Error("a file was accepted as a home")
		}
	})
}

func TestCellNetworksDoNotOverlap(t *testing.T) {
	home := network(80)
	var all []netip.Prefix
	for cell := range maxCells {
		all = append(all, cellNetwork(home, cell))
	}
	for i, a := range all {
		if !home.Contains(a.Addr()) || a.Contains(gatewayHost(home, 0)) || a.Contains(hubHosts(home).apiServer) {
			t.Errorf("cell network %s lies outside %s or over the hub's addresses", a, home)
		}
		for _, b := range all[i+1:] {
			if a.Overlaps(b) {
				t.Errorf("%s and %s overlap", a, b)
			}
		}
	}
}
