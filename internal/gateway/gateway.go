// Package gateway carries a region's clients to the API servers of their guests: by server name (TLS SNI)
// on a port that all guests share, and by a plain port per guest for clients that send no server name. TLS
// passes through unopened.
//
// A gateway needs the hub only to learn of changes: its routing table is on its disk. Two or more gateway
// processes of a region listen on the same address and know nothing of each other.
package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/internal/gateway/backend"
	"github.com/myriad-fleet/myriad/internal/gateway/hubwatch"
	"github.com/myriad-fleet/myriad/internal/gateway/passthrough"
	"github.com/myriad-fleet/myriad/internal/gateway/routing"
)

// Options of New.
type Options struct {
	// Region that the gateway serves. Required.
	Region string
	// Instance of the gateway in its region, counting from 1. It names the gateway in logs and metrics.
	Instance int
	// Listen is the address of the shared port; the plain ports of guests are on the same IP. Port 0 picks
	// a free one, which Status tells. Required.
	Listen netip.AddrPort
	// Config of the hub. Nil: the persisted table is all there is.
	Config *rest.Config
	// Dir for the routing table and the status socket, of this process alone. It is created. Required.
	Dir string
	// Timing; zero fields have defaults.
	Timing Timing
	// Clock. Default: the real one.
	Clock clock.Clock
	// Log. Default: slog.Default().
	Log *slog.Logger
}

// Timing of a gateway. With the defaults a back end that hangs is found and cut within 4 s: one interval
// until the next probe starts and two timeouts.
type Timing struct {
	// ProbeInterval from the start of one probe of a back end to the start of the next. Default 1 s.
	ProbeInterval time.Duration
	// ProbeTimeout of one probe. Default 1.5 s: longer than etcd usually takes to elect a leader.
	ProbeTimeout time.Duration
	// HelloTimeout until a client must have sent its TLS client hello. Default 10 s.
	HelloTimeout time.Duration
	// DialTimeout of a back end. Default 1 s.
	DialTimeout time.Duration
	// AnswerTimeout until a back end must have answered a client hello if another is usable. Default 1 s.
	AnswerTimeout time.Duration
	// PortRetry until plain ports that could not be opened, and a table that could not be written, are
	// tried again. Default 5 s.
	PortRetry time.Duration
	// Settle is the least time between two changes of the table, so that many changes cost one. Default 100 ms.
	Settle time.Duration
	// Grace that connections get to end by themselves after a stop was asked for. Default 5 s.
	Grace time.Duration
}

// withDefaults in the place of zeros.
func (t Timing) withDefaults() Timing {
	return Timing{
		ProbeInterval: cmp.Or(t.ProbeInterval, time.Second),
		ProbeTimeout:  cmp.Or(t.ProbeTimeout, 1500*time.Millisecond),
		HelloTimeout:  cmp.Or(t.HelloTimeout, 10*time.Second),
		DialTimeout:   cmp.Or(t.DialTimeout, time.Second),
		AnswerTimeout: cmp.Or(t.AnswerTimeout, time.Second),
		PortRetry:     cmp.Or(t.PortRetry, 5*time.Second),
		Settle:        cmp.Or(t.Settle, 100*time.Millisecond),
		Grace:         cmp.Or(t.Grace, 5*time.Second),
	}
}

// Gateway of a region.
type Gateway struct {
	options  Options
	tables   tableFile
	metrics  *metrics
	backends *backend.Set
	server   *passthrough.Server
	ports    *passthrough.Ports
	hub      *hubwatch.Watcher // nil without a hub
	changed  chan struct{}

	mutex sync.Mutex
	table routing.Table
}

// New makes a gateway with the table of its last run. It listens to nothing and asks nothing yet.
func New(options Options) (*Gateway, error) {
	if options.Region == "" || options.Dir == "" || !options.Listen.Addr().IsValid() {
		return nil, errors.New("gateway: region, directory and listen address are required")
	}
	options.Timing = options.Timing.withDefaults()
	if options.Clock == nil {
		options.Clock = clock.RealClock{}
	}
	if options.Log == nil {
		options.Log = slog.Default()
	}
	options.Log = options.Log.With("gateway", fmt.Sprintf("%s-%d", options.Region, options.Instance))
	if err := os.MkdirAll(options.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("gateway: make its directory: %w", err)
	}
	gateway := &Gateway{
		options: options,
		tables:  tableFile{dir: options.Dir, log: options.Log},
		changed: make(chan struct{}, 1),
	}
	table, err := gateway.tables.load()
	if err != nil {
		return nil, err
	}
	gateway.table = table
	if err := gateway.assemble(); err != nil {
		return nil, err
	}
	return gateway, nil
}

