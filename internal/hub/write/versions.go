package write

import (
	"strconv"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Versions remembers the last version of each object that was written, so that nobody decides on an older one that
// the cache still shows: the write that follows would only conflict. It is for objects of one kind.
type Versions struct {
	mu   sync.Mutex
	last map[types.NamespacedName]uint64
}

// Wrote notes the version of an object that a write has returned.
func (v *Versions) Wrote(object client.Object) {
	version, ok := number(object)
	if !ok {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.last == nil {
		v.last = map[types.NamespacedName]uint64{}
	}
	key := client.ObjectKeyFromObject(object)
	v.last[key] = max(v.last[key], version)
}

// Stale tells whether an object is older than what was written. The event of that write is still to come.
func (v *Versions) Stale(object client.Object) bool {
	version, ok := number(object)
	if !ok {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	key := client.ObjectKeyFromObject(object)
	last, known := v.last[key]
	if known && version >= last {
		delete(v.last, key) // seen: nothing to wait for any more
	}
	return known && version < last
}

// Forget an object that is gone.
func (v *Versions) Forget(key types.NamespacedName) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.last, key)
}

// number of an object's version: they are numbers that grow (Kubernetes, API Concepts, Resource versions).
func number(object client.Object) (uint64, bool) {
	version, err := strconv.ParseUint(object.GetResourceVersion(), 10, 64)
	return version, err == nil
}
