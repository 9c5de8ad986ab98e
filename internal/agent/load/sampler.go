// Package load samples what the guests of a cell carry: it reads the metrics of their API servers and
// etcd members, directly and under a name that may read nothing else, and tells what matters.
package load

import (
	"context"
	"hash/fnv"
	"io"
	"log/slog"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/agent/orders"
	"github.com/myriad-fleet/myriad/internal/load"
	"github.com/myriad-fleet/myriad/internal/pki"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

const (
	// period between two samples of a guest: the delay of a shift up (v1alpha1.GearShifting), so that a load
	// that is too much is seen once before it ends and once after. Each costs the agent some milliseconds
	// (docs/benchmarks.md, agent-load).
	period = 30 * time.Second
	// calm is how many samples in a row must not have mattered for every other one to be left out: two
	// minutes. The next one that matters has the guest looked at each period again.
	calm = 4
	// membersEvery so many samples the members of etcd are read, too: the sizes of databases, which is all
	// that they are read for, change in minutes.
	membersEvery = 4
	// turns that a period is divided into: guests are spread over it, so that neither the agent nor the
	// cell is busy with all at once.
	turns = 15
	// defaultPatience with all of a guest's pages: one of a busy API server takes seconds, and that is when
	// its load matters most.
	defaultPatience = 8 * time.Second
	// quickAtOnce bounds how many guests are read at the same time that answered whole last time;
	// slowAtOnce how many of the others, which mostly wait. Those that hang wait for each other only.
	quickAtOnce, slowAtOnce = 8, 64
	// writeEvery is how often a load is told that has not changed enough to matter. With the rest that a guest at rest
	// has told, that is less than a write to the hub in ten minutes (DESIGN 9); it and a sample that is left out
	// are less than the least GearShifting.StaleSeconds.
	writeEvery = 13 * time.Minute
)

// Hub holds the guests' orders, and the load that an agent told last.
type Hub interface {
	ControlPlane(id string) (order *v1alpha1.ControlPlane, synced bool)
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

// Runtime tells which components of a guest run.
type Runtime interface {
	Observe(ctx context.Context, id string) (runtime.Observation, error)
}

// UsageReader is a Runtime that knows what components use.
type UsageReader interface {
	// Usage by component of those of which it is known. Seen is what Observe has just answered.
	Usage(ctx context.Context, id string, seen runtime.Observation) (map[string]runtime.Usage, error)
}

// Pages opens the metrics page of an instance of a guest, an API server or a member of etcd.
type Pages func(ctx context.Context, id, instance string) (io.ReadCloser, error)

// Options of a Sampler.
type Options struct {
	Hub        Hub
	Orders     Orders
	Identities Identities
	// Runtime, which may be a UsageReader.
	Runtime Runtime
	// Hosts returns the addresses of a guest's components by instance; nil while they are not known.
	Hosts func(id string) map[string]string
	// Pages of instances; nil: by HTTPS, under a certificate that the guest's authorities sign.
	Pages Pages
	// Bootstrapped tells whether the inside of a guest has been set up.
	Bootstrapped func(id string) bool
	// Changed is called when Load of a guest has changed.
	Changed func(id string)
	Clock   clock.Clock
	Log     *slog.Logger
}

// Sampler samples the guests of one cell.
type Sampler struct {
	Options
	patience    time.Duration
	quick, slow chan struct{}
	samples     sync.WaitGroup

	mu     sync.Mutex
	guests map[string]*guest
}

// New makes a Sampler; Run makes it sample.
func New(options Options) *Sampler {
	return &Sampler{
		Options: options, patience: defaultPatience, guests: map[string]*guest{},
		quick: make(chan struct{}, quickAtOnce), slow: make(chan struct{}, slowAtOnce),
	}
}

// guest is what is remembered of one guest.
type guest struct {
	id string
	// busy while a sample is taken; limped when the last one was not whole; quiet when
	// every other one is left out. With Sampler.mu.
	busy, limped, quiet bool
	// told is the load that was told last; nil: none since the agent started. With Sampler.mu.
	told *v1alpha1.Load

	// The rest is of the one sample that is taken.
	toldAt  time.Time
	alike   int            // samples in a row that did not matter
	last    *v1alpha1.Load // as sampled last, told or not
	history load.History
	access  *access
	sampled int                   // samples that were begun
	members map[string]*load.Etcd // as read last
}

// Load of a guest that the hub should have; nil for none since the agent started. It must not be
// changed.
func (s *Sampler) Load(id string) *v1alpha1.Load {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.guests[id]; g != nil {
		return g.told
	}
	return nil
}

// Run samples until the context ends.
func (s *Sampler) Run(ctx context.Context) {
	defer s.samples.Wait()
	for turn := 0; ; turn = (turn + 1) % (2 * turns) {
		s.Turn(ctx, turn)
		select {
		case <-ctx.Done():
			return
		case <-s.Clock.After(period / turns):
		}
	}
}

// Turn begins the samples of the guests whose turn it is, and waits for none of them:
//
//  1. forget the guests that are gone;
//  2. leave out those that have no load: not set up yet, or frozen;
//  3. leave out those whose last sample is still being taken, and in every second period those that are
//     quiet;
//  4. read the others, a few at a time, those that did not answer whole last time apart.
func (s *Sampler) Turn(ctx context.Context, turn int) {
	ids := s.Orders.IDs()
	alive := make(map[string]bool, len(ids))
	for _, id := range ids {
		order := s.Orders.Get(id)
		if order.Spec == nil || order.Entombed {
			continue
		}
		alive[id] = true
		if turnOf(id) != turn%turns || order.Spec.SupersededBy > order.Spec.Epoch || !s.Bootstrapped(id) {
			continue
		}
		if g := s.begin(id, turn >= turns); g != nil {
			s.samples.Go(func() { s.inLane(ctx, g, order.Spec) })
		}
	}
	s.forget(alive)
}

// turnOf a guest: always the same, so that its samples are a period apart.
func turnOf(id string) int {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(id)) // never fails
	return int(hash.Sum32() % turns)
}

// begin a sample; nil when the one before still goes on, or when it may be left out.
func (s *Sampler) begin(id string, second bool) *guest {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.guests[id]
	if g == nil {
		g = &guest{id: id}
		s.guests[id] = g
	}
	if g.busy || second && g.quiet {
		return nil
	}
	g.busy = true
	return g
}

// forget the guests that are gone. A sample of one that still goes on ends without being told.
func (s *Sampler) forget(alive map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.guests {
		if !alive[id] {
			delete(s.guests, id)
		}
	}
}

// inLane takes a sample when there is room for it.
func (s *Sampler) inLane(ctx context.Context, g *guest, order *v1alpha1.ControlPlaneSpec) {
	s.mu.Lock()
	lane := s.quick
	if g.limped {
		lane = s.slow
	}
	s.mu.Unlock()
	whole := false
	select {
	case <-ctx.Done():
	case lane <- struct{}{}:
		whole = s.sample(ctx, g, order)
		<-lane
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g.busy, g.limped, g.quiet = false, !whole, g.alike >= calm
}

// sample a guest once, and tell its load if that is due. It returns whether all that runs has answered.
func (s *Sampler) sample(ctx context.Context, g *guest, order *v1alpha1.ControlPlaneSpec) (whole bool) {
	hosts := s.Hosts(g.id)
	if hosts == nil {
		return true // nothing to wait for
	}
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	taken, whole := s.read(ctx, g, s.targets(ctx, g.id, order, hosts))
	if taken == nil {
		return whole // down: it keeps the load that it had
	}
	now := g.history.Take(*taken)
	base := s.known(g)
	if g.due(base, &now, taken.At) {
		s.tell(g, &now, taken.At)
	}
	if g.alike++; load.Matters(g.last, &now) {
		g.alike = 0
	}
	g.last = &now
	return whole
}

// known is the load that was told last, by this agent or the one before it.
func (s *Sampler) known(g *guest) *v1alpha1.Load {
	s.mu.Lock()
	told := g.told
	s.mu.Unlock()
	if told != nil {
		return told
	}
	if order, _ := s.Hub.ControlPlane(g.id); order != nil && order.Status.Load != nil {
		g.toldAt = order.Status.Load.SampledAt.Time
		return order.Status.Load
	}
	return nil
}

// due tells whether a load is to be told now. The first sample that an agent takes never is: it has no
// rates, which the next one will have. What is missing for one sample only, such as the rates of an API
// server that has just been restarted, is waited for once, too.
func (g *guest) due(base, now *v1alpha1.Load, at time.Time) bool {
	if g.last == nil {
		return false
	}
	if base == nil {
		return true
	}
	if load.Lost(now, base, g.last) {
		return false
	}
	age := at.Sub(g.toldAt)
	return age >= writeEvery || age < 0 || // a clock that was turned back must not silence us
		load.Matters(base, now)
}

func (s *Sampler) tell(g *guest, now *v1alpha1.Load, at time.Time) {
	g.toldAt = at
	s.mu.Lock()
	g.told = now
	gone := s.guests[g.id] != g
	s.mu.Unlock()
	if !gone {
		s.Changed(g.id)
	}
}
