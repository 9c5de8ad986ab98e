package process

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// queue joins waiters to pacers and notes who is granted a slot.
type queue struct {
	mu      sync.Mutex
	granted []string
	release map[string]func()
}

func (q *queue) join(p *pacer, name string) (leave func()) {
	return p.join(func(release func()) bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.granted = append(q.granted, name)
		q.release[name] = release
		return true
	})
}

// pass gives the slot of the n-th who got one back.
func (q *queue) pass(n int) {
	q.mu.Lock()
	release := q.release[q.granted[n]]
	q.mu.Unlock()
	release()
}

func (q *queue) wait(t *testing.T, want ...string) {
	t.Helper()
	eventually(t, "slots are granted", func() bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		return len(q.granted) >= len(want)
	})
	q.mu.Lock()
	defer q.mu.Unlock()
	if !slices.Equal(want, q.granted) {
		t.Errorf("granted: want %v, got %v", want, q.granted)
	}
}

func TestSlotsInArrivalOrder(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	// What a supervisor that died while it waited leaves behind.
	if err := os.WriteFile(filepath.Join(dir, ticketPrefix+"00000000000000000001-1"), nil, fileMode); err != nil {
		t.Fatal(err)
	}
	one, two := newPacer(dir, 2, clock.RealClock{}, quiet()), newPacer(dir, 2, clock.RealClock{}, quiet())
	var work sync.WaitGroup
	work.Go(func() { one.run(ctx) })
	work.Go(func() { two.run(ctx) })
	q := &queue{release: map[string]func(){}}
	q.join(one, "1")
	q.wait(t, "1")
	q.join(one, "2")
	q.wait(t, "1", "2")
	q.join(one, "3")
	q.join(two, "4")
	left := q.join(two, "gone")
	q.join(one, "5")
	q.join(two, "6")
	left()
	eventually(t, "both supervisors queue", func() bool { return len(tickets(t, dir)) == 2 })
	// A supervisor may hand its slot to its own next guest only when that one came first.
	order := []string{"1", "2", "3", "4", "5", "6"}
	for i := range 4 {
		q.pass(i)
		q.wait(t, order[:i+3]...)
	}
	cancel()
	work.Wait()
	if left := tickets(t, dir); len(left) > 0 {
		t.Errorf("tickets left: %v", left)
	}
}

func tickets(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, ticketPrefix+"*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestPacedStarts(t *testing.T) {
	slots := t.TempDir()
	paced := func(s *Supervisor) { s.pacer = newPacer(slots, 1, s.clock, s.log) }
	b := newBench(t, paced)
	never := server(t, "x", "a")
	never.Probe.Address = freePort() // runs, but is never ready
	b.apply(controlplane.Manifest{ID: "first", Components: []controlplane.Component{never, server(t, "y", "a", "x")}})
	eventually(t, "the first guest starts", func() bool {
		return b.component("first", "x").State == runtime.Starting && b.component("first", "y").State == runtime.Waiting
	})
	second := controlplane.Manifest{ID: "second", Components: []controlplane.Component{server(t, "x", "a")}}
	b.apply(second)
	eventually(t, "the second waits for its slot", func() bool { return b.component("second", "x").State == runtime.Queued })
	if err := b.Delete(t.Context(), "first"); err != nil { // and its slot comes back
		t.Fatal(err)
	}
	before := b.ready("second")
	held, err := tryLock(filepath.Join(slots, "slot-0"))
	if err != nil || held == nil {
		t.Fatalf("the slot of a guest that is ready is not free: %v", err)
	}
	defer func() { _ = held.Close() }()
	b.restart(paced)
	if after := b.ready("second"); !slices.Equal(before, after) {
		t.Errorf("a guest that runs must wait for no slot: %v became %v", before, after)
	}
}

func TestSlotBound(t *testing.T) {
	b := newBench(t, func(s *Supervisor) {
		s.pacer = newPacer(t.TempDir(), 1, s.clock, s.log)
		s.timing.slot = 20 * time.Millisecond
	})
	never := server(t, "x", "a")
	never.Probe.Address = freePort()
	b.apply(controlplane.Manifest{ID: "first", Components: []controlplane.Component{never}})
	b.apply(controlplane.Manifest{ID: "second", Components: []controlplane.Component{server(t, "x", "a")}})
	b.ready("second")
	if c := b.component("first", "x"); c.State != runtime.Starting || c.Restarts > 0 {
		t.Errorf("a slow starter was not left alone: %+v", c)
	}
}