// assemble the parts.
func (g *Gateway) assemble() error {
	timing := g.options.Timing
	g.metrics = newMetrics(g)
	g.backends = backend.New(backend.Options{
		NewProber: func(route routing.Route, target routing.Backend) (backend.Prober, error) {
			return backend.NewReadyzProber(route, target, timing.ProbeTimeout)
		},
		ProbeInterval: timing.ProbeInterval,
		Cut:           g.metrics.cut,
		Clock:         g.options.Clock,
		Log:           g.options.Log,
	})
	g.server = passthrough.NewServer(passthrough.Options{
		Guests:        g.backends,
		HelloTimeout:  timing.HelloTimeout,
		DialTimeout:   timing.DialTimeout,
		AnswerTimeout: timing.AnswerTimeout,
		Count:         g.metrics.count,
		Retried:       g.metrics.retries.Inc,
		Clock:         g.options.Clock,
		Log:           g.options.Log,
	})
	g.ports = passthrough.NewPorts(g.server, g.options.Listen.Addr(), g.options.Log)
	if g.options.Config == nil {
		return nil
	}
	hub, err := hubwatch.New(hubwatch.Options{
		Config: g.options.Config, Region: g.options.Region, Changed: g.wake, Log: g.options.Log,
	})
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	g.hub = hub
	return nil
}

// Run serves until ctx is done. Then it stops to accept, which sends new clients to the other gateways of
// the address, gives connections the grace to end by themselves, resets the rest and returns nil. It runs once.
func (g *Gateway) Run(ctx context.Context) error {
	shared, err := passthrough.Listen(ctx, g.options.Listen)
	if err != nil {
		return fmt.Errorf("gateway: shared port: %w", err)
	}
	status, err := g.listenStatus(shared.Addr().String())
	if err != nil {
		return errors.Join(err, shared.Close())
	}
	g.backends.Apply(g.table)
	g.server.Serve(shared, "")
	g.options.Log.Info("gateway serves", "address", shared.Addr().String(), "guests", len(g.table.Routes), "hub", g.hub != nil)

	var parts sync.WaitGroup
	if g.hub != nil {
		parts.Go(func() { g.hub.Run(ctx) })
	}
	parts.Go(func() { g.follow(ctx) })
	<-ctx.Done()
	parts.Wait()
	err = g.stop(shared)
	return errors.Join(err, status.close())
}

// stop serving.
func (g *Gateway) stop(shared net.Listener) error {
	err := shared.Close()
	g.ports.Close()
	g.options.Log.Info("gateway stops", "grace", g.options.Timing.Grace)
	grace, cancel := context.WithTimeout(context.Background(), g.options.Timing.Grace)
	defer cancel()
	g.server.Shutdown(grace)
	g.backends.Close()
	if err != nil {
		return fmt.Errorf("gateway: close the shared port: %w", err)
	}
	return nil
}

// wake the follower.
func (g *Gateway) wake() {
	select {
	case g.changed <- struct{}{}:
	default: // it has yet to look at the last change and will see this one too
	}
}

// follow the hub: make the next table, act on it, and write it down; until ctx is done. Traffic does not
// wait for the disk. What failed is tried again.
func (g *Gateway) follow(ctx context.Context) {
	for {
		again := g.options.Timing.PortRetry
		opened := g.refresh(ctx)
		if err := g.tables.save(g.table); err != nil {
			g.options.Log.Error("routing table cannot be written and will be retried; a restart without the hub would forget changes",
				"error", err)
			opened = false
		}
		var retry <-chan time.Time
		if !opened {
			retry = g.options.Clock.After(again)
		}
		select {
		case <-ctx.Done():
			return
		case <-retry:
		case <-g.changed:
		}
		select {
		case <-ctx.Done():
			return
		case <-g.options.Clock.After(g.options.Timing.Settle):
		}
	}
}

// refresh the table and all that follows from it. It reports whether every plain port is open.
func (g *Gateway) refresh(ctx context.Context) bool {
	if g.hub != nil {
		next := routing.Build(g.table, g.hub.Known())
		g.mutex.Lock()
		g.table = next
		g.mutex.Unlock()
		g.backends.Apply(next)
	}
	return g.ports.Sync(ctx, g.table.ByPlainPort())
}
