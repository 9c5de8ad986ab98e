package gateway

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/myriad-fleet/myriad/internal/gateway/backend"
	"github.com/myriad-fleet/myriad/internal/gateway/gatewaytest"
	"github.com/myriad-fleet/myriad/internal/gateway/health"
)

func TestStatus(t *testing.T) {
	expectNoLeaks(t)
	// Longer than a socket's address can be.
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	guest := gatewaytest.NewGuest(t, "g")
	server := guest.Start(t, "a")
	write(t, dir, guest.Route(3, server))
	if err := os.WriteFile(filepath.Join(dir, SocketName), nil, 0o600); err != nil { // left by a killed process
		t.Fatal(err)
	}
	gateway := start(t, dir, nil, anyPort)
	gateway.await("g", "a", health.Ready)
	gatewaytest.MustDial(t, gateway.shared, guest.Client())

	got := gateway.status()
	want := Status{
		Region: region, Instance: 1, Listen: gateway.shared, Unconfirmed: []string{"g"},
		Guests: []backend.GuestStatus{{
			ID: "g", Cell: "cell", Epoch: 3, ServerName: guest.ServerName,
			Backends: []backend.Status{{
				Zone: "a", Address: server.Backend.HostPort(), Verdict: health.Ready, Connections: 1,
			}},
		}},
	}
	got.Cells, got.FailingPorts = nil, nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Status: -want, +got:\n%s", diff)
	}

	metrics := readMetrics(t, dir)
	for _, line := range []string{
		`myriad_gateway_backend_connections{address="` + server.Backend.HostPort() + `",id="g",instance="1",region="cn-test",zone="a"} 1`,
		`myriad_gateway_backend_verdict{address="` + server.Backend.HostPort() + `",id="g",instance="1",region="cn-test",verdict="Ready",zone="a"} 1`,
		`myriad_gateway_retries_total{instance="1",region="cn-test"} 0`,
	} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("metrics lack %s:\n%s", line, metrics)
		}
	}

	gateway.stop()
	if _, err := ReadStatus(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "may not be running") {
		t.Errorf("a stopped gateway: %v", err)
	}
}

// readMetrics of the gateway of a directory.
func readMetrics(t *testing.T, dir string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dialSocket(ctx, dir) },
	}}
	response, err := client.Get("http://gateway/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(Options{Region: region, Dir: t.TempDir()}); err == nil {
		t.Error("a gateway without an address was made")
	}
	taken, err := net.Listen("tcp", anyPort)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	gateway, err := New(Options{Region: region, Dir: t.TempDir(), Listen: netip.MustParseAddrPort(taken.Addr().String())})
	if err != nil {
		t.Fatal(err)
	}
	if err := gateway.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "another program") {
		t.Errorf("Run on a port that another program has: %v", err)
	}
}
