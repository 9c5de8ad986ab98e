package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/objects"
)

const (
	// deleteTime bounds one try of Delete.
	deleteTime = 30 * time.Second
	// deletePoll is the pause between two looks at what is left.
	deletePoll = 200 * time.Millisecond
	// killGrace in seconds: the shortest with which a pod is gone only when its processes are.
	killGrace = 1
)

// Delete removes a guest's pods, volumes and namespace. It returns when nothing remains, or with what
// remains; deleting what does not exist is no error.
func (r *Runtime) Delete(ctx context.Context, id string) error {
	if err := r.writable(); err != nil {
		return err
	}
	ctx, stop := r.bounded(ctx, deleteTime)
	defer stop()
	if err := r.delete(ctx, id); err != nil {
		return r.wrap("delete guest "+id, err)
	}
	r.forget(id)
	r.changes.Notify(id)
	return nil
}

// bounded is a context that ends after a time, or with the right to write.
func (r *Runtime) bounded(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	release := context.AfterFunc(r.lease.writing(ctx), cancel)
	return ctx, func() { release(); cancel() }
}

func (r *Runtime) delete(ctx context.Context, id string) error {
	if g := r.known(id); g != nil {
		g.mu.Lock()
		g.deleting = true
		g.mu.Unlock()
		g.work.Lock() // what writes now ends first
		defer g.work.Unlock()
		r.release(id) // however long the rest takes: it starts nothing any more
	}
	var known []string
	for {
		left, err := r.deleteOnce(ctx, id)
		if err == nil && len(left) == 0 {
			return nil
		}
		if isForeign(err) {
			return err
		}
		if err == nil {
			known = left
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, fmt.Errorf("still there: %s", strings.Join(known, ", ")))
		case <-r.Clock.After(deletePoll):
		}
	}
}

func isForeign(err error) bool {
	var foreign *foreignError
	return errors.As(err, &foreign)
}

// deleteOnce asks for the deletion of what there is, and returns what is still there. The namespace goes
// first: from then on nothing can be made in it, and its controller waits for 5 s before it looks
// (namespaceDeletionGracePeriod), while a pod that it finds then costs half of that pod's own grace.
func (r *Runtime) deleteOnce(ctx context.Context, id string) ([]string, error) {
	namespace, err := r.namespace(ctx, id)
	if err != nil {
		return nil, err
	}
	name := objects.NamespaceName(id)
	var left []string
	if namespace != nil {
		left = append(left, "namespace "+name)
		if namespace.GetDeletionTimestamp() == nil {
			uid := namespace.GetUID()
			if err := r.deleteObject(ctx, namespace, client.Preconditions{UID: &uid}); err != nil {
				return left, err
			}
		}
		pods, err := r.deletePods(ctx, name)
		if err != nil {
			return left, err
		}
		claims, err := r.deleteClaims(ctx, name)
		if err != nil {
			return left, err
		}
		left = append(append(append(left, pods...), claims...), namespaceTrouble(namespace)...)
	}
	volumes, err := r.volumesOf(ctx, name)
	return append(left, volumes...), err
}

// deletePods kills pods. Those whose node does not answer go at once: nobody there would say that they
// have ended.
func (r *Runtime) deletePods(ctx context.Context, namespace string) ([]string, error) {
	var pods corev1.PodList
	if err := r.client.List(ctx, &pods, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	var left []string
	for i := range pods.Items {
		pod := &pods.Items[i]
		left = append(left, "pod "+pod.Name)
		if err := r.killPod(ctx, pod); err != nil {
			return left, err
		}
	}
	return left, nil
}

// killPod has a pod killed, unless that was asked for already.
func (r *Runtime) killPod(ctx context.Context, pod *corev1.Pod) error {
	grace := int64(killGrace)
	if pod.Spec.NodeName == "" || !r.answers(ctx, pod.Spec.NodeName) {
		grace = 0
	}
	if had := pod.DeletionGracePeriodSeconds; had != nil && *had <= grace && grace > 0 {
		return nil
	}
	err := r.deleteObject(ctx, pod, client.GracePeriodSeconds(grace), client.Preconditions{UID: &pod.UID})
	if apierrors.IsConflict(err) { // it is another pod by now
		return nil
	}
	return err
}

// answers tells whether a node is there and ready.
func (r *Runtime) answers(ctx context.Context, name string) bool {
	var node corev1.Node
	return r.cache.Get(ctx, client.ObjectKey{Name: name}, &node) == nil && nodeReady(&node)
}

func (r *Runtime) deleteClaims(ctx context.Context, namespace string) ([]string, error) {
	var claims corev1.PersistentVolumeClaimList
	if err := r.client.List(ctx, &claims, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("list volume claims: %w", err)
	}
	var left []string
	for i := range claims.Items {
		claim := &claims.Items[i]
		left = append(left, "claim "+claim.Name)
		if claim.DeletionTimestamp == nil {
			if err := r.deleteObject(ctx, claim); err != nil {
				return left, err
			}
		}
	}
	return left, nil
}

// volumesOf are the volumes of a namespace's claims. Those that their class keeps (Retain) are somebody's
// decision and are not waited for.
func (r *Runtime) volumesOf(ctx context.Context, namespace string) ([]string, error) {
	var volumes corev1.PersistentVolumeList
	if err := r.client.List(ctx, &volumes); err != nil {
		return nil, fmt.Errorf("list volumes: %w", err)
	}
	var left []string
	for i := range volumes.Items {
		volume := &volumes.Items[i]
		claim := volume.Spec.ClaimRef
		if claim == nil || claim.Namespace != namespace || volume.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimDelete {
			continue
		}
		what := fmt.Sprintf("volume %s (%s)", volume.Name, volume.Status.Phase)
		if volume.Status.Message != "" {
			what += ": " + volume.Status.Message
		}
		left = append(left, what)
	}
	return left, nil
}

// namespaceTrouble is what the cell's controller says of a namespace that does not end.
func namespaceTrouble(namespace *unstructured.Unstructured) []string {
	conditions, _, err := unstructured.NestedSlice(namespace.Object, "status", "conditions")
	if err != nil {
		return nil
	}
	var trouble []string
	for _, condition := range conditions {
		if c, ok := condition.(map[string]any); ok && c["status"] == string(corev1.ConditionTrue) {
			trouble = append(trouble, fmt.Sprint(c["message"]))
		}
	}
	return trouble
}
