package mix

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/myriad-fleet/myriad/test/load/mix/plan"
)

const (
	// glancing is how long a controller that drops watches waits for a first event.
	glancing = 500 * time.Millisecond
	// rewatching is the pause before a watch that ended is opened again.
	rewatching = time.Second
)

// watches that stay open, on the connections of ordinary workers.
type watches struct {
	ctx     context.Context
	scope   plan.Scope
	clients []*client
	record  *recorder
	open    map[int]context.CancelFunc // by number; of the dispatcher alone
	running sync.WaitGroup
}

// start the watch of a number, on its population.
func (w *watches) start(object plan.Object) {
	ctx, cancel := context.WithCancel(w.ctx)
	w.open[object.Index] = cancel
	client := w.clients[object.Index%len(w.clients)]
	w.running.Go(func() {
		for ctx.Err() == nil {
			client.watch(ctx, w.scope.Collection(object.Population), w.record.events)
			sleep(ctx, rewatching)
		}
	})
}

// end the watch of a number.
func (w *watches) end(index int) {
	if cancel := w.open[index]; cancel != nil {
		cancel()
		delete(w.open, index)
	}
}

// watch follows a collection from its state in the watch cache until ctx or the API server ends it.
// Events is told how many were delivered.
func (c *client) watch(ctx context.Context, path string, events func(int)) {
	if c.limiter.Wait(ctx) != nil {
		return
	}
	r := request{
		verb: verbWatch, method: http.MethodGet, path: path, accept: text, expected: []int{http.StatusNotFound},
		query: url.Values{"watch": {"1"}, "resourceVersion": {"0"}, "allowWatchBookmarks": {"true"}},
	}
	begun := time.Now()
	response, err := c.send(ctx, r)
	if err != nil {
		if ctx.Err() == nil {
			c.record.request(r, time.Since(begun), 0, err)
		}
		return
	}
	defer response.Body.Close()
	c.record.request(r, time.Since(begun), response.StatusCode, nil)
	if response.StatusCode != http.StatusOK {
		return
	}
	buffer := make([]byte, 16<<10)
	for {
		n, err := response.Body.Read(buffer)
		events(bytes.Count(buffer[:n], []byte("\n"))) // each event is a line
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, io.EOF) {
				c.record.broken(r, err)
			}
			return
		}
	}
}

// glance opens a watch and drops it after its first event, or when there was none for a while.
func (c *client) glance(ctx context.Context, path string) {
	ctx, cancel := context.WithTimeout(ctx, glancing)
	defer cancel()
	c.watch(ctx, path, func(int) { cancel() })
}
