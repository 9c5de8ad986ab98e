package mix

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/test/load/mix/plan"
)

const (
	// attempts to make or delete an object that the plan counts on.
	attempts = 5
	// pause before the second attempt; it doubles with each further one.
	pause = 200 * time.Millisecond
	// page of a list with a limit.
	page = 100
	// established: how often a CRD is looked at, a tenth of a second apart, until it is served or gone.
	established = 100
)

// removal lets no object linger: no kubelet ends the pods of fake nodes.
var removal = []byte(`{"kind":"DeleteOptions","apiVersion":"v1","gracePeriodSeconds":0,"propagationPolicy":"Background"}`)

// do carries out one operation. What fails is in the record.
func (w *worker) do(ctx context.Context, operation plan.Operation) {
	object := operation.Object
	collection := w.scope.Collection(object.Population)
	switch operation.Action {
	case plan.Create:
		w.create(ctx, operation)
	case plan.Delete:
		w.remove(ctx, object)
	case plan.Get:
		w.read(ctx, request{verb: verbGet, path: w.scope.Path(object)})
	case plan.List:
		w.read(ctx, request{verb: verbList, path: collection, query: url.Values{"limit": {strconv.Itoa(page)}}})
	case plan.ListAll:
		w.read(ctx, request{verb: verbListAll, path: collection})
	case plan.Update:
		w.write(ctx, request{verb: verbUpdate, method: http.MethodPut, path: w.scope.Path(object), body: w.render(operation)})
	case plan.Patch, plan.Renew:
		w.write(ctx, request{verb: verbPatch, method: http.MethodPatch, path: w.scope.Path(object), content: patch, body: w.render(operation)})
	case plan.ListLoop:
		w.read(ctx, request{verb: verbListAll, path: plan.Everything()[object.Index]})
	case plan.Contest:
		w.contest(ctx, operation)
	case plan.DropWatch:
		w.client.glance(ctx, collection)
	case plan.Flood:
		w.create(ctx, operation)
	default:
		panic("the planner plans what no worker can do: " + string(operation.Action))
	}
}

// render what an operation writes now.
func (w *worker) render(operation plan.Operation) []byte {
	return w.scope.Render(operation, time.Now().UTC().Format(metav1.RFC3339Micro))
}

// read something; it is no failure when it is gone.
func (w *worker) read(ctx context.Context, r request) {
	r.method, r.expected = http.MethodGet, []int{http.StatusNotFound}
	_, _ = w.client.do(ctx, r) // the record has it
}

// write something that may be gone, or that somebody else wrote. A write that has begun is let finish, or
// it might take effect after the run has cleaned up.
func (w *worker) write(ctx context.Context, r request) answer {
	r.expected = append(r.expected, http.StatusNotFound, http.StatusConflict)
	if ctx.Err() != nil {
		return answer{}
	}
	result, _ := w.client.do(context.WithoutCancel(ctx), r) // the record has it
	return result
}

// insist writes until the API server neither fails nor refuses for its own reasons.
func (w *worker) insist(ctx context.Context, r request) answer {
	wait := pause
	for attempt := 1; ; attempt++ {
		result := w.write(ctx, r)
		refused := result.status == 0 || result.status == http.StatusTooManyRequests || result.status >= http.StatusInternalServerError
		if !refused || attempt == attempts || !sleep(ctx, wait) {
			return result
		}
		wait *= 2
	}
}

func (w *worker) create(ctx context.Context, operation plan.Operation) {
	object := operation.Object
	result := w.insist(ctx, request{
		verb: verbCreate, method: http.MethodPost, path: w.scope.Collection(object.Population), body: w.render(operation),
	})
	if result.status == http.StatusCreated {
		w.record.object(object.Kind, true)
	}
	if object.Kind == plan.CRDs {
		w.settle(ctx, w.scope.Collection(plan.Population{Kind: plan.CustomResources, CRD: object.Index}), http.StatusOK)
	}
}

func (w *worker) remove(ctx context.Context, object plan.Object) {
	result := w.insist(ctx, request{verb: verbDelete, method: http.MethodDelete, path: w.scope.Path(object), body: removal})
	if result.status/100 == 2 {
		w.record.object(object.Kind, false)
	}
	if object.Kind == plan.CRDs {
		w.settle(ctx, w.scope.Path(object), http.StatusNotFound)
	}
}

// settle waits until a path is answered with a status.
func (w *worker) settle(ctx context.Context, path string, status int) {
	for range established {
		result, err := w.client.do(ctx, request{
			verb: verbGet, method: http.MethodGet, path: path, query: url.Values{"limit": {"1"}}, expected: []int{http.StatusNotFound},
		})
		if err == nil && result.status == status || !sleep(ctx, pause/2) {
			return
		}
	}
}

// contest writes the object that two controllers fight for, over the version that this one saw last, and
// looks at it again when the other one was faster.
func (w *worker) contest(ctx context.Context, operation plan.Operation) {
	path, body := w.scope.Contested(operation, w.seen)
	result := w.write(ctx, request{verb: verbUpdate, method: http.MethodPut, path: path, body: body, accept: text})
	switch result.status {
	case http.StatusNotFound:
		_, body = w.scope.Contested(operation, "")
		collection := w.scope.Collection(plan.Population{Kind: plan.ConfigMaps})
		result = w.write(ctx, request{verb: verbCreate, method: http.MethodPost, path: collection, body: body, accept: text})
	case http.StatusConflict:
		result, _ = w.client.do(ctx, request{verb: verbGet, method: http.MethodGet, path: path, accept: text})
	default:
	}
	var object metav1.PartialObjectMetadata
	if json.Unmarshal(result.body, &object) == nil && object.ResourceVersion != "" {
		w.seen = object.ResourceVersion
	}
}

// sleep is false when ctx ended it.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
