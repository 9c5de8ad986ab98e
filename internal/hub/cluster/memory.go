package cluster

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// expected is for how long an order that was written may stay out of the cache before nobody counts on it any more.
const expected = time.Minute

// memory is what this hub has done lately and its cache need not show yet. A hub without it, one that has just begun,
// sends some requests in vain and breaks nothing.
type memory struct {
	mu     sync.Mutex
	orders map[types.NamespacedName]wroteOrder
	told   map[types.NamespacedName]time.Time
	took   time.Duration // that a status takes to be written, smoothed
	began  time.Time     // when this hub first looked at a Cluster's trial
}

// wroteOrder of a Cluster.
type wroteOrder struct {
	cluster types.UID
	order   *v1alpha1.ControlPlane
	at      time.Time
}

func newMemory() *memory {
	return &memory{orders: map[types.NamespacedName]wroteOrder{}, told: map[types.NamespacedName]time.Time{}}
}

// ordered notes the order that was written for a Cluster.
func (m *memory) ordered(key types.NamespacedName, cluster types.UID, order *v1alpha1.ControlPlane, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.orders[key] = wroteOrder{cluster: cluster, order: order.DeepCopy(), at: now}
}

// order that was written for a Cluster and must be expected to show up, or nil.
func (m *memory) order(key types.NamespacedName, cluster types.UID, now time.Time) *v1alpha1.ControlPlane {
	m.mu.Lock()
	defer m.mu.Unlock()
	wrote, ok := m.orders[key]
	if !ok {
		return nil
	}
	if age := now.Sub(wrote.at); wrote.cluster != cluster || age < 0 || age > expected {
		delete(m.orders, key)
		return nil
	}
	return wrote.order.DeepCopy()
}

// shown: the cache shows an order for the Cluster.
func (m *memory) shown(key types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.orders, key)
}

// tell notes that the status of a Cluster was written.
func (m *memory) tell(key types.NamespacedName, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.told[key] = now
}

// tookTo write a status.
func (m *memory) tookTo(write time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.took += (write - m.took) / 8
}

// patience with what passes by itself: 20 times what a status takes to be written, from least to longest. The slower
// the API server is, the more is told in one write.
func (m *memory) patience(least, longest time.Duration) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return min(max(20*m.took, least), longest)
}

// rush tells whether the API server is so slow that what can wait should.
func (m *memory) rush() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.took > 250*time.Millisecond
}

// sinceTold is how long ago the status of a Cluster was written; longer than anybody waits when it never was.
func (m *memory) sinceTold(key types.NamespacedName, now time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	last, ok := m.told[key]
	if age := now.Sub(last); ok && age >= 0 {
		return age
	}
	return time.Hour
}

// since when this hub has looked after trials.
func (m *memory) since(now time.Time) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.began.IsZero() {
		m.began = now
	}
	return m.began
}

// forget a Cluster that is gone.
func (m *memory) forget(key types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.orders, key)
	delete(m.told, key)
}
