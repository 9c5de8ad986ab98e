package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/objects"
)

// discardTime bounds one try of Discard.
const discardTime = 30 * time.Second

// Discard throws away what a component's volume holds: the claim and the pod are deleted, and their
// StatefulSet makes both anew. It returns when the new claim is there.
func (r *Runtime) Discard(ctx context.Context, id, component string) error {
	if err := r.writable(); err != nil {
		return err
	}
	ctx, stop := r.bounded(ctx, discardTime)
	defer stop()
	if err := r.discard(ctx, id, component); err != nil {
		return r.wrap(fmt.Sprintf("discard the data of %s of guest %s", component, id), err)
	}
	return nil
}

func (r *Runtime) discard(ctx context.Context, id, component string) error {
	namespace, err := r.namespace(ctx, id)
	if err != nil {
		return err
	}
	if namespace == nil {
		return errors.New("the guest has no namespace")
	}
	set := &appsv1.StatefulSet{}
	if err := r.client.Get(ctx, client.ObjectKey{Namespace: namespace.GetName(), Name: component}, set); err != nil {
		return fmt.Errorf("it has no StatefulSet, and so no volume: %w", err)
	}
	old, err := r.claimOf(ctx, set)
	if err != nil {
		return err
	}
	for {
		if err := r.discardOld(ctx, set, old); err != nil {
			return err
		}
		now, err := r.claimOf(ctx, set)
		if err != nil {
			return err
		}
		if now != "" && now != old {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("claim %s is not made anew yet: %w", objects.ClaimName(component), ctx.Err())
		case <-r.Clock.After(deletePoll):
		}
	}
}

// claimOf is the UID of the claim of a StatefulSet's pod; empty for none.
func (r *Runtime) claimOf(ctx context.Context, set *appsv1.StatefulSet) (types.UID, error) {
	claim := &corev1.PersistentVolumeClaim{}
	err := r.client.Get(ctx, client.ObjectKey{Namespace: set.Namespace, Name: objects.ClaimName(set.Name)}, claim)
	switch {
	case apierrors.IsNotFound(err):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("read the volume claim: %w", err)
	}
	return claim.UID, nil
}

// discardOld deletes the claim of that UID, and while it is there, the pod that keeps it.
func (r *Runtime) discardOld(ctx context.Context, set *appsv1.StatefulSet, old types.UID) error {
	claim := &corev1.PersistentVolumeClaim{}
	claim.Namespace, claim.Name = set.Namespace, objects.ClaimName(set.Name)
	if old != "" {
		switch err := r.deleteObject(ctx, claim, client.Preconditions{UID: &old}); {
		case apierrors.IsConflict(err): // it is another one by now
			return nil
		case err != nil:
			return err
		}
	}
	pod := &corev1.Pod{}
	err := r.client.Get(ctx, client.ObjectKey{Namespace: set.Namespace, Name: objects.PodName(set.Name)}, pod)
	if err != nil {
		return client.IgnoreNotFound(err)
	}
	now, err := r.claimOf(ctx, set)
	if err != nil || now != old {
		return err
	}
	return r.killPod(ctx, pod)
}
