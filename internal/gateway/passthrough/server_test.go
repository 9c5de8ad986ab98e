package passthrough

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/internal/gateway/backend"
	"github.com/myriad-fleet/myriad/internal/gateway/gatewaytest"
	"github.com/myriad-fleet/myriad/internal/gateway/health"
	"github.com/myriad-fleet/myriad/internal/gateway/routing"
)

// silentProber knows nothing, so that every back end stays as it is.
type silentProber struct{}

func (silentProber) Probe(ctx context.Context) health.Outcome {
	<-ctx.Done()
	return health.Broken
}

func (silentProber) Close() {}

// fixture is a server of guests whose back ends are not probed.
type fixture struct {
	*Server
	set      *backend.Set
	listener *net.TCPListener

	mutex   sync.Mutex
	results map[Result]int
	retries int
}

func (f *fixture) result(result Result) int {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return f.results[result]
}

// newFixture with the shared port's address.
func newFixture(t *testing.T, routes ...routing.Route) (f *fixture, shared string) {
	t.Helper()
	return newImpatientFixture(t, 5*time.Second, routes...)
}

// newImpatientFixture gives clients only so long to say hello.
func newImpatientFixture(t *testing.T, helloTimeout time.Duration, routes ...routing.Route) (f *fixture, shared string) {
	t.Helper()
	f = &fixture{results: map[Result]int{}}
	f.set = backend.New(backend.Options{
		NewProber:     func(routing.Route, routing.Backend) (backend.Prober, error) { return silentProber{}, nil },
		ProbeInterval: time.Hour,
		Cut:           func(int, backend.CutReason) {},
		Clock:         clock.RealClock{},
		Log:           slog.New(slog.DiscardHandler),
	})
	f.Server = NewServer(Options{
		Guests:        f.set,
		HelloTimeout:  helloTimeout,
		AnswerTimeout: 2 * time.Second,
		Count: func(result Result) {
			f.mutex.Lock()
			defer f.mutex.Unlock()
			f.results[result]++
		},
		Retried: func() {
			f.mutex.Lock()
			defer f.mutex.Unlock()
			f.retries++
		},
		Clock: clock.RealClock{},
		Log:   slog.New(slog.DiscardHandler),
	})
	f.apply(routes...)
	f.listener = listen(t)
	f.Serve(f.listener, "")
	t.Cleanup(func() {
		_ = f.listener.Close()
		now, cancel := context.WithCancel(context.Background())
		cancel()
		f.Shutdown(now)
		f.set.Close()
	})
	return f, f.listener.Addr().String()
}

// listen on a free port.
func listen(t *testing.T) *net.TCPListener {
	t.Helper()
	listener, err := Listen(t.Context(), netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

func (f *fixture) apply(routes ...routing.Route) {
	table := routing.Table{Routes: map[string]routing.Route{}}
	for _, route := range routes {
		table.Routes[route.ID] = route
	}
	f.set.Apply(table)
}

// plain port of a guest.
func (f *fixture) plain(t *testing.T, id string) string {
	t.Helper()
	listener := listen(t)
	t.Cleanup(func() { _ = listener.Close() })
	f.Serve(listener, id)
	return listener.Addr().String()
}

func TestRoutesByServerName(t *testing.T) {
	one, two := gatewaytest.NewGuest(t, "one"), gatewaytest.NewGuest(t, "two")
	_, shared := newFixture(t, one.Route(1, one.Start(t, "zone-one")), two.Route(1, two.Start(t, "zone-two")))
	for guest, want := range map[*gatewaytest.Guest]string{one: "zone-one", two: "zone-two"} {
		config := guest.Client()
		config.ServerName = strings.ToUpper(config.ServerName)
		if got := gatewaytest.MustDial(t, shared, config).Zone; got != want {
			t.Errorf("a client of %s reached %s", guest.ID, got)
		}
	}
}

func TestRefusesUnknownNames(t *testing.T) {
	guest := gatewaytest.NewGuest(t, "g")
	f, shared := newFixture(t, guest.Route(1, guest.Start(t, "a")))
	cases := map[string]struct {
		reason string
		config *tls.Config
	}{
		"Unknown":  {reason: "No guest has the name.", config: gatewaytest.NewGuest(t, "other").Client()},
		"Nameless": {reason: "Without a name the shared port does not know whom.", config: guest.NamelessClient()},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := gatewaytest.Dial(t, shared, tc.config)
			if err == nil || !strings.Contains(err.Error(), "unrecognized name") {
				t.Errorf("%s\nthe client sees: %v, want the TLS alert unrecognized_name", tc.reason, err)
			}
		})
	}
	gatewaytest.Eventually(t, "both are counted", func() bool { return f.result(UnknownName) == 2 })
}

func TestPlainPortNeedsNoName(t *testing.T) {
	guest := gatewaytest.NewGuest(t, "g")
	f, _ := newFixture(t, guest.Route(1, guest.Start(t, "a")))
	if got := gatewaytest.MustDial(t, f.plain(t, "g"), guest.NamelessClient()).Zone; got != "a" {
		t.Errorf("reached zone %q", got)
	}
}

func TestGivesUpOnSlowHello(t *testing.T) {
	f, shared := newImpatientFixture(t, time.Millisecond)
	client, err := net.Dial("tcp", shared)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("a silent client sees %v, want the end", err)
	}
	gatewaytest.Eventually(t, "it is counted", func() bool { return f.result(NoHello) == 1 })
}

