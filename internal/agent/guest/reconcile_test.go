package guest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/pki"
)

// TestOrders gives a guest that runs another order and looks at what comes of it.
func TestOrders(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(w *world)
		check  func(w *world)
		fails  bool
	}{
		"Unchanged": {
			reason: "a guest that is as ordered is left alone",
			change: func(*world) {},
			check: func(w *world) {
				w.want(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady, "")
				w.wantApplied(2) // a new agent hands the manifest over once more
			},
		},
		"Gone": {
			reason: "an order that merely disappears deletes nothing",
			change: func(w *world) { delete(w.hub.orders, testID) },
			check:  func(w *world) { w.wantAlive() },
		},
		"HubAway": {
			reason: "without the hub the guest is kept by the order on disk",
			change: func(w *world) {
				delete(w.hub.orders, testID)
				w.hub.synced = false
				delete(w.runtime.state, testID)
			},
			check: func(w *world) { w.wantAlive() },
		},
		"StaleOrder": {
			reason: "an order of an earlier epoch is refused, and with it its tombstone",
			change: func(w *world) {
				w.hub.orders[testID].Spec.Epoch = 1
				w.hub.orders[testID].Spec.Version = "v1.35.4"
				w.hub.orders[testID].Spec.Tombstone = &v1alpha1.Tombstone{ID: testID}
			},
			check: func(w *world) {
				w.wantAlive()
				w.want(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady, "")
				w.want(v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonStaleOrder, "epoch 1")
				if got := w.runtime.manifests[testID].Components[1].Version; got != "v1.36.3" {
					w.t.Errorf("runs %s by the stale order", got)
				}
			},
		},
		"ForeignTombstone": {
			reason: "a tombstone with another guest's id deletes nothing",
			change: func(w *world) { w.hub.orders[testID].Spec.Tombstone = &v1alpha1.Tombstone{ID: "zzzzzzzzzz"} },
			check:  func(w *world) { w.wantAlive() },
		},
		"Superseded": {
			reason: "a copy that is superseded stops serving and keeps its data",
			change: func(w *world) { w.hub.orders[testID].Spec.SupersededBy = 3 },
			check: func(w *world) {
				w.wantFrozen()
				w.want(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonFrozen, "epoch 3")
				w.want(v1alpha1.ConditionFrozen, metav1.ConditionTrue, v1alpha1.ReasonFrozen, "epoch 3")
			},
		},
		"SupersededAndRestored": {
			reason: "a hub restored from a backup does not thaw a copy that was superseded",
			change: func(w *world) {
				w.hub.orders[testID].Spec.SupersededBy = 3
				if err := w.settle(w.boot()); err != nil {
					w.t.Fatal(err)
				}
				w.hub.orders[testID].Spec.SupersededBy = 0
			},
			check: func(w *world) { w.wantFrozen() },
		},
		"InvalidOrder": {
			reason: "an order that cannot be rendered changes nothing that runs",
			change: func(w *world) { w.hub.orders[testID].Spec.RenderRevision = 99 },
			check: func(w *world) {
				w.wantAlive()
				w.want(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonInvalidOrder, "renderRevision 99")
			},
			fails: true,
		},
		"BadRecipient": {
			reason: "an escrow that cannot be sealed is told and stops nothing",
			change: func(w *world) { w.hub.orders[testID].Spec.EscrowRecipient = "age1nonsense" },
			check: func(w *world) {
				w.want(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady, "")
				w.want(v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonInvalidOrder, "age1nonsense")
			},
			fails: true,
		},
		"RuntimeLostIt": {
			reason: "a runtime that has lost the guest gets its manifest again",
			change: func(w *world) { delete(w.runtime.state, testID) },
			check:  func(w *world) { w.wantAlive() },
		},
		"BrokenIdentity": {
			reason: "a broken identity is reported and never made anew",
			change: func(w *world) { w.breakIdentity("cluster-ca.key", "garbage") },
			check: func(w *world) {
				w.want(v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonIdentityBroken, "backup")
				w.want(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady, "")
				if len(w.hub.reports[testID].Endpoints) != 1 || w.hub.reports[testID].CABundle == "" {
					w.t.Error("what the gateways route by was taken away")
				}
			},
			fails: true,
		},
		"MissingIdentity": {
			reason: "the identity of a guest that exists is not made anew when it is missing either",
			change: func(w *world) {
				if err := os.RemoveAll(filepath.Join(w.dir, "identities", testID)); err != nil {
					w.t.Fatal(err)
				}
			},
			check: func(w *world) {
				w.want(v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonIdentityBroken, "missing")
				w.wantApplied(1)
			},
			fails: true,
		},
		"LostCell": {
			reason: "a cell that lost everything does not replace the escrow of a guest by that of a new identity",
			change: func(w *world) {
				delete(w.runtime.state, testID)
				w.hub.orders[testID].Status.Escrow = "sealed"
				if err := os.RemoveAll(filepath.Join(w.dir, "identities", testID)); err != nil {
					w.t.Fatal(err)
				}
			},
			check: func(w *world) {
				w.want(v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonIdentityBroken, "escrow")
				w.wantApplied(1)
			},
			fails: true,
		},
		"DiskFull": {
			reason: "a new order that cannot be kept is told, and the guest goes on by the old one",
			change: func(w *world) {
				w.hub.orders[testID].Spec.Version = "v1.36.4"
				w.makeReadOnly("orders")
			},
			check: func(w *world) {
				w.wantAlive()
				w.want(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady, "")
				w.want(v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonStorageFailed, "order")
			},
			fails: true,
		},
		"BrokenOrder": {
			reason: "an order that is half-written is replaced by the hub's",
			change: func(w *world) { w.write(filepath.Join("orders", testID+".json"), `{"id": "abc`) },
			check: func(w *world) {
				w.wantAlive()
				w.want(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady, "")
			},
		},
		"Removing": {
			reason: "a removal that the runtime cannot do is told and tried again",
			change: func(w *world) {
				w.hub.orders[testID].Spec.Tombstone = &v1alpha1.Tombstone{ID: testID}
				w.runtime.fail = map[string]error{"Delete": errors.New("etcd-a lives on")}
			},
			check: func(w *world) {
				w.want(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDeleting, "etcd-a lives on")
				w.want(v1alpha1.ConditionDeleted, "", "", "")
			},
			fails: true,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.hub.orders[testID] = testOrder()
			w.hub.orders[testID].Spec.Epoch = 2
			if err := w.settle(w.boot()); err != nil {
				t.Fatalf("create: %v", err)
			}
			c.change(w)
			if err := w.settle(w.boot()); (err != nil) != c.fails {
				t.Errorf("%s: error %v, want one: %t", c.reason, err, c.fails)
			}
			c.check(w)
			if t.Failed() {
				t.Log(c.reason)
			}
		})
	}
}

