package agent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/myriad-fleet/myriad/internal/agent/bootstrap"
	"github.com/myriad-fleet/myriad/internal/agent/cell"
	"github.com/myriad-fleet/myriad/internal/agent/certificates"
	"github.com/myriad-fleet/myriad/internal/agent/credentials"
	"github.com/myriad-fleet/myriad/internal/agent/drills"
	"github.com/myriad-fleet/myriad/internal/agent/guest"
	"github.com/myriad-fleet/myriad/internal/agent/heartbeat"
	"github.com/myriad-fleet/myriad/internal/agent/hub"
	"github.com/myriad-fleet/myriad/internal/agent/identity"
	"github.com/myriad-fleet/myriad/internal/agent/load"
	"github.com/myriad-fleet/myriad/internal/agent/orders"
	"github.com/myriad-fleet/myriad/internal/agent/renewal"
	"github.com/myriad-fleet/myriad/internal/agent/reports"
	"github.com/myriad-fleet/myriad/internal/agent/roundtrip"
)

// agent is the parts of a running agent.
type agent struct {
	hub       *hub.Connection
	orders    *orders.Store
	reports   *reports.Queue
	guests    *guest.Reconciler
	etcd      Etcd
	signer    *credentials.Signer
	cell      *cell.Reporter
	drills    *drills.Keeper
	load      *load.Sampler
	measurer  func(context.Context) // of round trips
	renewer   *renewal.Renewer
	heartbeat *heartbeat.Heart
}

// book is the hub as the guests' reconciler sees it: orders as last seen, reports taken at once.
type book struct {
	*hub.Connection
	*reports.Queue
}

// assemble puts an agent's parts together.
func assemble(o Options, connection *hub.Connection, store *orders.Store) (*agent, error) {
	a := &agent{hub: connection, orders: store, reports: reports.NewQueue(connection, o.Clock, o.Log)}
	identities := identity.NewStore(filepath.Join(o.Dir, "identities"), o.Clock)
	inside, err := a.reach(o, identities)
	if err != nil {
		return nil, err
	}
	a.etcd = inside.Etcd
	a.load = load.New(load.Options{
		Hub: connection, Orders: store, Identities: identities, Runtime: o.Runtime, Bootstrapped: inside.Bootstrap.Done, Pages: inside.Pages,
		Hosts:   func(id string) map[string]string { return a.guests.Hosts(id) },
		Changed: func(id string) { a.guests.Enqueue(id) }, Clock: o.Clock, Log: o.Log,
	})
	a.guests = guest.New(guest.Options{
		Runtime: o.Runtime, AnyAddress: o.AnyAddress, Hub: book{connection, a.reports}, Orders: store, Identities: identities,
		Certificates: certificates.NewStore(filepath.Join(o.Dir, "certificates"), o.LeafLifetime, o.Clock),
		Bootstrap:    inside.Bootstrap, Etcd: inside.Etcd, Load: a.load,
		Clock: o.Clock, Log: o.Log,
	})
	a.signer = credentials.New(credentials.Options{
		Hub: connection, Orders: store, Identities: identities, Clock: o.Clock, Log: o.Log,
	})
	a.renewer = renewal.New(renewal.Options{
		Dir: filepath.Dir(o.Kubeconfig), Cell: o.Cell, Hub: connection, RequestLifetime: o.RequestLifetime,
		Changed: func() { a.cell.Changed() }, Renewed: connection.Reconnect, Clock: o.Clock, Log: o.Log,
	})
	a.drills = drills.New(drills.Options{
		Hub: connection, Runtime: o.Runtime, InForce: func() { a.cell.Changed() }, Clock: o.Clock, Log: o.Log,
	})
	a.cell = cell.New(cell.Options{
		Hub: connection, Runtime: o.Runtime, Orders: store, Versions: o.Versions, AgentVersion: o.Version,
		Drills: a.drills.Drills, RoundTrips: inside.RoundTrips, Request: a.renewer.Request, Clock: o.Clock, Log: o.Log,
		Snapshots: o.Snapshots != "", SnapshotsRegion: o.SnapshotsRegion,
	})
	store.OnChange(func() { a.cell.Changed() }) // the Cell counts its guests by their orders
	a.heartbeat = &heartbeat.Heart{Hub: connection, Holder: holder(), Clock: o.Clock, Log: o.Log}
	return a, nil
}

// reach into guests: over the network, unless something stands in for that.
func (a *agent) reach(o Options, identities *identity.Store) (*Inside, error) {
	if o.Inside != nil {
		a.measurer = func(context.Context) {}
		return o.Inside, nil
	}
	keeper, err := newKeeper(o, func(id string) { a.guests.Enqueue(id) })
	if err != nil {
		return nil, err
	}
	measurer := roundtrip.New(roundtrip.Options{
		Hub: a.hub, Orders: a.orders, Identities: identities, Hosts: func(id string) map[string]string { return a.guests.Hosts(id) },
		Changed: func() { a.cell.Changed() }, Clock: o.Clock, Log: o.Log,
	})
	a.measurer = measurer.Run
	return &Inside{
		Bootstrap: bootstrap.New(filepath.Join(o.Dir, "bootstrapped"), o.Clock), Etcd: keeper, RoundTrips: measurer.RoundTrips,
	}, nil
}

// connect has every part told what it works on.
func (a *agent) connect() error {
	err := a.hub.OnControlPlane(
		func(id string) {
			a.guests.Enqueue(id)
			a.reports.Check(id)
			a.cell.Changed()
		},
		a.reports.Check,
	)
	if err != nil {
		return err
	}
	if err := a.hub.OnCredential(a.signer.Enqueue); err != nil {
		return err
	}
	return a.hub.OnCell(func(string) {
		a.drills.Changed()
		a.cell.Changed()
	})
}

// parts are what runs, each until the context ends.
func (a *agent) parts() []func(context.Context) {
	return []func(context.Context){
		a.hub.Run, a.reports.Run, a.etcd.Run, a.signer.Run, a.cell.Run, a.drills.Run, a.renewer.Run, a.load.Run, a.measurer, a.heartbeat.Run,
		a.synced,
		func(ctx context.Context) { a.guests.Run(ctx, a.orders.IDs) },
	}
}

// synced looks at every guest again once it is known which orders the hub does not have.
func (a *agent) synced(ctx context.Context) {
	if !a.hub.AwaitSync(ctx) {
		return
	}
	for _, id := range a.orders.IDs() {
		a.guests.Enqueue(id)
	}
	a.cell.Changed()
}

// holder names this process in the cell's Lease.
func holder() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s_%s", host, strconv.Itoa(os.Getpid()))
}
