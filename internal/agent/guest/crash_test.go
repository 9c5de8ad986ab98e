package guest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/agent/certificates"
	"github.com/myriad-fleet/myriad/internal/agent/orders"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/pki"
)

var errCrash = errors.New("the agent was killed")

// crash kills the agent at the n-th call that leaves the reconciler: before it or after it, which is
// where a process that is killed can leave things half done. Writes to files are atomic themselves.
type crash struct {
	mu   sync.Mutex
	left int // places until then
}

// due counts one place and tells whether the agent dies there, or is dead already.
func (c *crash) due() bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left--
	return c.left <= 0
}

func (c *crash) step() {
	if c.due() {
		panic(errCrash)
	}
}

type crashingOrders struct {
	Orders
	crash *crash
}

func (o *crashingOrders) Get(id string) orders.Order {
	o.crash.step()
	return o.Orders.Get(id)
}

func (o *crashingOrders) Put(spec *v1alpha1.ControlPlaneSpec) error {
	defer o.crash.step()
	o.crash.step()
	return o.Orders.Put(spec)
}

func (o *crashingOrders) Entomb(id string) error {
	defer o.crash.step()
	o.crash.step()
	return o.Orders.Entomb(id)
}

func (o *crashingOrders) Remove(id string) error {
	defer o.crash.step()
	o.crash.step()
	return o.Orders.Remove(id)
}

func (o *crashingOrders) Forget(id string) error {
	defer o.crash.step()
	o.crash.step()
	return o.Orders.Forget(id)
}

type crashingIdentities struct {
	Identities
	crash *crash
}

func (i *crashingIdentities) Create(id string) (pki.Identity, error) {
	defer i.crash.step()
	i.crash.step()
	return i.Identities.Create(id)
}

func (i *crashingIdentities) Escrow(id string, made pki.Identity, recipient string) (string, error) {
	defer i.crash.step()
	i.crash.step()
	return i.Identities.Escrow(id, made, recipient)
}

func (i *crashingIdentities) Remove(id string) error {
	defer i.crash.step()
	i.crash.step()
	return i.Identities.Remove(id)
}

type crashingCertificates struct {
	Certificates
	crash *crash
}

func (c *crashingCertificates) Issue(m controlplane.Manifest, made pki.Identity) (certificates.Set, error) {
	defer c.crash.step()
	c.crash.step()
	return c.Certificates.Issue(m, made)
}

func (c *crashingCertificates) Remove(id string) error {
	defer c.crash.step()
	c.crash.step()
	return c.Certificates.Remove(id)
}

// killed runs the agent until it dies at the n-th place or has nothing left to do, and tells which.
func (w *world) killed(n int) (died bool) {
	w.t.Helper()
	w.crash = &crash{left: n}
	r := w.boot()
	defer func() {
		r.running.Wait() // a bootstrap of the dead agent does nothing any more
		if recovered := recover(); recovered != nil {
			if err, ok := recovered.(error); !ok || !errors.Is(err, errCrash) {
				panic(recovered)
			}
			died = true
		}
		w.crash = nil
	}()
	if err := w.settle(r); err != nil {
		w.t.Fatalf("killed at %d: %v", n, err)
	}
	return w.crash.left <= 0
}

// TestKilledAtEveryStep kills the agent once at every place of a create, and once at every place of a
// delete, and has another agent go on.
func TestKilledAtEveryStep(t *testing.T) {
	_, recipient, err := pki.NewRecoveryKey()
	if err != nil {
		t.Fatal(err)
	}
	var places int
	for n := 1; ; n++ {
		places = n
		w := newWorld(t)
		w.hub.orders[testID] = testOrder()
		w.hub.orders[testID].Spec.EscrowRecipient = recipient
		died := w.killed(n)
		if err := w.settle(w.boot()); err != nil {
			t.Fatalf("create, killed at %d, then: %v", n, err)
		}
		w.checkCreated(fmt.Sprintf("create, killed at %d", n))
		if !died {
			break
		}
	}
	for n := 1; ; n++ {
		w := newWorld(t)
		w.hub.orders[testID] = testOrder()
		if err := w.settle(w.boot()); err != nil {
			t.Fatal(err)
		}
		w.hub.orders[testID].Spec.Tombstone = &v1alpha1.Tombstone{ID: testID}
		died := w.killed(n)
		w.checkDeleted(fmt.Sprintf("delete, killed at %d", n))
		if !died {
			places += n
			break
		}
	}
	if places < 60 {
		t.Errorf("the agent was killed at %d places only: are the fakes still wrapped?", places)
	}
}

// checkCreated: the guest is ready, and all that it ever ran with came from one identity.
func (w *world) checkCreated(when string) {
	w.t.Helper()
	w.want(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady, "")
	if w.hub.reports[testID].Escrow == "" {
		w.t.Errorf("%s: no escrow was reported", when)
	}
	var used []string
	for _, manifest := range w.runtime.applied {
		for _, file := range manifest.Components[0].Files {
			if file.From == "etcd-ca.crt" {
				used = append(used, string(file.Content))
			}
		}
	}
	for _, authority := range used {
		if diff := cmp.Diff(used[0], authority); diff != "" {
			w.t.Errorf("%s: a second identity was made:\n%s", when, diff)
		}
	}
	if len(used) == 0 {
		w.t.Errorf("%s: no manifest with etcd's authority was applied", when)
	}
}

// checkDeleted: another agent ends the removal; when the hub has dropped the order nothing is left.
func (w *world) checkDeleted(when string) {
	w.t.Helper()
	r := w.boot()
	if err := w.settle(r); err != nil {
		w.t.Fatalf("%s, then: %v", when, err)
	}
	w.want(v1alpha1.ConditionDeleted, metav1.ConditionTrue, v1alpha1.ReasonDeleting, "nothing")
	if len(w.runtime.state) > 0 || len(w.inside.notes) > 0 {
		w.t.Errorf("%s: left over: %v in the runtime, notes %v", when, w.runtime.state, w.inside.notes)
	}
	delete(w.hub.orders, testID)
	if err := w.settle(r); err != nil {
		w.t.Fatalf("%s, order gone: %v", when, err)
	}
	if found := w.leftovers(); len(found) > 0 {
		w.t.Errorf("%s: left over: %v", when, found)
	}
	if len(r.records) > 0 {
		w.t.Errorf("%s: the agent still remembers %v", when, r.records)
	}
}