func (w *world) wantApplied(want int) {
	w.t.Helper()
	if got := len(w.runtime.applied); got != want {
		w.t.Errorf("the runtime was given %d manifests, want %d", got, want)
	}
}

func (w *world) wantAlive() {
	w.t.Helper()
	if len(w.runtime.deleted) > 0 || !w.runtime.state[testID].Exists {
		w.t.Errorf("the guest was deleted (%v) or is lost (%v)", w.runtime.deleted, w.runtime.state)
	}
}

func (w *world) wantFrozen() {
	w.t.Helper()
	w.wantAlive()
	for _, c := range w.runtime.manifests[testID].Components {
		if c.Stopped == (c.Kind == "etcd") {
			w.t.Errorf("%s: stopped is %t", c.Name, c.Stopped)
		}
	}
}

func (w *world) breakIdentity(file, content string) {
	w.t.Helper()
	w.write(filepath.Join("identities", testID, file), content)
}

func (w *world) write(file, content string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, file), []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// makeReadOnly makes every write to a directory fail, also for root: a file takes its place.
func (w *world) makeReadOnly(dir string) {
	w.t.Helper()
	path := filepath.Join(w.dir, dir)
	kept := path + ".kept"
	w.beforeWork = func() {
		if err := errors.Join(os.Rename(path, kept), os.WriteFile(path, nil, 0o600)); err != nil {
			w.t.Fatal(err)
		}
	}
	w.t.Cleanup(func() { _ = errors.Join(os.Remove(path), os.Rename(kept, path)) })
}

func TestNothingKnown(t *testing.T) {
	w := newWorld(t)
	if err := w.settle(w.boot()); err != nil {
		t.Fatal(err)
	}
	if found := w.leftovers(); len(found) > 0 || len(w.runtime.applied)+len(w.runtime.deleted) > 0 {
		t.Errorf("an id that neither the hub nor the disk knows led to work: %v", found)
	}
}

