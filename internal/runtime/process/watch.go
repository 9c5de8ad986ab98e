package process

import (
	"maps"
	"slices"
	"sync"
)

// changes tells watchers which guests' observations have changed. A watcher that is slow gets each
// id once, however often it changed.
type changes struct {
	mu       sync.Mutex
	watchers map[*watcher]bool
}

// watcher collects ids until its reader takes them.
type watcher struct {
	mu      sync.Mutex
	pending map[string]bool
	signal  chan struct{}
}

func (c *changes) notify(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for w := range c.watchers {
		w.add(id)
	}
}

// watch begins with the ids that known returns; stop ends it.
func (c *changes) watch(known func() []string) (w *watcher, stop func()) {
	w = &watcher{pending: map[string]bool{}, signal: make(chan struct{}, 1)}
	c.mu.Lock()
	if c.watchers == nil {
		c.watchers = map[*watcher]bool{}
	}
	c.watchers[w] = true
	c.mu.Unlock()
	for _, id := range known() { // after it is registered, so that none is missed
		w.add(id)
	}
	return w, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.watchers, w)
	}
}

func (w *watcher) add(id string) {
	w.mu.Lock()
	w.pending[id] = true
	w.mu.Unlock()
	select {
	case w.signal <- struct{}{}:
	default:
	}
}

func (w *watcher) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	ids := slices.Sorted(maps.Keys(w.pending))
	clear(w.pending)
	return ids
}
