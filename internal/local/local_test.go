package local

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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

// TestClaimThatWasCleared: the registry lies in /var/tmp, where systemd removes what is old, and the home's own hub listens.
func TestClaimThatWasCleared(t *testing.T) {
	r := registry{dir: filepath.Join(t.TempDir(), "claims")}
	home := testHome(t)
	network, err := r.claim(home)
	if err != nil {
		t.Fatal(err)
	}
	home.Settings.Network = network
	hub, err := net.Listen("tcp", net.JoinHostPort(hubHosts(network).apiServer.String(), strconv.Itoa(hubPort)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = hub.Close() }()
	if err := os.RemoveAll(r.dir); err != nil {
		t.Fatal(err)
	}
	if _, err := r.claim(home); err == nil {
		t.Error("a network on which another program listens was claimed")
	}
	supervisor := exec.Command("sh", "-c", "read line", home.PlatformDir())
	stdin, err := supervisor.StdinPipe()
	if err == nil {
		err = supervisor.Start()
	}
	if err == nil {
		err = os.MkdirAll(home.PlatformDir(), 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(home.PlatformDir(), "supervisor.lock"), []byte(strconv.Itoa(supervisor.Process.Pid)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = stdin.Close(), supervisor.Wait() }()
	if again, err := r.claim(home); err != nil || again != network {
		t.Errorf("the home, which runs, got %s, error %v; its own is %s", again, err, network)
	}
}

// TestRecoveryKeyHalfWritten: a run that died between the key and its public half is repaired, and a key that cannot be
// read is never replaced.
func TestRecoveryKeyHalfWritten(t *testing.T) {
	home := testHome(t)
	first, err := home.keepRecoveryKeys([]string{"cn"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(home.path("recovery", "cn.pub")); err != nil {
		t.Fatal(err)
	}
	second, err := home.keepRecoveryKeys([]string{"cn"})
	if err != nil || second["cn"] != first["cn"] {
		t.Errorf("then %q, first %q: %v", second, first, err)
	}
	if err := errors.Join(os.Remove(home.path("recovery", "cn.pub")), os.WriteFile(home.path("recovery", "cn.key"), []byte("AGE-SECRET-KEY-1"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if got, err := home.keepRecoveryKeys([]string{"cn"}); err == nil {
		t.Errorf("a broken key was replaced: %v", got)
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
