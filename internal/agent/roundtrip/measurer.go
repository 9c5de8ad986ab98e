// Package roundtrip measures how long messages take between the zones of the cell: it asks a few
// guests' etcds what they have seen of each other, and where there are none, opens connections to
// guests' API servers itself.
package roundtrip

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/agent/orders"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/pki"
	"github.com/myriad-fleet/myriad/internal/roundtrip"
)

const (
	// period between two rounds: etcd's members observe a round trip every 30 s.
	period = time.Minute
	// defaultPatience with one guest or one connection.
	defaultPatience = 3 * time.Second
	// atOnce bounds how many members and API servers are asked at the same time.
	atOnce = 8
	// probesPerZone are the connections to each zone in a round, to as many guests at most.
	probesPerZone = 5
)

// Hub holds the Cell.
type Hub interface {
	Cell() *v1alpha1.Cell
}

// Orders are the orders on disk.
type Orders interface {
	IDs() []string
	Get(id string) orders.Order
}

// Identities are the guests' identities on disk.
type Identities interface {
	Load(id string) (pki.Identity, error)
}

// Options of a Measurer.
type Options struct {
	Hub        Hub
	Orders     Orders
	Identities Identities
	// Hosts returns the addresses of a guest's components by instance; nil while they are not known.
	Hosts func(id string) map[string]string
	// Changed is called after each round.
	Changed func()
	Clock   clock.Clock
	Log     *slog.Logger
}

// Measurer measures in one cell.
type Measurer struct {
	Options
	patience time.Duration

	mu       sync.Mutex
	measured []v1alpha1.RoundTrip

	// Of Run alone.
	window   *roundtrip.Window
	probes   roundtrip.Probes
	answered map[string]bool // by guest: whether any member answered when last asked
}

// New makes a Measurer; Run makes it measure.
func New(options Options) *Measurer {
	return &Measurer{
		Options: options, patience: defaultPatience,
		window: &roundtrip.Window{}, probes: roundtrip.Probes{}, answered: map[string]bool{},
	}
}

// RoundTrips are those measured in the last ten minutes.
func (m *Measurer) RoundTrips() []v1alpha1.RoundTrip {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.measured
}

// Run measures every minute until the context ends.
func (m *Measurer) Run(ctx context.Context) {
	for {
		if cell := m.Hub.Cell(); cell != nil {
			m.Round(ctx, cell.Spec.Zones)
			m.Changed()
		}
		select {
		case <-ctx.Done():
			return
		case <-m.Clock.After(period):
		}
	}
}

// Round measures once:
//
//  1. list the guests that live here;
//  2. read the metrics of a few of their etcds' members, those that span zones;
//  3. open connections to the zones that no members tell of.
//
// Nobody who is slow or dead holds it up for longer than his own share of patience.
func (m *Measurer) Round(ctx context.Context, zones []string) {
	guests := m.guests()
	m.readMembers(ctx, zones, guests)
	m.probeZones(ctx, roundtrip.Unmeasured(zones, m.window), guests)
	measured := roundtrip.Measured(zones, m.window, m.probes)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.measured = measured
}

// guest that lives here.
type guest struct {
	id    string
	zones []string // that its etcd has members in
	hosts map[string]string
}

func (m *Measurer) guests() []guest {
	var guests []guest
	for _, id := range m.Orders.IDs() {
		order := m.Orders.Get(id)
		if order.Spec == nil || order.Entombed {
			continue
		}
		if hosts := m.Hosts(id); hosts != nil {
			guests = append(guests, guest{id: id, zones: members(order.Spec.Zones, hosts), hosts: hosts})
		}
	}
	return guests
}

// members lists the zones in which the guest's etcd has one.
func members(zones []string, hosts map[string]string) []string {
	return slices.DeleteFunc(slices.Clone(zones), func(zone string) bool {
		return hosts[controlplane.InstanceName(controlplane.Etcd, zone)] == ""
	})
}

// readMembers reads the metrics of the members of a few guests.
func (m *Measurer) readMembers(ctx context.Context, zones []string, guests []guest) {
	byID := map[string]guest{}
	var candidates []roundtrip.Candidate
	for _, g := range guests {
		byID[g.id] = g
		candidates = append(candidates, roundtrip.Candidate{ID: g.id, Zones: g.zones})
	}
	chosen := roundtrip.Choose(zones, candidates, m.answered)
	readings := make([][]roundtrip.Reading, len(chosen))
	var all errgroup.Group
	all.SetLimit(atOnce)
	for i, candidate := range chosen {
		all.Go(func() error {
			readings[i] = m.readGuest(ctx, byID[candidate.ID])
			return nil
		})
	}
	_ = all.Wait()
	for id := range m.answered {
		if _, lives := byID[id]; !lives {
			delete(m.answered, id)
		}
	}
	for i, candidate := range chosen {
		m.answered[candidate.ID] = len(readings[i]) > 0
	}
	m.window.Take(m.Clock.Now(), slices.Concat(readings...))
}

// probeZones opens connections to API servers of guests in the zones.
func (m *Measurer) probeZones(ctx context.Context, zones []string, guests []guest) {
	m.probes.Prune(m.Clock.Now())
	var mu sync.Mutex
	var all errgroup.Group
	all.SetLimit(atOnce)
	for _, zone := range zones {
		targets := apiServers(zone, guests)
		for i := range min(len(targets), 1) * probesPerZone {
			all.Go(func() error {
				took, err := m.connect(ctx, targets[i%len(targets)])
				if err != nil {
					return nil // it does not serve now
				}
				mu.Lock()
				defer mu.Unlock()
				m.probes.Take(m.Clock.Now(), zone, took)
				return nil
			})
		}
	}
	_ = all.Wait()
}

// apiServers of guests in a zone, as many as are asked in a round.
func apiServers(zone string, guests []guest) []string {
	var hosts []string
	for _, g := range guests {
		if host, ok := g.hosts[controlplane.InstanceName(controlplane.APIServer, zone)]; ok && len(hosts) < probesPerZone {
			hosts = append(hosts, host)
		}
	}
	return hosts
}
