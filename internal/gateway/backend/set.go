// Package backend holds the API servers of every routed guest: it probes them, counts and cuts their
// connections, and says in which order to try them.
package backend

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/internal/gateway/health"
	"github.com/myriad-fleet/myriad/internal/gateway/routing"
)

// Connection of a client to a back end.
type Connection interface {
	// Cut resets the connection, so that the client goes elsewhere at once.
	Cut()
}

// Prober asks one back end how it is.
type Prober interface {
	// Probe once; it returns in bounded time.
	Probe(ctx context.Context) health.Outcome
	// Close what the prober holds open.
	Close()
}

// Options of New. All are required.
type Options struct {
	// NewProber makes the prober of a back end.
	NewProber func(route routing.Route, backend routing.Backend) (Prober, error)
	// ProbeInterval from the start of one probe to the start of the next. A probe that took longer is
	// followed by the next one at once.
	ProbeInterval time.Duration
	// Cut is called with every number of connections that were cut and why.
	Cut func(count int, reason CutReason)
	// Clock that the interval is measured by.
	Clock clock.Clock
	// Log of verdicts.
	Log *slog.Logger
}

// CutReason says why connections were cut.
type CutReason string

// The reasons to cut.
const (
	CutStuck CutReason = "stuck" // the back end hangs or has lost its etcd member, and another one is ready
	CutMoved CutReason = "moved" // the guest was deleted or lives elsewhere now; the old copy is frozen
)

// Set of all guests' back ends.
type Set struct {
	options Options
	probes  sync.WaitGroup

	mutex  sync.Mutex
	closed bool
	names  map[string]string // server name → id
	guests map[string]*guest
}

// guest and its back ends.
type guest struct {
	route    routing.Route
	backends []*Backend // those of the route, by zone
	retired  []*Backend // those that left the route and still have connections
	turn     int        // rotates ties
}

// Backend is one API server of one placement of a guest. The set's mutex guards its fields.
type Backend struct {
	set         *Set
	guest       *guest
	target      routing.Backend
	state       health.State
	connections map[Connection]struct{}
	retired     bool // no longer in the route
	left        bool // its placement is history
	stopProbe   context.CancelFunc
}

// New makes an empty set. Close it.
func New(options Options) *Set {
	return &Set{options: options, names: map[string]string{}, guests: map[string]*guest{}}
}

// Apply a table. Connections survive whatever changes around their own placement; those to a placement
// that is history are cut. A back end that left the route of a placement that stays gets no new connections
// and is probed until its last one ends.
func (s *Set) Apply(table routing.Table) {
	s.mutex.Lock()
	if s.closed {
		s.mutex.Unlock()
		return
	}
	s.names = table.ByServerName()
	var moved []Connection
	for id, known := range s.guests {
		if route, routed := table.Routes[id]; !routed || !route.SamePlacement(known.route) {
			moved = append(moved, known.leave()...)
			delete(s.guests, id)
		}
	}
	for id, route := range table.Routes {
		if s.guests[id] == nil {
			s.guests[id] = &guest{route: routing.Route{ID: id, Cell: route.Cell, Epoch: route.Epoch}}
		}
		s.update(s.guests[id], route)
	}
	s.mutex.Unlock()
	s.cut(moved, CutMoved)
}

// leave a placement for good: its back ends are not probed any more, its connections are to be cut.
func (g *guest) leave() []Connection {
	var moved []Connection
	for _, backend := range slices.Concat(g.backends, g.retired) {
		backend.left = true
		backend.stopProbe()
		moved = slices.AppendSeq(moved, maps.Keys(backend.connections))
	}
	return moved
}

