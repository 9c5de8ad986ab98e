package passthrough

import (
	"log/slog"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/myriad-fleet/myriad/internal/gateway/gatewaytest"
)

func TestPorts(t *testing.T) {
	one, two := gatewaytest.NewGuest(t, "one"), gatewaytest.NewGuest(t, "two")
	f, _ := newFixture(t, one.Route(1, one.Start(t, "zone-one")), two.Route(1, two.Start(t, "zone-two")))
	ports := NewPorts(f.Server, netip.MustParseAddr("127.0.0.1"), slog.New(slog.DiscardHandler))
	t.Cleanup(ports.Close)

	// A listener without SO_REUSEPORT, as any other program's: its port is taken.
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	number := netip.MustParseAddrPort(other.Addr().String()).Port()
	wanted := map[uint16]string{number: "one"}
	if ports.Sync(t.Context(), wanted) {
		t.Error("Sync says that a port is open which another program has")
	}
	if reason := ports.Failing()[number]; reason == "" {
		t.Error("Failing does not name the port")
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if !ports.Sync(t.Context(), wanted) {
		t.Fatalf("the port is free now: %v", ports.Failing())
	}
	address := other.Addr().String()
	watch := gatewaytest.MustDial(t, address, one.NamelessClient())

	if !ports.Sync(t.Context(), map[uint16]string{number: "two"}) {
		t.Fatalf("the port changes hands: %v", ports.Failing())
	}
	if got := gatewaytest.MustDial(t, address, two.NamelessClient()).Zone; got != "zone-two" {
		t.Errorf("the port's new guest is not reached, but %q", got)
	}
	if err := watch.Ping(); err != nil {
		t.Errorf("a connection was cut by a change of ports: %v", err)
	}

	if !ports.Sync(t.Context(), nil) {
		t.Error("no port is wanted and one is missing")
	}
	if _, err := net.Dial("tcp", address); err == nil {
		t.Error("a port that nobody wants is open")
	}
	if diff := cmp.Diff(map[uint16]string{}, ports.Failing()); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
}

func TestListenersShareAPort(t *testing.T) {
	guest := gatewaytest.NewGuest(t, "g")
	route := guest.Route(1, guest.Start(t, "a"))
	first, shared := newFixture(t, route)
	second, _ := newFixture(t, route)
	listener, err := Listen(t.Context(), netip.MustParseAddrPort(shared))
	if err != nil {
		t.Fatalf("the second of two gateways: %v", err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	second.Serve(listener, "")
	if err := first.listener.Close(); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if err := gatewaytest.MustDial(t, shared, guest.Client()).Ping(); err != nil {
			t.Errorf("with one gateway gone: %v", err)
		}
	}
}