func TestRetries(t *testing.T) {
	cases := map[string]struct {
		reason string
		fault  func(*gatewaytest.APIServer)
	}{
		"Dead":    {reason: "A refused dial goes to the next back end.", fault: (*gatewaytest.APIServer).Kill},
		"Hanging": {reason: "So does a hello that stays without an answer.", fault: (*gatewaytest.APIServer).Hang},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			guest := gatewaytest.NewGuest(t, "g")
			a, b := guest.Start(t, "a"), guest.Start(t, "b")
			f, shared := newFixture(t, guest.Route(1, a, b))
			tc.fault(a)
			for range 4 {
				watch := gatewaytest.MustDial(t, shared, guest.Client())
				if err := watch.Ping(); err != nil || watch.Zone != "b" {
					t.Errorf("%s\nreached zone %q: %v", tc.reason, watch.Zone, err)
				}
			}
			f.mutex.Lock()
			defer f.mutex.Unlock()
			if f.retries != 1 {
				t.Errorf("%s\n%d connections tried the faulty back end; it should be avoided after the first", tc.reason, f.retries)
			}
		})
	}
}

func TestSlowIsBetterThanNone(t *testing.T) {
	guest := gatewaytest.NewGuest(t, "g")
	slow, dead := guest.Start(t, "slow"), guest.Start(t, "dead")
	f, shared := newFixture(t, guest.Route(1, slow, dead))
	for _, candidate := range f.set.Candidates("g") {
		if candidate.Address() == dead.Backend.HostPort() {
			candidate.Suspect() // as the first client that was refused has left it
		}
	}
	dead.Kill()
	slow.Hang()
	time.AfterFunc(3*f.options.AnswerTimeout, slow.Resume)
	if got := gatewaytest.MustDial(t, shared, guest.Client()).Zone; got != "slow" {
		t.Errorf("reached zone %q", got)
	}
}

func TestNoBackend(t *testing.T) {
	guest := gatewaytest.NewGuest(t, "g")
	dead := guest.Start(t, "a")
	dead.Kill()
	for name, route := range map[string]routing.Route{"NoneReported": guest.Route(1), "AllDead": guest.Route(1, dead)} {
		t.Run(name, func(t *testing.T) {
			f, shared := newFixture(t, route)
			if _, err := gatewaytest.Dial(t, shared, guest.Client()); err == nil {
				t.Error("a guest without back ends was reached")
			}
			gatewaytest.Eventually(t, "it is counted", func() bool { return f.result(NoBackend) == 1 })
		})
	}
}

// rawServer is no TLS server: it reads to the client's end and then answers with what it read.
func rawServer(t *testing.T) routing.Backend {
	t.Helper()
	listener := listen(t)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		connection, err := listener.AcceptTCP()
		if err != nil {
			return
		}
		defer func() { _ = connection.Close() }()
		received, err := io.ReadAll(connection)
		if err == nil {
			_, _ = connection.Write(received)
		}
	}()
	address := netip.MustParseAddrPort(listener.Addr().String())
	return routing.Backend{Zone: "a", Address: address.Addr().String(), Port: int32(address.Port())}
}

func TestHalfCloseAndBulk(t *testing.T) {
	f, _ := newFixture(t, routing.Route{ID: "g", Epoch: 1, Backends: []routing.Backend{rawServer(t)}})
	connection, err := net.Dial("tcp", f.plain(t, "g"))
	if err != nil {
		t.Fatal(err)
	}
	client := connection.(*net.TCPConn)
	defer func() { _ = client.Close() }()
	sent := bytes.Repeat([]byte("GET "), 4<<20)
	if _, err := client.Write(sent); err != nil {
		t.Fatal(err)
	}
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	received, err := io.ReadAll(client)
	if err != nil || !bytes.Equal(sent, received) {
		t.Errorf("sent %d bytes and closed that way; %d came back: %v", len(sent), len(received), err)
	}
}

func TestCut(t *testing.T) {
	guest := gatewaytest.NewGuest(t, "g")
	f, shared := newFixture(t, guest.Route(1, guest.Start(t, "old")))
	watch := gatewaytest.MustDial(t, shared, guest.Client())
	f.apply(guest.Route(2, guest.Start(t, "new")))
	if err := watch.Ended(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a client of the old epoch sees %v, want a reset", err)
	}
	if got := gatewaytest.MustDial(t, shared, guest.Client()).Zone; got != "new" {
		t.Errorf("then it reaches %q", got)
	}
}

func TestShutdown(t *testing.T) {
	guest := gatewaytest.NewGuest(t, "g")
	f, shared := newFixture(t, guest.Route(1, guest.Start(t, "a")))
	long, short := gatewaytest.MustDial(t, shared, guest.Client()), gatewaytest.MustDial(t, shared, guest.Client())
	if err := f.listener.Close(); err != nil {
		t.Fatal(err)
	}
	grace, over := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() {
		f.Shutdown(grace)
		close(stopped)
	}()
	short.Close()
	if err := long.Ping(); err != nil {
		t.Errorf("a connection was cut within the grace: %v", err)
	}
	over()
	if err := long.Ended(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after the grace the client sees %v, want a reset", err)
	}
	<-stopped
	if got := f.result(Served); got != 2 {
		t.Errorf("Shutdown returned after %d of 2 connections", got)
	}
}
