package hubwatch

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// clientFor one group and version of the hub's API, in JSON, the only encoding that custom resources have.
func clientFor(config *rest.Config, scheme *runtime.Scheme, version schema.GroupVersion, path string) (rest.Interface, error) {
	config = rest.CopyConfig(config)
	config.GroupVersion = &version
	config.APIPath = path
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	config.ContentType = runtime.ContentTypeJSON
	config.AcceptContentTypes = runtime.ContentTypeJSON
	config.Timeout = 0 // watches are long
	config.QPS = -1    // a few watches need no limit of their own
	client, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("make a client of the hub for %s: %w", version, err)
	}
	return client, nil
}

// listWatch lists and watches one resource in one namespace.
type listWatch struct {
	client    rest.Interface
	codec     runtime.ParameterCodec
	resource  string
	namespace string
	name      string // of the only object wanted; empty: all
	newList   func() runtime.Object
}

// request for the resource.
func (l listWatch) request(options metav1.ListOptions) *rest.Request {
	if l.name != "" {
		options.FieldSelector = "metadata.name=" + l.name
	}
	return l.client.Get().Namespace(l.namespace).Resource(l.resource).VersionedParams(&options, l.codec)
}

// source in the shape that client-go wants.
func (l listWatch) source() cache.ListerWatcher {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			list := l.newList()
			return list, l.request(options).Do(ctx).Into(list)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.Watch = true
			return l.request(options).Watch(ctx)
		},
	}
}

// backoff of a watch while the hub is away: 0.5 s doubled up to 10 s, each up to doubled by jitter. A
// region has few gateways, so that a hub that comes back can bear all of them within 20 s.
func backoff() *wait.Backoff {
	return &wait.Backoff{Duration: 500 * time.Millisecond, Factor: 2, Jitter: 1, Steps: 6, Cap: 10 * time.Second}
}

// reflect a resource into a store until ctx is done. What the store holds stays while the hub is away.
func reflect(ctx context.Context, name string, source listWatch, kind runtime.Object, sink store) {
	cache.NewReflectorWithOptions(source.source(), kind, sink,
		cache.ReflectorOptions{Name: name, TypeDescription: name, Backoff: backoff()}).RunWithContext(ctx)
}

// store hands what a reflector learns to functions. It implements cache.TransformingStore, so that not
// even while a list is being read its objects are held whole.
type store struct {
	strip   cache.TransformFunc
	put     func(object any)
	drop    func(object any)
	replace func(objects []any)
}

// Add implements cache.ReflectorStore.
func (s store) Add(object any) error { return s.Update(object) }

// Update implements cache.ReflectorStore.
func (s store) Update(object any) error {
	s.put(object)
	return nil
}

// Delete implements cache.ReflectorStore.
func (s store) Delete(object any) error {
	s.drop(object)
	return nil
}

// Replace implements cache.ReflectorStore.
func (s store) Replace(objects []any, _ string) error {
	s.replace(objects)
	return nil
}

// Resync implements cache.ReflectorStore.
func (store) Resync() error { return nil }

// Transformer implements cache.TransformingStore.
func (s store) Transformer() cache.TransformFunc { return s.strip }

// stripConfigMap keeps the names of the cells.
func stripConfigMap(object any) (any, error) {
	if list, isConfigMap := object.(*corev1.ConfigMap); isConfigMap {
		return &corev1.ConfigMap{ObjectMeta: stripMeta(list.ObjectMeta), Data: list.Data}, nil
	}
	return object, nil
}

// stripControlPlane keeps what routing reads: no escrow, components, sizes or managed fields.
func stripControlPlane(object any) (any, error) {
	order, isOrder := object.(*v1alpha1.ControlPlane)
	if !isOrder {
		return object, nil
	}
	return &v1alpha1.ControlPlane{
		ObjectMeta: stripMeta(order.ObjectMeta),
		Spec: v1alpha1.ControlPlaneSpec{
			ID: order.Spec.ID, Epoch: order.Spec.Epoch, SupersededBy: order.Spec.SupersededBy,
			Endpoint: order.Spec.Endpoint, Tombstone: order.Spec.Tombstone,
		},
		Status: v1alpha1.ControlPlaneStatus{Endpoints: order.Status.Endpoints, CABundle: order.Status.CABundle},
	}, nil
}

// stripMeta keeps what a reflector reads.
func stripMeta(meta metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: meta.Namespace, Name: meta.Name, ResourceVersion: meta.ResourceVersion}
}
