package agent_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/pki"
)

func TestCreate(t *testing.T) {
	t.Parallel()
	secret, recipient, err := pki.NewRecoveryKey()
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t)
	f.start()
	order := f.order(func(o *v1alpha1.ControlPlane) { o.Spec.EscrowRecipient = recipient })
	f.awaitReady(order)

	manifest, _ := f.runtime.manifest(order.Name)
	for _, component := range manifest.Components {
		for _, file := range component.Files {
			if len(file.Content) == 0 {
				t.Errorf("%s: %s is empty", component.Name, file.Path)
			}
		}
	}
	if len(manifest.Components) != 3+3+2+2 {
		t.Errorf("a Zonal guest has %d components", len(manifest.Components))
	}
	want := []v1alpha1.Endpoint{
		{Zone: "a", Address: "127.9.1.4", Port: 6443}, {Zone: "b", Address: "127.9.1.5", Port: 6443}, {Zone: "c", Address: "127.9.1.6", Port: 6443},
	}
	if diff := cmp.Diff(want, order.Status.Endpoints); diff != "" {
		t.Errorf("endpoints (-want +got):\n%s", diff)
	}
	if order.Status.Version != "v1.36.3" || order.Status.ObservedGeneration != order.Generation || len(order.Status.Components) != 10 {
		t.Errorf("status %+v", order.Status)
	}
	opened, err := pki.OpenIdentity(order.Status.Escrow, secret)
	if err != nil || string(opened["cluster-ca.crt"]) != order.Status.CABundle {
		t.Errorf("the escrow does not hold the guest's identity: %v", err)
	}
	f.awaitCell("the cell is reported", func(s v1alpha1.CellStatus) bool {
		return s.Guests == 1 && s.AgentVersion == "v0.0.1" && slices.Equal(s.Versions, []string{"v1.36.3"}) && len(s.Zones) == 1
	})
}

// TestQuiet: a guest that is as ordered causes no writes to the hub and none to the runtime, also when
// the agent is started again.
func TestQuiet(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.start()
	order, witness := f.order(), f.order()
	f.awaitReady(order)
	f.awaitReady(witness)
	before := order.ResourceVersion
	f.stop()
	f.start()
	f.update(witness, func() { witness.Spec.Epoch = 2 })
	f.eventually("the second agent works", func() error {
		if manifest, _ := f.runtime.manifest(witness.Name); manifest.Epoch != 2 {
			return errors.New("the witness still has the epoch before")
		}
		return nil
	})
	f.awaitReady(order)
	if order.ResourceVersion != before {
		t.Errorf("a guest that did not change was reported anew: %+v", order.Status)
	}
}

func TestTombstone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.start()
	order, other := f.order(), f.order()
	f.awaitReady(order)
	f.awaitReady(other)
	f.update(order, func() { order.Spec.Tombstone = &v1alpha1.Tombstone{ID: order.Name} })
	f.awaitCondition(order, v1alpha1.ConditionDeleted, metav1.ConditionTrue, v1alpha1.ReasonDeleting)
	f.vanish(order)
	f.eventually("nothing is left", func() error { return f.leftOf(order.Name) })
	if _, deleted := f.runtime.counts(); !slices.Equal(slices.Compact(deleted), []string{order.Name}) {
		t.Errorf("deleted %v", deleted)
	}
	f.awaitCell("one guest is left", func(s v1alpha1.CellStatus) bool { return s.Guests == 1 && len(s.Orphans) == 0 })
}

// leftOf says what of a guest is still on disk.
func (f *fixture) leftOf(id string) error {
	return filepath.WalkDir(f.dir, func(path string, _ fs.DirEntry, err error) error {
		if strings.Contains(filepath.Base(path), id) {
			return fmt.Errorf("%s is left", path)
		}
		return err
	})
}

