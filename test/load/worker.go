package load

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
)

// worker is one client process: one request at a time on its own connection.
type worker struct {
	run     *Run
	process int
	client  *client
	random  *rand.Rand
	writes  int
}

// work sends requests at the run's rate until ctx is done. A request that has begun is let finish.
func (w *worker) work(ctx context.Context) {
	defer func() { w.client.transport.CloseIdleConnections() }()
	for w.run.limiter.Wait(ctx) == nil {
		key, retired := w.run.keys.pick(w.random)
		if retired != "" {
			w.remove(ctx, retired)
			continue
		}
		// Of 100 operations 40 write; an update is two requests.
		switch n := w.random.IntN(100); {
		case n < 50:
			w.get(ctx, key)
		case n < 65:
			w.update(ctx, key)
		case n < 85:
			w.create(ctx, key)
		case n < 94:
			w.remove(ctx, key)
		default:
			w.list(ctx)
		}
	}
}

// value returns one that no other write of the run has.
func (w *worker) value() string {
	w.writes++
	return fmt.Sprintf("%d-%d", w.process, w.writes)
}

func (w *worker) create(ctx context.Context, key string) {
	value := w.value()
	op := Operation{Verb: Create, Key: key, Value: value}
	w.write(ctx, op, http.MethodPost, "", w.run.configMap(key, value, ""), http.StatusCreated, http.StatusConflict)
}

func (w *worker) update(ctx context.Context, key string) {
	base, ok := w.get(ctx, key)
	if !ok || w.run.limiter.Wait(ctx) != nil {
		return
	}
	value := w.value()
	op := Operation{Verb: Update, Key: key, Value: value, Base: base.Data[dataKey]}
	object := w.run.configMap(key, value, base.ResourceVersion)
	w.write(ctx, op, http.MethodPut, key, object, http.StatusOK, http.StatusConflict, http.StatusNotFound)
}

func (w *worker) remove(ctx context.Context, key string) {
	w.write(ctx, Operation{Verb: Delete, Key: key}, http.MethodDelete, key, nil, http.StatusOK, http.StatusNotFound)
}

// write sends one write. done is the status that says it was carried out, refusals say that the
// state did not allow it; anything else is a failure with unknown outcome.
func (w *worker) write(ctx context.Context, op Operation, method, name string, object any, done int, refusals ...int) {
	op.Process, op.Call = w.process, w.run.journal.now()
	result, err := w.client.do(context.WithoutCancel(ctx), method, name, nil, object)
	op.Return = w.run.journal.now()
	if err == nil && result.status == done && op.Verb != Delete {
		op.Revision, err = revisionOf(result.body)
	}
	switch {
	case err != nil && unsent(err):
		w.run.journal.request(op, err)
		return
	case err != nil:
		op.Result = Unknown
	case result.status == done:
		op.Result = Done
	case slices.Contains(refusals, result.status):
		op.Result = Refused
	default:
		op.Result, err = Unknown, unexpected(result)
	}
	if op.Result == Unknown {
		w.run.keys.doubt(op.Key)
	}
	w.run.journal.request(op, err)
	w.run.journal.operation(op)
}

func (w *worker) get(ctx context.Context, key string) (*corev1.ConfigMap, bool) {
	op := Operation{Process: w.process, Verb: Get, Key: key, Call: w.run.journal.now()}
	result, err := w.client.do(context.WithoutCancel(ctx), http.MethodGet, key, nil, nil)
	op.Return = w.run.journal.now()
	var object corev1.ConfigMap
	switch {
	case err != nil:
	case result.status == http.StatusOK:
		op.Result, err = Done, json.Unmarshal(result.body, &object)
		op.Value = object.Data[dataKey]
	case result.status == http.StatusNotFound:
		op.Result = Refused
	default:
		err = unexpected(result)
	}
	w.run.journal.request(op, err)
	if err != nil {
		return nil, false
	}
	w.run.journal.operation(op)
	return &object, op.Result == Done
}

// list reads all keys at once: the API server promises the most recent state, as for a get.
func (w *worker) list(ctx context.Context) {
	names := w.run.keys.names()
	call := w.run.journal.now()
	values, _, err := w.client.list(context.WithoutCancel(ctx), w.run.selector)
	op := Operation{Process: w.process, Verb: list, Call: call, Return: w.run.journal.now()}
	w.run.journal.request(op, err)
	if err != nil {
		return
	}
	for _, name := range names {
		read := Operation{Process: w.process, Verb: Get, Key: name, Call: op.Call, Return: op.Return, Result: Refused}
		if value, ok := values[name]; ok {
			read.Result, read.Value = Done, value
		}
		w.run.journal.operation(read)
	}
}

func revisionOf(body []byte) (int64, error) {
	var object corev1.ConfigMap
	if err := json.Unmarshal(body, &object); err != nil {
		return 0, fmt.Errorf("reading the answer to a write: %w", err)
	}
	return strconv.ParseInt(object.ResourceVersion, 10, 64)
}
