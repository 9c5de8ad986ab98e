package load

import (
	"fmt"
	"math/rand/v2"
	"sync"
)

// afterUnknown is how many operations a key gets after a write with unknown outcome: enough to see
// what became of it, few enough to keep its history quick to check.
const afterUnknown = 12

// keys hands out the names of the ConfigMaps and replaces each after a number of operations.
type keys struct {
	prefix string
	life   int

	mu    sync.Mutex
	slots []slot
	next  int
}

type slot struct {
	name string
	left int
}

func newKeys(prefix string, count, life int) *keys {
	k := &keys{prefix: prefix, life: life}
	for range count {
		k.slots = append(k.slots, k.freshSlot())
	}
	return k
}

func (k *keys) freshSlot() slot {
	k.next++
	// Lives differ, so that keys are not all replaced at the same moment.
	return slot{name: fmt.Sprintf("%s-%d", k.prefix, k.next), left: k.life/2 + (k.next*7)%(k.life/2+1) + 1}
}

// pick returns a random key, and the key that was retired by this pick, or "".
func (k *keys) pick(random *rand.Rand) (name, retired string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := &k.slots[random.IntN(len(k.slots))]
	if s.left--; s.left <= 0 {
		retired = s.name
		*s = k.freshSlot()
	}
	return s.name, retired
}

// doubt shortens the life of a key that was written with unknown outcome.
func (k *keys) doubt(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.slots {
		if k.slots[i].name == name {
			k.slots[i].left = min(k.slots[i].left, afterUnknown)
		}
	}
}

// names returns the keys in use now.
func (k *keys) names() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	names := make([]string, len(k.slots))
	for i, s := range k.slots {
		names[i] = s.name
	}
	return names
}
