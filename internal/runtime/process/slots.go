package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/utils/clock"
)

const (
	slotPoll     = 50 * time.Millisecond // how often a waiting supervisor looks for a free slot
	ticketPrefix = "ticket-"
)

// pacer hands out start slots: files that all supervisors of a home lock, so that no more guests
// start from cold at once than the cores carry. Whoever came first, in whichever supervisor, is
// served first. A lock ends with its holder, so a dead supervisor holds none.
type pacer struct {
	dir   string
	slots int
	clock clock.Clock
	log   *slog.Logger
	wake  chan struct{}

	mu    sync.Mutex
	queue []*waiter
}

// waiter is a guest that waits for a slot.
type waiter struct {
	since time.Time
	// granted takes the slot over; false when the guest has gone meanwhile.
	granted func(release func()) bool
}

func newPacer(dir string, slots int, clock clock.Clock, log *slog.Logger) *pacer {
	return &pacer{dir: dir, slots: slots, clock: clock, log: log, wake: make(chan struct{}, 1)}
}

// enabled is false when starts are not paced.
func (p *pacer) enabled() bool { return p.slots > 0 }

// join queues up; the function returned leaves the queue again.
func (p *pacer) join(granted func(release func()) bool) (leave func()) {
	w := &waiter{since: p.clock.Now(), granted: granted}
	p.mu.Lock()
	p.queue = append(p.queue, w)
	p.mu.Unlock()
	p.nudge()
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.queue = slices.DeleteFunc(p.queue, func(other *waiter) bool { return other == w })
	}
}

func (p *pacer) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *pacer) first() *waiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		return nil
	}
	return p.queue[0]
}

// take removes w from the queue; false when it has left by itself.
func (p *pacer) take(w *waiter) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := len(p.queue)
	p.queue = slices.DeleteFunc(p.queue, func(other *waiter) bool { return other == w })
	return len(p.queue) < before
}

// run serves the queue until ctx is done.
func (p *pacer) run(ctx context.Context) {
	var ticket *os.File
	var holder *waiter
	defer func() { tearUp(ticket) }()
	for {
		w := p.first()
		if w != holder {
			tearUp(ticket)
			ticket, holder = nil, nil
		}
		if w == nil {
			select {
			case <-ctx.Done():
				return
			case <-p.wake:
				continue
			}
		}
		var err error
		if ticket == nil {
			ticket, err = p.draw(w)
			holder = w
		}
		if err == nil && ticket != nil {
			err = p.serve(ticket, w)
		}
		if err != nil {
			// Pacing only saves time: a full disk must not keep guests from starting.
			p.log.Warn("start slots do not work, starting without", "error", err)
			p.grant(w, func() {})
		}
		if p.first() == w {
			select {
			case <-ctx.Done():
				return
			case <-p.wake:
			case <-p.clock.After(slotPoll):
			}
		}
	}
}

// serve gives w a slot when it is its turn and one is free.
func (p *pacer) serve(ticket *os.File, w *waiter) error {
	turn, err := p.isTurn(filepath.Base(ticket.Name()))
	if err != nil || !turn {
		return err
	}
	for i := range p.slots {
		slot, err := tryLock(filepath.Join(p.dir, fmt.Sprintf("slot-%d", i)))
		if err != nil {
			return err
		}
		if slot != nil {
			p.grant(w, sync.OnceFunc(func() {
				_ = slot.Close() // unlocks; nothing was written
				p.nudge()
			}))
			return nil
		}
	}
	return nil
}

func (p *pacer) grant(w *waiter, release func()) {
	if !p.take(w) || !w.granted(release) {
		release()
	}
}

// draw makes a ticket: a locked file whose name sorts by arrival. It returns nil when another
// supervisor looks at the file at this moment: draw again.
func (p *pacer) draw(w *waiter) (*os.File, error) {
	if err := os.MkdirAll(p.dir, dirMode); err != nil {
		return nil, fmt.Errorf("making the directory of start slots: %w", err)
	}
	name := fmt.Sprintf("%s%020d-%d", ticketPrefix, w.since.UnixNano(), os.Getpid())
	return tryLock(filepath.Join(p.dir, name))
}

// isTurn tells whether no living supervisor holds an older ticket, and removes those of dead ones.
func (p *pacer) isTurn(mine string) (bool, error) {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return false, fmt.Errorf("reading start slots: %w", err)
	}
	for _, entry := range entries { // sorted by name
		if !strings.HasPrefix(entry.Name(), ticketPrefix) {
			continue
		}
		if entry.Name() >= mine {
			return true, nil
		}
		stale, err := tryLock(filepath.Join(p.dir, entry.Name()))
		if err != nil {
			return false, err
		}
		if stale == nil {
			return false, nil
		}
		tearUp(stale)
	}
	return true, nil
}

// tearUp removes a ticket.
func tearUp(ticket *os.File) {
	if ticket == nil {
		return
	}
	_ = os.Remove(ticket.Name()) // a ticket left behind is stale and removed by the next in the queue
	_ = ticket.Close()
}

// tryLock locks a file, or returns nil when another holds it.
func tryLock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, fileMode)
	if err != nil {
		return nil, fmt.Errorf("locking: %w", err)
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil && isAt(file, path) {
		return file, nil
	}
	_ = file.Close() // nothing was written
	if err == nil || errors.Is(err, unix.EWOULDBLOCK) {
		return nil, nil // the holder has it, or has just torn it up
	}
	return nil, fmt.Errorf("locking %s: %w", path, err)
}

// isAt tells whether an open file is still the one at its path: between opening and locking it its holder may
// have removed it, and then the lock is of a file that nobody else sees.
func isAt(file *os.File, path string) bool {
	opened, err := file.Stat()
	if err != nil {
		return false
	}
	now, err := os.Stat(path)
	return err == nil && os.SameFile(opened, now)
}
