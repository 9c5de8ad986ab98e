package gateway

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/myriad-fleet/myriad/internal/gateway/backend"
	"github.com/myriad-fleet/myriad/internal/gateway/gatewaytest"
	"github.com/myriad-fleet/myriad/internal/gateway/health"
	"github.com/myriad-fleet/myriad/internal/gateway/routing"
)

// region of all tests.
const region = "cn-test"

// quick timing: what takes seconds takes tens of milliseconds.
func quick() Timing {
	return Timing{
		ProbeInterval: 20 * time.Millisecond,
		ProbeTimeout:  2 * time.Second,
		AnswerTimeout: time.Second,
		PortRetry:     10 * time.Millisecond,
		Settle:        time.Millisecond,
		Grace:         time.Millisecond,
	}
}

// running gateway.
type running struct {
	// shared port's address.
	shared string
	// stop the gateway and wait until it has; the test's end does it too.
	stop func()

	t   *testing.T
	dir string
}

// start a gateway on a free port, or on the one given.
func start(t *testing.T, dir string, hub *rest.Config, listen string) *running {
	t.Helper()
	gateway, err := New(Options{
		Region: region, Instance: 1, Listen: netip.MustParseAddrPort(listen), Config: hub, Dir: dir,
		Timing: quick(), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() {
		if err := gateway.Run(ctx); err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
	started := &running{t: t, dir: dir, stop: func() {
		cancel()
		ended.Wait()
	}}
	t.Cleanup(started.stop)
	gatewaytest.Eventually(t, "the gateway tells its status", func() bool {
		status, err := ReadStatus(t.Context(), dir)
		started.shared = status.Listen
		return err == nil
	})
	return started
}

// status of the gateway.
func (r *running) status() Status {
	r.t.Helper()
	status, err := ReadStatus(r.t.Context(), r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	return status
}

// backends of a guest.
func (r *running) backends(id string) []backend.Status {
	for _, guest := range r.status().Guests {
		if guest.ID == id {
			return guest.Backends
		}
	}
	return nil
}

// await a verdict on a back end.
func (r *running) await(id, zone string, verdict health.Verdict) {
	r.t.Helper()
	gatewaytest.Eventually(r.t, "zone "+zone+" of "+id+" is "+string(verdict), func() bool {
		for _, target := range r.backends(id) {
			if target.Zone == zone {
				return target.Verdict == verdict && !target.Retired
			}
		}
		return false
	})
}

// write a routing table as a gateway of an earlier run has left it.
func write(t *testing.T, dir string, routes ...routing.Route) {
	t.Helper()
	table := routing.Table{Routes: map[string]routing.Route{}}
	for _, route := range routes {
		table.Routes[route.ID] = route
	}
	data, err := routing.Encode(table)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "routes.json"), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// expectNoLeaks at the end of the test: call it first, so that it looks last.
func expectNoLeaks(t *testing.T) {
	t.Helper()
	count := func() (goroutines, files int) {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return runtime.NumGoroutine(), len(entries)
	}
	goroutines, files := count()
	t.Cleanup(func() {
		gatewaytest.Eventually(t, "no goroutine and no file is left", func() bool {
			runtime.GC() // pipes that splicing has pooled
			nowGoroutines, nowFiles := count()
			return nowGoroutines <= goroutines && nowFiles <= files
		})
	})
}
