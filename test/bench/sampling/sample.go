package sampling

import (
	"context"
	"log/slog"
	"sync"

	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/internal/agent/load"
	"github.com/myriad-fleet/myriad/internal/runtime/process"
)

// Sampler of a cell.
type Sampler struct {
	*load.Sampler
	cell *cell

	mu    sync.Mutex
	whole map[string]bool
}

// NewSampler makes the agent's Sampler for a cell that is served.
func NewSampler(dir string) *Sampler {
	s := &Sampler{cell: open(dir), whole: map[string]bool{}}
	s.Sampler = load.New(load.Options{
		Hub: s.cell, Orders: s.cell, Identities: s.cell, Runtime: process.NewClient(dir), Hosts: s.cell.hosts,
		Bootstrapped: func(string) bool { return true }, Changed: s.changed, Clock: clock.RealClock{}, Log: slog.New(slog.DiscardHandler),
	})
	return s
}

func (s *Sampler) changed(id string) {
	told := s.Load(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.whole[id] = told != nil && len(told.Missing) == 0
}

// Whole is the number of guests all of whose metrics are known.
func (s *Sampler) Whole() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	count := 0
	for _, whole := range s.whole {
		if whole {
			count++
		}
	}
	return count
}

// Run samples until the context ends.
func (s *Sampler) Run(ctx context.Context) { s.Sampler.Run(ctx) }
