package mix

import (
	"context"
	"sync"

	"github.com/myriad-fleet/myriad/test/load/mix/plan"
)

const (
	// connections of ordinary controllers. Each is a process of its own to the API servers, so that those
	// of a guest that has several share the load.
	connections = 8
	// waiting operations of a worker. When they are as many, the plan waits.
	waiting = 64
	// burst of requests over the rate.
	burst = 10
)

// workers carry operations out. What concerns one object is done by one worker, in order.
type workers struct {
	ordinary []*worker
	wayward  map[plan.Object]*worker // by action and number: the controllers that misbehave
	watches  *watches
	record   *recorder
	cancel   context.CancelFunc
	running  sync.WaitGroup
}

// worker is one connection, and one request at a time.
type worker struct {
	scope  plan.Scope
	client *client
	record *recorder
	queue  chan plan.Operation
	seen   string // the version of the contested object
}

// startWorkers makes all connections; ctx ends what they read.
func startWorkers(ctx context.Context, scope plan.Scope, record *recorder, connect func(*recorder) (*client, error)) (*workers, error) {
	ctx, cancel := context.WithCancel(ctx)
	w := &workers{wayward: map[plan.Object]*worker{}, record: record, cancel: cancel}
	add := func(room int) (*worker, error) {
		c, err := connect(record)
		if err != nil {
			return nil, err
		}
		added := &worker{scope: scope, client: c, record: record, queue: make(chan plan.Operation, room)}
		w.running.Go(func() { added.work(ctx) })
		return added, nil
	}
	for range connections {
		added, err := add(waiting)
		if err != nil {
			w.stop(true)
			return nil, err
		}
		w.ordinary = append(w.ordinary, added)
	}
	for _, who := range controllers {
		added, err := add(1)
		if err != nil {
			w.stop(true)
			return nil, err
		}
		w.wayward[who] = added
	}
	w.watches = &watches{ctx: ctx, scope: scope, record: record, open: map[int]context.CancelFunc{}}
	for _, worker := range w.ordinary {
		w.watches.clients = append(w.watches.clients, worker.client)
	}
	return w, nil
}

// controller that misbehaves, as an action and a number in the shape of a map's key.
func controller(action plan.Action, number int) plan.Object {
	return plan.Object{Population: plan.Population{Kind: plan.Kind(action)}, Index: number}
}

// controllers that misbehave: two of them fight for an object.
var controllers = []plan.Object{
	controller(plan.ListLoop, 0), controller(plan.Contest, 0), controller(plan.Contest, 1),
	controller(plan.DropWatch, 0), controller(plan.Flood, 0),
}

// dispatch hands an operation to its worker, and waits while that one has too many.
func (w *workers) dispatch(ctx context.Context, operation plan.Operation) {
	switch {
	case operation.Action == plan.Watch:
		w.watches.start(operation.Object)
	case operation.Action == plan.Unwatch:
		w.watches.end(operation.Object.Index)
	case operation.Action.Misbehaves():
		number := 0
		if operation.Action == plan.Contest {
			number = operation.Object.Index
		}
		select {
		case w.wayward[controller(operation.Action, number)].queue <- operation:
		default:
			w.record.skip()
		}
	default:
		select {
		case w.ordinary[share(operation.Object)].queue <- operation:
		case <-ctx.Done():
		}
	}
}

// share is the worker of an object. A CRD and its custom resources have the same one.
func share(object plan.Object) int {
	switch object.Kind {
	case plan.CRDs:
		return object.Index % connections
	case plan.CustomResources:
		return object.CRD % connections
	default:
		return object.Index % connections
	}
}

// stop lets the workers end what they were given, or at once what they read and have not begun.
func (w *workers) stop(atOnce bool) {
	if atOnce {
		w.cancel()
	}
	for _, worker := range w.ordinary {
		close(worker.queue)
	}
	for _, worker := range w.wayward {
		close(worker.queue)
	}
	w.running.Wait()
	w.cancel()
	if w.watches != nil {
		w.watches.running.Wait()
	}
	for _, worker := range w.ordinary {
		worker.client.idle()
	}
	for _, worker := range w.wayward {
		worker.client.idle()
	}
}

// work carries out what is in the queue until it is closed; once ctx is done, nothing more.
func (w *worker) work(ctx context.Context) {
	for operation := range w.queue {
		if ctx.Err() == nil {
			w.do(ctx, operation)
		}
	}
}
