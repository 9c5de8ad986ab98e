package credential

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/index"
	"github.com/myriad-fleet/myriad/internal/hub/order"
	"github.com/myriad-fleet/myriad/internal/hub/write"
	"github.com/myriad-fleet/myriad/internal/pki"
)

// staleRetry is how long a reconciliation that ran on a stale cache waits for the cache.
const staleRetry = 50 * time.Millisecond

// reconciler carries one tenant's request:
//
//  1. read it and its mirrors; when it is gone, or its certificate has expired, remove them;
//  2. check the request itself;
//  3. find the Cluster and its live order, or wait for them;
//  4. mirror the request into the namespace of the guest's cell;
//  5. check the cell's answer and carry it back.
type reconciler struct {
	client client.Client
	clock  clock.PassiveClock
}

// subject carries one reconciliation from step to step.
type subject struct {
	credential *v1alpha1.ClusterCredential
	mirrors    []v1alpha1.ClusterCredential
	order      *v1alpha1.ControlPlane
	mirror     *v1alpha1.ClusterCredential
}

// step of a reconciliation. It is the last one when done is true.
type step func(context.Context, *subject) (done bool, err error)

// Reconcile carries the ClusterCredential that the request names.
func (r *reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	s := &subject{credential: &v1alpha1.ClusterCredential{}}
	s.credential.Namespace, s.credential.Name = request.Namespace, request.Name
	if isCellNamespace(request.Namespace) {
		return reconcile.Result{}, nil
	}
	for _, step := range []step{r.read, r.expire, r.check, r.find, r.mirror, r.carryBack} {
		done, err := step(ctx, s)
		if apierrors.IsConflict(err) {
			return reconcile.Result{RequeueAfter: staleRetry}, nil
		}
		if err != nil {
			return reconcile.Result{}, fmt.Errorf("carry ClusterCredential %s: %w", request.NamespacedName, err)
		}
		if done {
			break
		}
	}
	if expires := s.credential.Status.Expires; expires != nil {
		return reconcile.Result{RequeueAfter: max(time.Second, expires.Sub(r.clock.Now()))}, nil
	}
	return reconcile.Result{}, nil
}

func (r *reconciler) read(ctx context.Context, s *subject) (bool, error) {
	key := client.ObjectKeyFromObject(s.credential)
	var mirrors v1alpha1.ClusterCredentialList
	if err := r.client.List(ctx, &mirrors, client.MatchingFields{index.Source: key.String()}); err != nil {
		return false, fmt.Errorf("list mirrors: %w", err)
	}
	for i := range mirrors.Items {
		if isCellNamespace(mirrors.Items[i].Namespace) {
			s.mirrors = append(s.mirrors, mirrors.Items[i])
		}
	}
	err := r.client.Get(ctx, key, s.credential)
	if apierrors.IsNotFound(err) {
		return true, r.removeMirrors(ctx, s, "")
	}
	return !s.credential.DeletionTimestamp.IsZero(), err
}

// expire removes requests whose certificate has expired, mirrors first.
func (r *reconciler) expire(ctx context.Context, s *subject) (bool, error) {
	expires := s.credential.Status.Expires
	if expires == nil || r.clock.Now().Before(expires.Time) {
		return false, nil
	}
	if err := r.removeMirrors(ctx, s, ""); err != nil {
		return true, err
	}
	return true, client.IgnoreNotFound(r.client.Delete(ctx, s.credential, client.Preconditions{UID: &s.credential.UID}))
}

// removeMirrors but the one of that name.
func (r *reconciler) removeMirrors(ctx context.Context, s *subject, keep string) error {
	for i := range s.mirrors {
		if s.mirrors[i].Name == keep {
			continue
		}
		if err := r.client.Delete(ctx, &s.mirrors[i]); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("remove mirror %s: %w", client.ObjectKeyFromObject(&s.mirrors[i]), err)
		}
	}
	return nil
}

// check the request itself. What was answered before stays as it is.
func (r *reconciler) check(ctx context.Context, s *subject) (bool, error) {
	if s.credential.Status.Certificate != "" {
		return true, nil
	}
	if _, err := pki.ParseRequest([]byte(s.credential.Spec.Request)); err != nil {
		return true, r.wait(ctx, s, v1alpha1.ReasonRefused, fmt.Sprintf("spec.request: %s", err))
	}
	return false, nil
}

// find the order of the Cluster that the request names, in the request's own namespace.
func (r *reconciler) find(ctx context.Context, s *subject) (bool, error) {
	key := client.ObjectKey{Namespace: s.credential.Namespace, Name: s.credential.Spec.Cluster}
	var cluster v1alpha1.Cluster
	if err := r.client.Get(ctx, key, &cluster); apierrors.IsNotFound(err) {
		return true, r.wait(ctx, s, v1alpha1.ReasonClusterNotFound, fmt.Sprintf("there is no Cluster %s in namespace %s", key.Name, key.Namespace))
	} else if err != nil {
		return true, fmt.Errorf("read Cluster %s: %w", key, err)
	}
	var orders v1alpha1.ControlPlaneList
	if err := r.client.List(ctx, &orders, client.MatchingFields{index.Cluster: key.String()}); err != nil {
		return true, fmt.Errorf("list orders of Cluster %s: %w", key, err)
	}
	s.order = order.Live(orders.Items)
	if s.order == nil || s.order.Spec.Tombstone != nil {
		return true, r.wait(ctx, s, v1alpha1.ReasonPending, fmt.Sprintf("waits until Cluster %s has a cell", key.Name))
	}
	return false, nil
}

func (r *reconciler) mirror(ctx context.Context, s *subject) (bool, error) {
	desired := mirrorOf(s.credential, s.order)
	if err := r.removeMirrors(ctx, s, desired.Name); err != nil {
		return true, err
	}
	for i := range s.mirrors {
		if client.ObjectKeyFromObject(&s.mirrors[i]) == client.ObjectKeyFromObject(desired) {
			s.mirror = &s.mirrors[i]
			return false, nil
		}
	}
	if err := r.client.Create(ctx, desired); err != nil && !apierrors.IsAlreadyExists(err) {
		return true, fmt.Errorf("write mirror %s: %w", client.ObjectKeyFromObject(desired), err)
	}
	s.mirror = desired
	return false, nil
}

// mirrorOf a request in the cell of an order. Its name is new for every request and every cell, so
// that no answer to another one can be mistaken for its own.
func mirrorOf(credential *v1alpha1.ClusterCredential, live *v1alpha1.ControlPlane) *v1alpha1.ClusterCredential {
	sum := sha256.Sum256([]byte(string(credential.UID) + "/" + live.Namespace + "/" + live.Name))
	mirror := &v1alpha1.ClusterCredential{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:   live.Namespace,
			Name:        "request-" + hex.EncodeToString(sum[:12]),
			Labels:      map[string]string{v1alpha1.LabelID: live.Name},
			Annotations: map[string]string{v1alpha1.AnnotationSource: client.ObjectKeyFromObject(credential).String()},
		},
		Spec: *credential.Spec.DeepCopy(),
	}
	mirror.Spec.Cluster = live.Name
	return mirror
}

func (r *reconciler) wait(ctx context.Context, s *subject, reason, message string) error {
	return write.Status(ctx, r.client, s.credential, func(c *v1alpha1.ClusterCredential) {
		write.Condition(&c.Status.Conditions, r.clock.Now(), metav1.Condition{
			Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: reason, Message: message, ObservedGeneration: c.Generation,
		})
	})
}