// TestOrphan: a hub that forgot a guest gets it back, whole, and the guest notices nothing.
func TestOrphan(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.start()
	order := f.order()
	f.awaitReady(order)
	applied, _ := f.runtime.counts()
	wanted := order.Spec
	f.vanish(order)
	var orphan v1alpha1.Orphan
	f.awaitCell("the orphan is reported", func(s v1alpha1.CellStatus) bool {
		if len(s.Orphans) == 1 {
			orphan = s.Orphans[0]
		}
		return len(s.Orphans) == 1
	})
	if orphan.ID != order.Name || !equality.Semantic.DeepEqual(orphan.Order, wanted) {
		t.Errorf("the orphan's order (-want +got):\n%s", cmp.Diff(wanted, orphan.Order))
	}
	f.stop()
	f.start() // the time since when it is missed outlives the agent

	adopted := &v1alpha1.ControlPlane{ObjectMeta: metav1.ObjectMeta{Name: orphan.ID, Namespace: f.namespace()}, Spec: orphan.Order}
	f.create(adopted)
	f.awaitReady(adopted)
	f.awaitCell("no orphan is left", func(s v1alpha1.CellStatus) bool { return len(s.Orphans) == 0 && s.Guests == 1 })
	if now, deleted := f.runtime.counts(); len(deleted) > 0 || now > applied+1 {
		t.Errorf("the guest was touched: deleted %v, %d manifests", deleted, now-applied)
	}
}

func TestEpochs(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.start()
	order := f.order(func(o *v1alpha1.ControlPlane) { o.Spec.Epoch = 5 })
	f.awaitReady(order)

	restored := &v1alpha1.ControlPlane{ObjectMeta: metav1.ObjectMeta{Name: order.Name, Namespace: f.namespace()}, Spec: order.Spec}
	f.vanish(order)
	restored.Spec.Epoch, restored.Spec.Version = 4, "v1.35.4"
	f.create(restored)
	f.awaitCondition(restored, v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonStaleOrder)
	if manifest, _ := f.runtime.manifest(order.Name); manifest.Epoch != 5 || manifest.Components[3].Version != "v1.36.3" {
		t.Errorf("runs epoch %d, version %s by a stale order", manifest.Epoch, manifest.Components[3].Version)
	}
	f.update(restored, func() { restored.Spec.Epoch, restored.Spec.Version, restored.Spec.SupersededBy = 6, "v1.36.3", 7 })
	f.awaitCondition(restored, v1alpha1.ConditionFrozen, metav1.ConditionTrue, v1alpha1.ReasonFrozen)
	manifest, _ := f.runtime.manifest(order.Name)
	for _, component := range manifest.Components {
		if component.Stopped == (component.Kind == controlplane.Etcd) {
			t.Errorf("%s: stopped is %t", component.Name, component.Stopped)
		}
	}
	f.update(restored, func() { restored.Spec.Epoch = 8 })
	f.awaitReady(restored)
}

// TestBrokenOrder: a half-written order costs nothing as long as the hub has it.
func TestBrokenOrder(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.start()
	order := f.order()
	f.awaitReady(order)
	f.stop()
	file := filepath.Join(f.dir, "orders", order.Name+".json")
	if err := os.Truncate(file, 100); err != nil {
		t.Fatal(err)
	}
	f.start()
	f.eventually("the order is written anew", func() error {
		info, err := os.Stat(file)
		if err == nil && info.Size() <= 100 {
			err = errors.New("it is still half an order")
		}
		return err
	})
	if _, deleted := f.runtime.counts(); len(deleted) > 0 {
		t.Errorf("deleted %v", deleted)
	}
	f.awaitCell("the guest is still one", func(s v1alpha1.CellStatus) bool { return s.Guests == 1 && len(s.Orphans) == 0 })
}

func TestDrills(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.start()
	drill := []v1alpha1.Drill{{Zone: "a", Mode: v1alpha1.DrillHang}}
	f.update(f.cell, func() { f.cell.Spec.Drills = drill })
	f.awaitCell("the drill is in force", func(s v1alpha1.CellStatus) bool { return slices.Equal(s.Drills, drill) })
	if !slices.Equal(f.runtime.drills(), drill) {
		t.Errorf("the runtime holds %v", f.runtime.drills())
	}
	f.update(f.cell, func() { f.cell.Spec.Drills = nil })
	f.awaitCell("the drill has ended", func(s v1alpha1.CellStatus) bool { return len(s.Drills) == 0 })
	if len(f.runtime.drills()) > 0 {
		t.Errorf("the runtime holds %v", f.runtime.drills())
	}
}
