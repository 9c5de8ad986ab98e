package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/objects"
)

// owner owns what Myriad writes.
const owner = client.FieldOwner(objects.FieldOwner)

// written is what is known of an object after it was applied.
type written struct {
	hash      string // of what was applied
	footprint string // of the object that came of it
	version   uint64 // of that object
	at        time.Time
}

// held is an object in the cache, as far as applying it is concerned.
type held struct {
	applied   string
	footprint footprint
	version   uint64
}

func heldOf(object client.Object) held {
	return held{
		applied: object.GetAnnotations()[annotationApplied], footprint: parseFootprint(object.GetAnnotations()[annotationFootprint]),
		version: versionOf(object.GetResourceVersion()),
	}
}

// versionOf is 0 for what is no number: then an object is applied once more than needed.
func versionOf(text string) uint64 {
	version, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0
	}
	return version
}

// settled tells whether an object need not be applied: it is as this agent left it, or as another one
// did and nobody has written it since. last is nil for what this agent has not applied yet.
func settled(hash string, last *written, now *held) bool {
	switch {
	case now == nil:
		return false
	case last == nil:
		return now.applied == hash && !now.footprint.disputed
	case last.hash != hash:
		return false
	case now.version < last.version: // the cache does not know of it yet
		return true
	}
	return now.applied == hash && now.footprint.hash == last.footprint
}

// apply puts a draft in place.
func (r *Runtime) apply(ctx context.Context, d draft) (written, error) {
	u := d.object
	if err := r.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), owner, client.ForceOwnership); err != nil {
		return written{}, fmt.Errorf("apply %s in namespace %s: %w", d.key, u.GetNamespace(), err)
	}
	return written{
		hash: d.hash, footprint: footprintOf(u.GetManagedFields()).hash, version: versionOf(u.GetResourceVersion()),
		at: r.Clock.Now(),
	}, nil
}

// foreignError is a namespace that exists and is not ours.
type foreignError struct{ name, cell string }

func (e *foreignError) Error() string {
	return fmt.Sprintf("namespace %s exists and does not belong to cell %s of Myriad (label %s): nothing in it is touched; "+
		"remove or rename it if it is not needed", e.name, e.cell, v1alpha1.LabelCell)
}

// own makes sure that a guest's namespace is there and is ours.
func (r *Runtime) own(ctx context.Context, id string) error {
	d, err := newDraft(objects.Namespace(r.Cell, id))
	if err != nil {
		return err
	}
	found, err := r.namespace(ctx, id)
	if err != nil || found != nil && found.GetDeletionTimestamp() == nil {
		return err
	}
	if found != nil {
		return fmt.Errorf("namespace %s is being deleted: it is made anew when it is gone", found.GetName())
	}
	// Created and not applied, so that one that somebody else makes at this moment is not taken over.
	err = r.client.Create(ctx, d.object, owner)
	if apierrors.IsAlreadyExists(err) {
		_, err = r.namespace(ctx, id)
		return err
	}
	if err != nil {
		return fmt.Errorf("create %s: %w", d.key, err)
	}
	return nil
}

// namespace reads a guest's namespace; nil for none, an error for one that is not ours.
func (r *Runtime) namespace(ctx context.Context, id string) (*unstructured.Unstructured, error) {
	found := &unstructured.Unstructured{}
	found.SetGroupVersionKind(watchedMetadata[0])
	name := objects.NamespaceName(id)
	err := r.client.Get(ctx, client.ObjectKey{Name: name}, found)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read namespace %s: %w", name, err)
	case !r.ours(found, id):
		return nil, &foreignError{name, r.Cell.Name}
	}
	return found, nil
}

// ours tells whether an object belongs to a guest of this cell.
func (r *Runtime) ours(object client.Object, id string) bool {
	labels := object.GetLabels()
	return labels[objects.LabelManagedBy] == objects.ManagedBy && labels[v1alpha1.LabelCell] == r.Cell.Name &&
		labels[v1alpha1.LabelID] == id
}

// installed makes sure that what the cell needs once was put in place.
func (r *Runtime) installed(ctx context.Context) error {
	r.mu.Lock()
	done := r.classes
	r.mu.Unlock()
	if done {
		return nil
	}
	return r.install(ctx)
}

// install puts what the cell needs once in place. The agent may write PriorityClasses and not read them:
// apply them to repair them.
func (r *Runtime) install(ctx context.Context) error {
	var problems []error
	for _, class := range objects.PriorityClasses() {
		d, err := newDraft(class)
		if err == nil {
			_, err = r.apply(ctx, d)
		}
		problems = append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	r.mu.Lock()
	r.classes = true
	r.mu.Unlock()
	return nil
}
