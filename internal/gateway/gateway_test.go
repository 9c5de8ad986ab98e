package gateway

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/myriad-fleet/myriad/internal/gateway/gatewaytest"
	"github.com/myriad-fleet/myriad/internal/gateway/health"
)

const anyPort = "127.0.0.1:0"

// freePort on loopback.
func freePort(t *testing.T) (port int32, address string) {
	t.Helper()
	listener, err := net.Listen("tcp", anyPort)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	address = listener.Addr().String()
	return int32(netip.MustParseAddrPort(address).Port()), address
}

func TestFollowsTheHub(t *testing.T) {
	expectNoLeaks(t)
	hub := gatewaytest.NewHub(t)
	hub.SetCells(region, "hz-1")
	gateway := start(t, t.TempDir(), hub.Config(), anyPort)
	guest := gatewaytest.NewGuest(t, "g")
	_, err := gatewaytest.Dial(t, gateway.shared, guest.Client())
	if err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("before the guest is known: %v", err)
	}

	first := guest.Route(1, guest.Start(t, "old"))
	port, plain := freePort(t)
	first.PlainPort = port
	hub.SetRoute("hz-1", first)
	gateway.await("g", "old", health.Ready)
	gatewaytest.Eventually(t, "its plain port is open", func() bool {
		connection, err := net.Dial("tcp", plain)
		return err == nil && connection.Close() == nil
	})
	bySNI := gatewaytest.MustDial(t, gateway.shared, guest.Client())
	byPort := gatewaytest.MustDial(t, plain, guest.NamelessClient())

	hub.SetCells(region, "hz-1", "hz-2")
	other := gatewaytest.NewGuest(t, "other")
	hub.SetRoute("hz-2", other.Route(1, other.Start(t, "other")))
	gateway.await("other", "other", health.Ready)
	for _, watch := range []*gatewaytest.Watch{bySNI, byPort} {
		if err := watch.Ping(); err != nil {
			t.Errorf("a guest and a cell that came cut the watch of another: %v", err)
		}
	}

	second := guest.Route(2, guest.Start(t, "new"))
	second.PlainPort = port
	hub.SetRoute("hz-2", second)
	for _, watch := range []*gatewaytest.Watch{bySNI, byPort} {
		if err := watch.Ended(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a watch to the old epoch sees %v, want a reset", err)
		}
	}
	if got := gatewaytest.MustDial(t, plain, guest.NamelessClient()).Zone; got != "new" {
		t.Errorf("after the move the guest is reached in zone %q", got)
	}

	hub.SetTombstone("hz-2", second)
	gatewaytest.Eventually(t, "the plain port closes with the tombstone", func() bool {
		connection, err := net.Dial("tcp", plain)
		if err == nil {
			connection.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	})
	if _, err := gatewaytest.Dial(t, gateway.shared, guest.Client()); err == nil {
		t.Error("a deleted guest is still reached")
	}
}

func TestNothingEndsBecauseItIsMissing(t *testing.T) {
	expectNoLeaks(t)
	hub := gatewaytest.NewHub(t)
	hub.SetCells(region, "hz-1")
	dir := t.TempDir()
	gateway := start(t, dir, hub.Config(), anyPort)
	guest := gatewaytest.NewGuest(t, "g")
	hub.SetRoute("hz-1", guest.Route(1, guest.Start(t, "a")))
	gateway.await("g", "a", health.Ready)
	watch := gatewaytest.MustDial(t, gateway.shared, guest.Client())

	check := func(when string) {
		t.Helper()
		if err := watch.Ping(); err != nil {
			t.Errorf("%s: the watch was cut: %v", when, err)
		}
		if err := gatewaytest.MustDial(t, gateway.shared, guest.Client()).Ping(); err != nil {
			t.Errorf("%s: %v", when, err)
		}
	}
	hub.Forget("hz-1", "g")
	gatewaytest.Eventually(t, "status tells of a guest that the hub does not know", func() bool {
		return cmp.Equal([]string{"g"}, gateway.status().Unconfirmed)
	})
	check("the hub forgot the guest")
	hub.SetCells(region)
	gatewaytest.Eventually(t, "the cell is not watched any more", func() bool { return len(gateway.status().Cells) == 0 })
	check("the hub forgot the cell")
	hub.Away(true)
	check("the hub is away")

	watch.Close()
	gateway.stop()
	gateway = start(t, dir, hub.Config(), anyPort)
	watch = gatewaytest.MustDial(t, gateway.shared, guest.Client())
	check("started while the hub is away")
	gateway.stop()
	gateway = start(t, dir, nil, anyPort)
	watch = gatewaytest.MustDial(t, gateway.shared, guest.Client())
	check("started without a hub")
}

func TestCatchesUpWithTheHub(t *testing.T) {
	expectNoLeaks(t)
	hub := gatewaytest.NewHub(t)
	hub.SetCells(region, "hz-1")
	gateway := start(t, t.TempDir(), hub.Config(), anyPort)
	gatewaytest.Eventually(t, "the cell is synced", func() bool {
		cells := gateway.status().Cells
		return len(cells) == 1 && cells[0].Synced
	})
	hub.Away(true)
	guest := gatewaytest.NewGuest(t, "g")
	hub.SetRoute("hz-1", guest.Route(1, guest.Start(t, "a")))
	hub.Away(false)
	gateway.await("g", "a", health.Ready)
}

