package kubernetes

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/cache"
	crcache "sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/objects"
)

var scheme = clientgoscheme.Scheme

// watchedMetadata are the kinds of which only the metadata is held: what is in them is never read, and
// their managed fields tell whether somebody else has changed it. Secrets are not among them: who may
// watch those of guests may read those of everybody.
var watchedMetadata = []schema.GroupVersionKind{
	corev1.SchemeGroupVersion.WithKind("Namespace"),
	corev1.SchemeGroupVersion.WithKind("Service"),
	corev1.SchemeGroupVersion.WithKind("ServiceAccount"),
	networkingv1.SchemeGroupVersion.WithKind("NetworkPolicy"),
	policyv1.SchemeGroupVersion.WithKind("PodDisruptionBudget"),
}

func metadata(kind schema.GroupVersionKind) *metav1.PartialObjectMetadata {
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(kind)
	return object
}

// newCache makes the caches: of what is ours by its label, and of nodes and pods for the capacity.
func (r *Runtime) newCache() (crcache.Cache, error) {
	ours := crcache.ByObject{
		Label: labels.SelectorFromSet(labels.Set{
			v1alpha1.LabelCell: r.Cell.Name, objects.LabelManagedBy: objects.ManagedBy,
		}),
		Transform: trim,
	}
	byObject := map[client.Object]crcache.ByObject{
		&appsv1.StatefulSet{}:           ours,
		&appsv1.ReplicaSet{}:            ours,
		&corev1.PersistentVolumeClaim{}: ours,
		&corev1.Pod{}:                   {Transform: trim},
		&corev1.Node{}:                  {Transform: trim},
	}
	for _, kind := range watchedMetadata {
		byObject[metadata(kind)] = ours
	}
	return crcache.New(r.Config, crcache.Options{
		Scheme: scheme, ByObject: byObject, ReaderFailOnMissingInformer: true,
		DefaultWatchErrorHandler: func(ctx context.Context, reflector *cache.Reflector, err error) {
			r.mu.Lock()
			r.trouble = err
			r.mu.Unlock()
			cache.DefaultWatchErrorHandler(ctx, reflector, err)
		},
	})
}

// follow has every change of a guest's objects looked at, and tells of changes of nodes.
func (r *Runtime) follow(ctx context.Context) error {
	watched := []client.Object{&appsv1.StatefulSet{}, &appsv1.ReplicaSet{}, &corev1.PersistentVolumeClaim{}, &corev1.Pod{}}
	for _, kind := range watchedMetadata {
		watched = append(watched, metadata(kind))
	}
	for _, object := range watched {
		if err := r.handle(ctx, object, r.objectChanged); err != nil {
			return err
		}
	}
	return r.handle(ctx, &corev1.Node{}, func(any) { r.nodesChanged() })
}

func (r *Runtime) handle(ctx context.Context, object client.Object, changed func(any)) error {
	informer, err := r.cache.GetInformer(ctx, object, crcache.BlockUntilSynced(false))
	if err != nil {
		return err
	}
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: changed, DeleteFunc: changed,
		UpdateFunc: func(before, after any) {
			if old, ok := before.(metav1.Object); ok {
				if now, ok := after.(metav1.Object); ok && old.GetResourceVersion() == now.GetResourceVersion() {
					return
				}
			}
			changed(after)
		},
	})
	return err
}

func (r *Runtime) objectChanged(object any) {
	if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = gone.Obj
	}
	if o, ok := object.(metav1.Object); ok && o.GetLabels()[v1alpha1.LabelCell] == r.Cell.Name {
		if id := o.GetLabels()[v1alpha1.LabelID]; id != "" {
			r.queue.Add(id)
		}
	}
}

func (r *Runtime) nodesChanged() {
	select {
	case r.nodes <- struct{}{}:
	default: // one is waiting already
	}
}
