// Package agent runs one cell: it makes the cell's guests what the hub orders, keeps them so without
// the hub, and reports.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/internal/agent/cell"
	"github.com/myriad-fleet/myriad/internal/agent/drills"
	"github.com/myriad-fleet/myriad/internal/agent/etcd"
	"github.com/myriad-fleet/myriad/internal/agent/guest"
	"github.com/myriad-fleet/myriad/internal/agent/hub"
	"github.com/myriad-fleet/myriad/internal/agent/orders"
	"github.com/myriad-fleet/myriad/internal/agent/renewal"
)

const (
	defaultLeafLifetime    = 30 * 24 * time.Hour
	defaultRequestLifetime = time.Hour

	dirMode  = 0o700
	fileMode = 0o600
)

// Runtime is all that an agent needs of its cell's runtime.
type Runtime interface {
	guest.Runtime
	cell.Runtime
	drills.Runtime
	etcd.Runtime
}

// Options of an agent.
type Options struct {
	// Cell that the agent runs.
	Cell string
	// Dir holds the agent's state. One agent at a time uses it.
	//
	//	orders/, tombstones/      what the hub ordered
	//	identities/<id>/          guests' authorities and keys
	//	certificates/<id>/        guests' leaf certificates
	//	bootstrapped/<id>         guests whose inside has been set up
	//	drills.json               zones that are held, where the runtime is part of the agent's process
	Dir string
	// Kubeconfig (a file) for the hub. The directory that holds it also holds the agent's client.crt
	// and client.key, which are replaced on renewal.
	Kubeconfig string
	// Runtime of the cell.
	Runtime Runtime
	// AnyAddress says that the runtime's addresses only lead to components (controlplane.Input).
	AnyAddress bool
	// Snapshots is the URL of the store of etcd's snapshots; empty for none.
	Snapshots string
	// SnapshotsRegion is the Region in which that store lies; empty: the cell's own.
	SnapshotsRegion string
	// Inside stands in for what the agent does inside guests; nil: it reaches them over the network.
	Inside *Inside
	// Versions of Kubernetes that the cell can run; nil for none.
	Versions func() ([]string, error)
	// Version of Myriad that the agent reports.
	Version string
	// LeafLifetime of guests' leaf certificates; zero for 30 days. They are renewed after two thirds.
	LeafLifetime time.Duration
	// RequestLifetime is how long a request for the agent's own certificate may go unanswered before
	// another one replaces it; zero for an hour.
	RequestLifetime time.Duration
	// Clock; nil for the real one.
	Clock clock.WithTicker
	// Log; nil for slog's default.
	Log *slog.Logger
}

// Run runs the agent until the context ends. It needs the runtime and the hub to work, and neither of
// them to start.
func Run(ctx context.Context, o Options) error {
	o = o.withDefaults()
	unlock, err := lock(o.Dir)
	if err != nil {
		return fmt.Errorf("cell %s: %w", o.Cell, err)
	}
	defer unlock()
	a, err := newAgent(o)
	if err != nil {
		return fmt.Errorf("cell %s: %w", o.Cell, err)
	}
	if err := a.connect(); err != nil {
		return fmt.Errorf("cell %s: %w", o.Cell, err)
	}
	o.Log.Info("the agent runs", "version", o.Version, "guests", len(a.orders.IDs()))
	var all sync.WaitGroup
	for _, run := range a.parts() {
		all.Go(func() { run(ctx) })
	}
	all.Wait()
	return nil
}

func (o Options) withDefaults() Options {
	if o.LeafLifetime == 0 {
		o.LeafLifetime = defaultLeafLifetime
	}
	if o.RequestLifetime == 0 {
		o.RequestLifetime = defaultRequestLifetime
	}
	if o.Versions == nil {
		o.Versions = func() ([]string, error) { return nil, nil }
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	o.Log = o.Log.With("cell", o.Cell)
	return o
}

// lock makes sure that one agent at a time uses dir. The kernel drops the lock with the process.
func lock(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return nil, fmt.Errorf("make the agent's directory: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, "agent.lock"), os.O_CREATE|os.O_RDWR, fileMode)
	if err != nil {
		return nil, fmt.Errorf("open the agent's lock: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		closed := file.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("another agent uses %s: stop it first", dir)
		}
		return nil, errors.Join(fmt.Errorf("lock %s: %w", file.Name(), err), closed)
	}
	return func() { _ = file.Close() }, nil
}

// newAgent opens what is on disk.
func newAgent(o Options) (*agent, error) {
	if err := renewal.Repair(filepath.Dir(o.Kubeconfig)); err != nil {
		return nil, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", o.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w: run 'myriad up' to have the agent join", err)
	}
	connection, err := hub.Connect(hub.Options{Cell: o.Cell, Config: config, Log: o.Log})
	if err != nil {
		return nil, err
	}
	store, err := orders.Open(o.Dir, o.Log)
	if err != nil {
		return nil, err
	}
	return assemble(o, connection, store)
}