func TestHangingZone(t *testing.T) {
	expectNoLeaks(t)
	guest := gatewaytest.NewGuest(t, "g")
	a, b, c := guest.Start(t, "a"), guest.Start(t, "b"), guest.Start(t, "c")
	dir := t.TempDir()
	write(t, dir, guest.Route(1, a, b, c))
	gateway := start(t, dir, nil, anyPort)
	for _, zone := range []string{"a", "b", "c"} {
		gateway.await("g", zone, health.Ready)
	}
	watches := map[string]*gatewaytest.Watch{}
	for range 3 {
		watch := gatewaytest.MustDial(t, gateway.shared, guest.Client())
		watches[watch.Zone] = watch
	}
	if len(watches) != 3 {
		t.Fatalf("three connections are not spread over three zones: %v", watches)
	}

	b.Hang()
	if err := watches["b"].Ended(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client of the hung zone sees %v, want a reset", err)
	}
	for range 6 {
		if zone := gatewaytest.MustDial(t, gateway.shared, guest.Client()).Zone; zone == "b" {
			t.Error("a new connection went to the hung zone")
		}
	}
	for _, zone := range []string{"a", "c"} {
		if err := watches[zone].Ping(); err != nil {
			t.Errorf("a watch in healthy zone %s was cut: %v", zone, err)
		}
	}
	b.Resume()
	gateway.await("g", "b", health.Ready)
	if zone := gatewaytest.MustDial(t, gateway.shared, guest.Client()).Zone; zone != "b" {
		t.Errorf("the zone that is back has the fewest connections, but %s got one", zone)
	}
}

func TestDrainingAndDeadZones(t *testing.T) {
	expectNoLeaks(t)
	guest := gatewaytest.NewGuest(t, "g")
	a, b := guest.Start(t, "a"), guest.Start(t, "b")
	dir := t.TempDir()
	write(t, dir, guest.Route(1, a, b))
	gateway := start(t, dir, nil, anyPort)
	gateway.await("g", "a", health.Ready)
	gateway.await("g", "b", health.Ready)
	watch := gatewaytest.MustDial(t, gateway.shared, guest.Client())
	drained, other := a, "b"
	if watch.Zone == "b" {
		drained, other = b, "a"
	}
	drained.Readyz.Store(gatewaytest.Draining())
	gateway.await("g", watch.Zone, health.Draining)
	for range 4 {
		if zone := gatewaytest.MustDial(t, gateway.shared, guest.Client()).Zone; zone != other {
			t.Error("a new connection went to the draining zone")
		}
	}
	if err := watch.Ping(); err != nil {
		t.Errorf("the watch in the draining zone was cut: %v", err)
	}
	drained.Kill()
	gateway.await("g", watch.Zone, health.Dead)
	if err := gatewaytest.MustDial(t, gateway.shared, guest.Client()).Ping(); err != nil {
		t.Errorf("with one zone dead: %v", err)
	}
}

func TestTakenPlainPortIsRetried(t *testing.T) {
	expectNoLeaks(t)
	other, err := net.Listen("tcp", anyPort)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	address := netip.MustParseAddrPort(other.Addr().String())
	guest := gatewaytest.NewGuest(t, "g")
	route := guest.Route(1, guest.Start(t, "a"))
	route.PlainPort = int32(address.Port())
	dir := t.TempDir()
	write(t, dir, route)
	gateway := start(t, dir, nil, anyPort)
	gatewaytest.Eventually(t, "status names the port", func() bool { return gateway.status().FailingPorts[address.Port()] != "" })
	if err := gatewaytest.MustDial(t, gateway.shared, guest.Client()).Ping(); err != nil {
		t.Errorf("by its server name the guest is reached all the same: %v", err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	gatewaytest.Eventually(t, "the port is opened once it is free", func() bool { return len(gateway.status().FailingPorts) == 0 })
	gatewaytest.MustDial(t, address.String(), guest.NamelessClient())
}

func TestTwoGatewaysShareAnAddress(t *testing.T) {
	expectNoLeaks(t)
	guest := gatewaytest.NewGuest(t, "g")
	route := guest.Route(1, guest.Start(t, "a"))
	route.PlainPort, _ = freePort(t)
	dirs := []string{t.TempDir(), t.TempDir()}
	write(t, dirs[0], route)
	write(t, dirs[1], route)
	first := start(t, dirs[0], nil, anyPort)
	second := start(t, dirs[1], nil, first.shared)
	served := func(gateway *running) int { return gateway.backends("g")[0].Connections }
	gatewaytest.Eventually(t, "the kernel spreads connections over both", func() bool {
		gatewaytest.MustDial(t, first.shared, guest.Client())
		return served(first) > 0 && served(second) > 0
	})
	first.stop()
	for range 10 {
		if err := gatewaytest.MustDial(t, second.shared, guest.Client()).Ping(); err != nil {
			t.Errorf("with one gateway stopped: %v", err)
		}
	}
}

func TestBrokenTable(t *testing.T) {
	expectNoLeaks(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "routes.json")
	if err := os.WriteFile(path, []byte(`{"version":1,"routes":[{"id`), 0o600); err != nil {
		t.Fatal(err)
	}
	hub := gatewaytest.NewHub(t)
	hub.SetCells(region, "hz-1")
	guest := gatewaytest.NewGuest(t, "g")
	hub.SetRoute("hz-1", guest.Route(1, guest.Start(t, "a")))
	gateway := start(t, dir, hub.Config(), anyPort)
	gateway.await("g", "a", health.Ready)
	if kept, err := os.ReadFile(path + ".broken"); err != nil || !strings.HasSuffix(string(kept), `{"id`) {
		t.Errorf("the broken table is not kept as it was: %q, %v", kept, err)
	}
}
