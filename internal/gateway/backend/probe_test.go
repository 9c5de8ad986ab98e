package backend

import (
	"log/slog"
	"net/http"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/internal/gateway/gatewaytest"
	"github.com/myriad-fleet/myriad/internal/gateway/health"
	"github.com/myriad-fleet/myriad/internal/gateway/routing"
)

func TestReadyzProber(t *testing.T) {
	cases := map[string]struct {
		reason  string
		timeout time.Duration
		change  func(*gatewaytest.APIServer, *routing.Route)
		want    health.Outcome
	}{
		"Ready": {reason: "GET /readyz answers 200.", want: health.Answered},
		"Draining": {
			reason: "The body of a 500 says why.",
			change: func(server *gatewaytest.APIServer, _ *routing.Route) { server.Readyz.Store(gatewaytest.Draining()) },
			want:   health.ShuttingDown,
		},
		"Hanging": {
			reason:  "No answer in time.",
			timeout: 20 * time.Millisecond,
			change:  func(server *gatewaytest.APIServer, _ *routing.Route) { server.Hang() },
			want:    health.TimedOut,
		},
		"Dead": {
			reason: "Nobody listens: another loopback address, for a port that was given up may be taken by others.",
			change: func(_ *gatewaytest.APIServer, route *routing.Route) { route.Backends[0].Address = "127.255.255.9" },
			want:   health.Refused,
		},
		"WrongName": {
			reason: "A server of another guest has the address.",
			change: func(_ *gatewaytest.APIServer, route *routing.Route) { route.ServerName = "other.example" },
			want:   health.Stranger,
		},
		"Redirect": {
			reason: "A redirect is no answer of a kube-apiserver.",
			change: func(server *gatewaytest.APIServer, _ *routing.Route) {
				server.Readyz.Store(&gatewaytest.Answer{Status: http.StatusFound})
			},
			want: health.Unready,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			guest := gatewaytest.NewGuest(t, "g")
			server := guest.Start(t, "a")
			route := guest.Route(1, server)
			if tc.change != nil {
				tc.change(server, &route)
			}
			if tc.timeout == 0 {
				tc.timeout = 5 * time.Second
			}
			prober, err := NewReadyzProber(route, route.Backends[0], tc.timeout)
			if err != nil {
				t.Fatal(err)
			}
			defer prober.Close()
			if got := prober.Probe(t.Context()); got != tc.want {
				t.Errorf("%s\nProbe() = %s, want %s", tc.reason, got, tc.want)
			}
		})
	}
}

func TestProbesShareConnectionsAndRenewThem(t *testing.T) {
	guest := gatewaytest.NewGuest(t, "g")
	server := guest.Start(t, "a")
	route := guest.Route(1, server)
	prober, err := NewReadyzProber(route, route.Backends[0], 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer prober.Close()
	for range 2*freshProbes + 1 {
		if got := prober.Probe(t.Context()); got != health.Answered {
			t.Fatalf("Probe() = %s", got)
		}
	}
	if got := server.Accepted.Load(); got != 3 {
		t.Errorf("%d probes made %d connections, want 3", 2*freshProbes+1, got)
	}
}

func TestNewReadyzProberWithoutCertificate(t *testing.T) {
	if _, err := NewReadyzProber(routing.Route{CABundle: "no PEM"}, routing.Backend{}, time.Second); err == nil {
		t.Error("a CA bundle without a certificate was accepted")
	}
}

func TestSetProbes(t *testing.T) {
	guest := gatewaytest.NewGuest(t, "g")
	server := guest.Start(t, "a")
	server.Readyz.Store(&gatewaytest.Answer{Status: http.StatusInternalServerError, Body: "[-]informer-sync failed\n"})
	set := New(Options{
		NewProber: func(route routing.Route, target routing.Backend) (Prober, error) {
			return NewReadyzProber(route, target, 5*time.Second)
		},
		ProbeInterval: time.Millisecond,
		Cut:           func(int, CutReason) {},
		Clock:         clock.RealClock{},
		Log:           slog.New(slog.DiscardHandler),
	})
	defer set.Close()
	set.Apply(tableOf(guest.Route(1, server)))
	verdict := func() health.Verdict { return set.Status()[0].Backends[0].Verdict }
	gatewaytest.Eventually(t, "verdict NotReady", func() bool { return verdict() == health.NotReady })
	server.Readyz.Store(&gatewaytest.Answer{Status: http.StatusOK})
	gatewaytest.Eventually(t, "verdict Ready", func() bool { return verdict() == health.Ready })
}
