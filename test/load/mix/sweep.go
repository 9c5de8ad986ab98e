package mix

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/test/load/mix/plan"
)

const (
	// sweepPatience is what removing everything may take: some thousand objects, on a guest that is loaded.
	sweepPatience = 3 * time.Minute
	// greeting is how long an API server may take to answer at all, before a run starts.
	greeting = 10 * time.Second
	// sweeping is the pause between two looks at what is left.
	sweeping = 250 * time.Millisecond
	// metadataOnly asks for no more of a list than is looked at.
	metadataOnly = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
)

// prepare removes what an earlier run left, and makes the namespace and the pods' account.
func (r *Run) prepare(ctx context.Context) error {
	first, cancel := context.WithTimeout(ctx, greeting)
	defer cancel()
	if _, err := r.ours(first); err != nil {
		return err
	}
	if err := r.sweep(ctx); err != nil {
		return fmt.Errorf("remove what an earlier run left: %w", err)
	}
	namespace, account := r.scope.Namespace()
	certain := context.WithoutCancel(ctx) // or an interrupt would leave open whether they were made
	if err := r.ask(certain, request{verb: verbCreate, method: http.MethodPost, path: "/api/v1/namespaces", body: namespace}); err != nil {
		return fmt.Errorf("create the namespace %s: %w", r.scope.Name(), err)
	}
	if err := r.ask(certain, request{verb: verbCreate, method: http.MethodPost, path: r.namespacePath() + "/serviceaccounts", body: account}); err != nil {
		return errors.Join(fmt.Errorf("create the ServiceAccount of the pods: %w", err), r.finish(ctx))
	}
	return nil
}

// finish ends what a run started and removes what it made, also when ctx is done already.
func (r *Run) finish(ctx context.Context) error {
	defer r.sweeper.idle()
	return errors.Join(r.kwok.stop(), r.sweep(context.WithoutCancel(ctx)))
}

func (r *Run) namespacePath() string { return "/api/v1/namespaces/" + r.scope.Name() }

// ask sends a request that has to succeed.
func (r *Run) ask(ctx context.Context, q request) error {
	result, err := r.sweeper.do(ctx, q)
	if err != nil {
		return err
	}
	return result.err()
}

// sweep deletes everything that carries the run's label, and the namespace, until nothing is left. Pods go
// before their nodes and by force, as no kubelet ends them; the rest of the namespace is Kubernetes' work.
func (r *Run) sweep(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, sweepPatience)
	defer cancel()
	var problem error
	for {
		left, err := r.sweepOnce(ctx)
		if err == nil && len(left) == 0 {
			return nil
		}
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			problem = err
		}
		if _, refused := errors.AsType[*refusedError](err); refused {
			return err
		}
		if !sleep(ctx, sweeping) {
			return errors.Join(problem, fmt.Errorf("not everything with the label %s=%s could be removed: %s; run the mix again with the same seed, or delete it with kubectl",
				plan.Label, r.scope.Name(), strings.Join(left, ", ")))
		}
	}
}

// refusedError is one that another attempt does not mend.
type refusedError struct{ reason string }

func (e *refusedError) Error() string { return e.reason }

// swept are the kinds that are not left to the end of the namespace.
var swept = []plan.Kind{plan.Deployments, "replicasets", plan.Pods, plan.Nodes, plan.NodeLeases, plan.CRDs}

// sweepOnce deletes what there is and returns what that was.
func (r *Run) sweepOnce(ctx context.Context) (left []string, err error) {
	exists, err := r.ours(ctx)
	if err != nil {
		return []string{"all of it"}, err
	}
	selector := url.Values{"labelSelector": {plan.Label + "=" + r.scope.Name()}}
	for _, kind := range swept {
		path := r.scope.Collection(plan.Population{Kind: kind})
		if kind == "replicasets" {
			path = "/apis/apps/v1/namespaces/" + r.scope.Name() + "/replicasets"
		}
		count, err := r.count(ctx, path, selector)
		if err != nil {
			return append(left, string(kind)), err
		}
		if count == 0 {
			continue
		}
		left = append(left, string(kind))
		if err := r.ask(ctx, request{verb: verbSweep, method: http.MethodDelete, path: path, query: selector, body: removal}); err != nil {
			return left, fmt.Errorf("delete all %s: %w", kind, err)
		}
	}
	if exists {
		left = append(left, "the namespace "+r.scope.Name())
		q := request{verb: verbDelete, method: http.MethodDelete, path: r.namespacePath(), body: []byte("{}")}
		if result, err := r.sweeper.do(ctx, q); err != nil {
			return left, err
		} else if result.status != http.StatusConflict && result.status != http.StatusNotFound && result.err() != nil {
			return left, fmt.Errorf("delete the namespace %s: %w", r.scope.Name(), result.err())
		}
	}
	return left, nil
}

// ours tells whether the run's namespace exists. That somebody else made it is an error.
func (r *Run) ours(ctx context.Context) (bool, error) {
	result, err := r.sweeper.do(ctx, request{verb: verbGet, method: http.MethodGet, path: r.namespacePath(), accept: text})
	if err != nil {
		return false, err
	}
	if result.status == http.StatusNotFound {
		return false, nil
	}
	var namespace metav1.PartialObjectMetadata
	if err := errors.Join(result.err(), json.Unmarshal(result.body, &namespace)); err != nil {
		return false, fmt.Errorf("look for the namespace %s: %w", r.scope.Name(), err)
	}
	if namespace.Labels[plan.Label] != r.scope.Name() {
		return false, &refusedError{fmt.Sprintf("the namespace %s exists and no load generator made it: choose another seed", r.scope.Name())}
	}
	return true, nil
}

// count tells whether there are objects: 0, or some.
func (r *Run) count(ctx context.Context, path string, selector url.Values) (int, error) {
	query := maps.Clone(selector)
	query.Set("limit", "1")
	result, err := r.sweeper.do(ctx, request{verb: verbList, method: http.MethodGet, path: path, query: query, accept: metadataOnly})
	if err != nil {
		return 0, err
	}
	var list metav1.PartialObjectMetadataList
	if err := errors.Join(result.err(), json.Unmarshal(result.body, &list)); err != nil {
		return 0, fmt.Errorf("count %s: %w", path, err)
	}
	return len(list.Items), nil
}