// TestRenewal: when the first certificate is due all of it happens without any other event.
func TestRenewal(t *testing.T) {
	w := newWorld(t)
	w.leaves = 9 * time.Minute // due after six, before the agent looks again by itself
	w.hub.orders[testID] = testOrder()
	r := w.boot()
	if err := w.settle(r); err != nil {
		t.Fatal(err)
	}
	before := len(w.runtime.applied)
	w.hub.orders, w.hub.synced = map[string]*v1alpha1.ControlPlane{}, false // the hub is away
	for range 6 {
		after, err := r.Reconcile(t.Context(), testID)
		if err != nil {
			t.Fatal(err)
		}
		if after <= 0 || after >= lookAgain {
			t.Fatalf("looks again after %s", after)
		}
		w.clock.Step(after)
		if len(w.runtime.applied) > before {
			break
		}
	}
	if len(w.runtime.applied) == before {
		t.Fatal("no certificate was renewed within its lifetime")
	}
	leaf := string(w.runtime.manifests[testID].Components[1].Files[len(w.runtime.manifests[testID].Components[1].Files)-1].Content)
	if !strings.Contains(leaf, "PRIVATE KEY") {
		t.Errorf("the last file of the API server is no key: %q", leaf)
	}
}

// TestHealed: an agent that has handed over a manifest does so again when the runtime has lost it.
func TestHealed(t *testing.T) {
	w := newWorld(t)
	w.hub.orders[testID] = testOrder()
	r := w.boot()
	if err := w.settle(r); err != nil {
		t.Fatal(err)
	}
	w.wantApplied(1)
	delete(w.runtime.state, testID)
	if err := w.settle(r); err != nil {
		t.Fatal(err)
	}
	w.wantApplied(2)
}

// TestBuriedWithoutHub: the tombstone stays until the hub is known to have dropped the order.
func TestBuriedWithoutHub(t *testing.T) {
	w := newWorld(t)
	w.hub.orders[testID] = testOrder()
	w.hub.orders[testID].Spec.Tombstone = &v1alpha1.Tombstone{ID: testID}
	if err := w.settle(w.boot()); err != nil {
		t.Fatal(err)
	}
	delete(w.hub.orders, testID)
	for _, synced := range []bool{false, true} {
		w.hub.synced = synced
		if err := w.settle(w.boot()); err != nil {
			t.Fatal(err)
		}
		if left := len(w.leftovers()); (left == 0) != synced {
			t.Errorf("orders read: %t, files left: %d", synced, left)
		}
	}
}

// TestBuriedOnce: a guest that is gone does not come back on disk, not even for a moment, while the hub still
// has its order: the Cell's status would count it.
func TestBuriedOnce(t *testing.T) {
	w := newWorld(t)
	w.hub.orders[testID] = testOrder()
	w.hub.orders[testID].Spec.Tombstone = &v1alpha1.Tombstone{ID: testID}
	r := w.boot()
	if err := w.settle(r); err != nil {
		t.Fatal(err)
	}
	before := w.orderChanges
	if err := w.settle(r); err != nil {
		t.Fatal(err)
	}
	if before == 0 || w.orderChanges > before {
		t.Errorf("%d changes of orders on disk, %d of them for a guest that was gone", w.orderChanges, w.orderChanges-before)
	}
}

// TestEscrow: the sealed text stays the same until the recipient changes.
func TestEscrow(t *testing.T) {
	secret, recipient, err := pki.NewRecoveryKey()
	if err != nil {
		t.Fatal(err)
	}
	_, other, err := pki.NewRecoveryKey()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.hub.orders[testID] = testOrder()
	sealedTo := func(recipient string) string {
		w.hub.orders[testID].Spec.EscrowRecipient = recipient
		if err := w.settle(w.boot()); err != nil {
			t.Fatal(err)
		}
		return w.hub.reports[testID].Escrow
	}
	first := sealedTo(recipient)
	if opened, err := pki.OpenIdentity(first, secret); err != nil || opened.Validate() != nil {
		t.Errorf("the escrow does not open: %v", err)
	}
	if sealedTo(recipient) != first {
		t.Error("the escrow changed without a reason")
	}
	if sealedTo(other) == first {
		t.Error("the escrow is still sealed to the recipient before")
	}
}
