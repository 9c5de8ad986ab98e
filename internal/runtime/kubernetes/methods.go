package kubernetes

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/objects"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/roll"
)

// Reserve makes the namespace of a guest and the Services of its instances, and returns their addresses: the same
// answer every time. A Service that is gone comes back where it was, for a member of etcd is known by its address.
func (r *Runtime) Reserve(ctx context.Context, id string, names []string) (map[string]string, error) {
	if err := r.writable(); err != nil {
		return nil, err
	}
	hosts, err := r.reserve(ctx, id, names)
	if err != nil {
		return nil, r.wrap("reserve addresses", err)
	}
	return hosts, nil
}

func (r *Runtime) reserve(ctx context.Context, id string, names []string) (map[string]string, error) {
	if err := r.own(ctx, id); err != nil {
		return nil, err
	}
	services, err := objects.Services(r.Cell, id, names)
	if err != nil {
		return nil, err
	}
	there, err := r.read(ctx, id)
	if err != nil {
		return nil, err
	}
	hosts := make(map[string]string, len(names))
	for i, service := range services {
		if address := there.lostAddress(names[i]); address != "" {
			service.Spec.WithClusterIP(address)
		}
		d, err := newDraft(service)
		if err == nil {
			_, err = r.apply(ctx, d)
		}
		if err != nil {
			return nil, err
		}
		host, _, err := unstructured.NestedString(d.object.Object, "spec", "clusterIP")
		if err != nil || !isAddress(host) {
			return nil, fmt.Errorf("%s in namespace %s has clusterIP %q: want an address; delete it if its type was changed",
				d.key, d.object.GetNamespace(), host)
		}
		hosts[d.name] = host
	}
	return hosts, nil
}

// Apply makes a resolved manifest what is wanted of its guest. What cannot be made into objects, and a
// namespace that is not ours, it refuses; what else becomes of it Observe and Watch tell.
func (r *Runtime) Apply(ctx context.Context, m controlplane.Manifest) error {
	if err := r.writable(); err != nil {
		return err
	}
	w, err := newWanted(r.Cell, m)
	if err != nil {
		return r.wrap("apply the manifest of guest "+m.ID, err)
	}
	if r.known(m.ID) == nil {
		if _, err := r.namespace(ctx, m.ID); err != nil {
			return r.wrap("apply the manifest of guest "+m.ID, err)
		}
	}
	if err := r.ensure(m.ID).want(w); err != nil {
		return r.wrap("apply", err)
	}
	r.queue.Add(m.ID)
	return nil
}

// Observe returns how a guest is. Of a guest that does not exist it says so without an error.
func (r *Runtime) Observe(ctx context.Context, id string) (runtime.Observation, error) {
	if err := r.readable(); err != nil {
		return runtime.Observation{}, err
	}
	if g := r.known(id); g != nil {
		if w, deleting := g.current(); w != nil && !deleting {
			return g.observe(ctx, w)
		}
	}
	s, err := r.read(ctx, id)
	if err != nil {
		return runtime.Observation{}, err
	}
	return runtime.Observation{Exists: s.exists}, nil
}

// observe is how the guest was when it was last looked at. Where nobody has looked by its manifest yet, as after a
// restart of the agent, it is what the caches hold, seen by somebody who remembers nothing and writes nothing.
func (g *guest) observe(ctx context.Context, w *wanted) (runtime.Observation, error) {
	if o, ok := g.seen(w); ok {
		return o, nil
	}
	s := &scope{wanted: w, messages: map[string]string{}}
	var err error
	if s.state, err = g.read(ctx, g.id); err != nil {
		return runtime.Observation{}, err
	}
	stranger := newGuest(g.Runtime, g.id)
	stranger.unpaced = true // only who asks for a slot can tell whether it has to wait
	stranger.look(s)
	s.plan = roll.Decide(&s.view)
	o := stranger.sum(s, nil)
	o.Exists = true // the caches may not know yet of a guest that is new
	return o, nil
}

// seen is how the guest was when it was last looked at; false where that was not by these components.
func (g *guest) seen(w *wanted) (runtime.Observation, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.observed == nil || len(g.observed.Components) != len(w.components) {
		return runtime.Observation{}, false
	}
	return runtime.Observation{Exists: g.observed.Exists, Components: slices.Clone(g.observed.Components)}, true
}

// List returns the ids of the guests that have a namespace of ours, in their order.
func (r *Runtime) List(ctx context.Context) ([]string, error) {
	if err := r.readable(); err != nil {
		return nil, err
	}
	list := &metav1.PartialObjectMetadataList{}
	kind := watchedMetadata[0]
	list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	if err := r.cache.List(ctx, list); err != nil {
		return nil, r.wrap("list guests", err)
	}
	var ids []string
	for i := range list.Items {
		if id := list.Items[i].Labels[v1alpha1.LabelID]; id != "" && list.Items[i].Name == objects.NamespaceName(id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// Watch sends the id of every guest at first, and then of each one whose observation has changed. The
// channel is closed when the runtime stops or ctx is done.
func (r *Runtime) Watch(ctx context.Context) (<-chan string, error) {
	known, err := r.List(ctx)
	if err != nil {
		return nil, err
	}
	return r.changes.Watch(ctx, func() []string { return known }), nil
}

// Changed has a message when nodes have changed since the last one was taken.
func (r *Runtime) Changed() <-chan struct{} { return r.nodes }
