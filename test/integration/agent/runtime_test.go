package agent_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// fakeRuntime starts everything at once. It outlives the agent, as the real one does.
type fakeRuntime struct {
	mu        sync.Mutex
	manifests map[string]controlplane.Manifest
	applied   int
	deleted   []string
	held      []v1alpha1.Drill
	watchers  map[chan string]bool
}

func newFakeRuntime() *fakeRuntime {
	return &fakeRuntime{manifests: map[string]controlplane.Manifest{}, watchers: map[chan string]bool{}}
}

func (r *fakeRuntime) Reserve(_ context.Context, _ string, names []string) (map[string]string, error) {
	hosts := map[string]string{}
	for i, name := range names {
		hosts[name] = fmt.Sprintf("127.9.1.%d", i+1)
	}
	return hosts, nil
}

func (r *fakeRuntime) Apply(_ context.Context, m controlplane.Manifest) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.manifests[m.ID] = m
	r.applied++
	r.tell(m.ID)
	return nil
}

func (r *fakeRuntime) Observe(_ context.Context, id string) (runtime.Observation, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	manifest, ok := r.manifests[id]
	observation := runtime.Observation{Exists: ok}
	for _, c := range manifest.Components {
		component := runtime.Component{Name: c.Name, State: runtime.Running, Ready: true, Since: time.Now()}
		if c.Stopped {
			component.State, component.Ready = runtime.Held, false
		}
		observation.Components = append(observation.Components, component)
	}
	return observation, nil
}

func (r *fakeRuntime) Delete(_ context.Context, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.manifests, id)
	r.deleted = append(r.deleted, id)
	r.tell(id)
	return nil
}

func (r *fakeRuntime) Watch(ctx context.Context) (<-chan string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	events := make(chan string, 1000) // more than any test causes
	r.watchers[events] = true
	context.AfterFunc(ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.watchers, events)
		close(events)
	})
	return events, nil
}

func (r *fakeRuntime) Hold(_ context.Context, drills []v1alpha1.Drill) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = slices.Clone(drills)
	return nil
}

func (r *fakeRuntime) Discard(context.Context, string, string) error { return nil }

func (r *fakeRuntime) Capacity(context.Context) (runtime.Capacity, error) {
	return runtime.Capacity{{Name: "a", CPU: resource.MustParse("4"), Memory: resource.MustParse("8Gi")}}, nil
}

func (r *fakeRuntime) tell(id string) {
	for watcher := range maps.Keys(r.watchers) {
		watcher <- id
	}
}

// forget makes the runtime lose a guest, as a host that was installed anew does.
func (r *fakeRuntime) forget(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.manifests, id)
	r.tell(id)
}

// manifest that the runtime was given last for a guest.
func (r *fakeRuntime) manifest(id string) (controlplane.Manifest, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	manifest, ok := r.manifests[id]
	return manifest, ok
}

// counts of the calls that change something.
func (r *fakeRuntime) counts() (applied int, deleted []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.applied, slices.Clone(r.deleted)
}

func (r *fakeRuntime) drills() []v1alpha1.Drill {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.held)
}
