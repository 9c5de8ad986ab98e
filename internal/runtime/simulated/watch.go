package simulated

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// changes tells watchers which guests may be otherwise than before. A watcher that is slow gets each id once,
// however often it changed.
type changes struct {
	mu       sync.Mutex
	watchers map[*watcher]bool
}

// watcher collects ids until its reader takes them.
type watcher struct {
	pending map[string]bool
	signal  chan struct{}
}

func (c *changes) notify(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for w := range c.watchers {
		w.pending[id] = true
		select {
		case w.signal <- struct{}{}:
		default: // it knows
		}
	}
}

// watch sends ids, those of known first, until the context ends.
func (c *changes) watch(ctx context.Context, known []string) <-chan string {
	w := &watcher{pending: make(map[string]bool, len(known)), signal: make(chan struct{}, 1)}
	for _, id := range known {
		w.pending[id] = true
	}
	w.signal <- struct{}{}
	c.mu.Lock()
	if c.watchers == nil {
		c.watchers = map[*watcher]bool{}
	}
	c.watchers[w] = true
	c.mu.Unlock()
	ids := make(chan string)
	go func() {
		defer close(ids)
		defer c.leave(w)
		for {
			select {
			case <-w.signal:
			case <-ctx.Done():
				return
			}
			for _, id := range c.take(w) {
				select {
				case ids <- id:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return ids
}

func (c *changes) leave(w *watcher) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.watchers, w)
}

// take what a watcher has collected. Its map is not kept: it stays as large as it ever was.
func (c *changes) take(w *watcher) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	ids := slices.Sorted(maps.Keys(w.pending))
	w.pending = map[string]bool{}
	return ids
}