// update a guest's back ends to those of its route. The mutex is held.
func (s *Set) update(known *guest, route routing.Route) {
	before := known.route
	trust := before.CABundle == route.CABundle && before.ServerName == route.ServerName
	known.route = route
	if trust && slices.Equal(before.Backends, route.Backends) {
		return
	}
	previous := map[string]*Backend{}
	for _, backend := range slices.Concat(known.retired, known.backends) {
		previous[backend.target.HostPort()] = backend
	}
	known.backends, known.retired = nil, nil
	for _, target := range route.Backends {
		backend, found := previous[target.HostPort()]
		if !found {
			backend = &Backend{
				set: s, guest: known, state: health.Initial(),
				connections: map[Connection]struct{}{}, stopProbe: func() {},
			}
		}
		delete(previous, target.HostPort())
		backend.target, backend.retired = target, false
		known.backends = append(known.backends, backend)
		if !found || !trust {
			backend.stopProbe()
			s.startProbe(backend)
		}
	}
	for _, backend := range previous {
		backend.retired = true
		backend.forgetIfIdle()
		if len(backend.connections) > 0 {
			known.retired = append(known.retired, backend)
		}
	}
}

// cut connections outside of the mutex, because closing one ends in Detach.
func (s *Set) cut(connections []Connection, reason CutReason) {
	if len(connections) == 0 {
		return
	}
	for _, connection := range connections {
		connection.Cut()
	}
	s.options.Cut(len(connections), reason)
}

// Close stops all probes and waits for them. Connections are left alone.
func (s *Set) Close() {
	s.mutex.Lock()
	s.closed = true
	for _, known := range s.guests {
		for _, backend := range slices.Concat(known.backends, known.retired) {
			backend.stopProbe()
		}
	}
	s.mutex.Unlock()
	s.probes.Wait()
}

// ByServerName finds the guest that a server name (lower case) belongs to.
func (s *Set) ByServerName(name string) (id string, known bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	id, known = s.names[name]
	return id, known
}

// Candidates for a new connection to a guest, best first: by what is known of their health, then by the
// number of connections that this gateway has to them; ties take turns. Those that say themselves that
// they are not ready are left out.
func (s *Set) Candidates(id string) []*Backend {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	known := s.guests[id]
	if known == nil || len(known.backends) == 0 {
		return nil
	}
	known.turn++
	turn := known.turn % len(known.backends)
	rotated := slices.Concat(known.backends[turn:], known.backends[:turn])
	rotated = slices.DeleteFunc(rotated, func(b *Backend) bool { return b.state.Barred() })
	slices.SortStableFunc(rotated, func(a, b *Backend) int {
		return cmp.Or(cmp.Compare(a.state.Rank(), b.state.Rank()), cmp.Compare(len(a.connections), len(b.connections)))
	})
	return rotated
}

// Address to dial.
func (b *Backend) Address() string {
	b.set.mutex.Lock()
	defer b.set.mutex.Unlock()
	return b.target.HostPort()
}

// Usable says that the back end is ready, or not known to be unready.
func (b *Backend) Usable() bool {
	b.set.mutex.Lock()
	defer b.set.mutex.Unlock()
	return b.state.Usable() && !b.left
}

// Suspect notes that the back end did not serve a client's connection. Others are preferred until the
// next probe.
func (b *Backend) Suspect() {
	b.set.mutex.Lock()
	defer b.set.mutex.Unlock()
	b.state = b.state.Suspected()
}

// Attach a connection, to be cut when the back end hangs or its placement becomes history. It reports
// false, and attaches nothing, if that has already happened.
func (b *Backend) Attach(connection Connection) bool {
	b.set.mutex.Lock()
	defer b.set.mutex.Unlock()
	if b.left || b.retired {
		return false
	}
	b.connections[connection] = struct{}{}
	return true
}

// Detach a connection that has ended.
func (b *Backend) Detach(connection Connection) {
	b.set.mutex.Lock()
	defer b.set.mutex.Unlock()
	delete(b.connections, connection)
	b.forgetIfIdle()
}

// forgetIfIdle ends the probing of a back end that left its route and serves nobody. The mutex is held.
func (b *Backend) forgetIfIdle() {
	if b.retired && len(b.connections) == 0 {
		b.stopProbe()
		b.guest.retired = slices.DeleteFunc(b.guest.retired, func(other *Backend) bool { return other == b })
	}
}
