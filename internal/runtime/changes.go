package runtime

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// Changes tells watchers which guests' observations have changed. A watcher that is slow gets each
// id once, however often it changed. The zero value is ready to use.
type Changes struct {
	mu       sync.Mutex
	watchers map[*watcher]bool
	closed   bool
}

type watcher struct {
	pending map[string]bool
	signal  chan struct{}
	ended   chan struct{}
}

// Notify watchers that a guest has changed.
func (c *Changes) Notify(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for w := range c.watchers {
		w.pending[id] = true
		select {
		case w.signal <- struct{}{}:
		default:
		}
	}
}

// Close ends every watch.
func (c *Changes) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for w := range c.watchers {
		close(w.ended)
	}
	c.watchers, c.closed = nil, true
}

// Watch sends ids, those of known first, until the context ends or Close is called.
func (c *Changes) Watch(ctx context.Context, known func() []string) <-chan string {
	w := &watcher{pending: map[string]bool{}, signal: make(chan struct{}, 1), ended: make(chan struct{})}
	c.mu.Lock()
	switch {
	case c.closed:
		close(w.ended)
	case c.watchers == nil:
		c.watchers = map[*watcher]bool{w: true}
	default:
		c.watchers[w] = true
	}
	c.mu.Unlock()
	for _, id := range known() { // after it is registered, so that none is missed
		c.Notify(id)
	}
	ids := make(chan string)
	go func() {
		defer close(ids)
		defer c.leave(w)
		for {
			select {
			case <-w.signal:
			case <-w.ended:
				return
			case <-ctx.Done():
				return
			}
			for _, id := range c.take(w) {
				select {
				case ids <- id:
				case <-w.ended:
					return
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return ids
}

func (c *Changes) leave(w *watcher) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.watchers, w)
}

// take what a watcher has collected. Its map is not kept: it would stay as large as it ever was.
func (c *Changes) take(w *watcher) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	ids := slices.Sorted(maps.Keys(w.pending))
	w.pending = map[string]bool{}
	return ids
}
