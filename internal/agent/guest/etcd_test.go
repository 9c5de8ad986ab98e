package guest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/agent/etcd"
	"github.com/myriad-fleet/myriad/internal/controlplane"
)

// fakeEtcd keeps nothing and remembers what it was told.
type fakeEtcd struct {
	crash   *crash
	starts  controlplane.EtcdStart // of etcd-a
	kept    map[string]etcd.Guest
	report  etcd.Report
	removed []string
	fails   error
}

func (f *fakeEtcd) Starts(order *v1alpha1.ControlPlaneSpec) map[string]controlplane.EtcdStart {
	f.crash.step()
	if order.RenderRevision < 3 {
		return nil
	}
	return map[string]controlplane.EtcdStart{"etcd-a": f.starts}
}

func (f *fakeEtcd) Keep(guest etcd.Guest) {
	f.crash.step()
	f.kept[guest.Order.ID] = guest
}

func (f *fakeEtcd) Report(string) etcd.Report {
	f.crash.step()
	return f.report
}

func (f *fakeEtcd) Remove(_ context.Context, id string) error {
	defer f.crash.step()
	f.crash.step()
	if f.fails != nil {
		return f.fails
	}
	delete(f.kept, id)
	f.removed = append(f.removed, id)
	return nil
}

// sealable is an order of a revision whose members can refuse to start anew.
func sealable() *v1alpha1.ControlPlane {
	order := testOrder()
	order.Spec.RenderRevision, order.Spec.Availability = controlplane.LatestRevision(), v1alpha1.Zonal
	return order
}

// firstArgs that etcd was told last.
func (w *world) firstArgs() string {
	return strings.Join(w.runtime.manifests[testID].Components[0].FirstArgs, " ")
}

// TestEtcdIsSealed: a member may found a cluster until the guest is bootstrapped, and from then on only
// what the keeper says; the keeper gets the guest once the runtime has been told so.
func TestEtcdIsSealed(t *testing.T) {
	w := newWorld(t)
	w.hub.orders[testID] = sealable()
	r := w.boot()
	if _, err := r.Reconcile(t.Context(), testID); err != nil {
		t.Fatal(err)
	}
	if got := w.firstArgs(); !strings.Contains(got, "--initial-cluster-state=new") || len(w.etcd.kept) > 0 {
		t.Errorf("before the bootstrap: etcd starts with %s, kept: %v", got, w.etcd.kept)
	}
	if err := w.settle(r); err != nil {
		t.Fatal(err)
	}
	if got := w.firstArgs(); !strings.Contains(got, "--initial-cluster-state=existing") {
		t.Errorf("after the bootstrap: etcd starts with %s", got)
	}
	want := map[string]controlplane.EtcdStart{"etcd-a": controlplane.EtcdSealed}
	if diff := cmp.Diff(want, w.etcd.kept[testID].Starts); diff != "" {
		t.Error("the keeper was given other starts than the runtime:", diff)
	}
	applied := len(w.runtime.applied)
	w.etcd.starts = controlplane.EtcdJoin
	if err := w.settle(r); err != nil {
		t.Fatal(err)
	}
	if len(w.runtime.applied) != applied+1 || w.etcd.kept[testID].Starts["etcd-a"] != controlplane.EtcdJoin {
		t.Errorf("new starts: %d manifests instead of %d, the keeper has %v", len(w.runtime.applied), applied+1, w.etcd.kept[testID].Starts)
	}
	w.etcd.starts, w.runtime.fail = controlplane.EtcdSealed, map[string]error{"Apply": errors.New("away")}
	if _, err := r.Reconcile(t.Context(), testID); err == nil {
		t.Error("no error although the runtime is away")
	}
	if got := w.etcd.kept[testID].Starts["etcd-a"]; got == controlplane.EtcdSealed {
		t.Error("the keeper was told of starts that the runtime never got")
	}
}

func TestEtcdIsReported(t *testing.T) {
	w := newWorld(t)
	w.hub.orders[testID] = sealable()
	w.etcd.report = etcd.Report{
		Status: &v1alpha1.EtcdStatus{Members: []v1alpha1.EtcdMember{{Zone: "a", Role: v1alpha1.EtcdLeader}}},
		Condition: &metav1.Condition{
			Type: v1alpha1.ConditionEtcdHealthy, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNoSpace, Message: "full",
		},
	}
	if err := w.settle(w.boot()); err != nil {
		t.Fatal(err)
	}
	w.want(v1alpha1.ConditionEtcdHealthy, metav1.ConditionFalse, v1alpha1.ReasonNoSpace, "full")
	status := w.etcd.report.Status
	w.etcd.report = etcd.Report{}
	if err := w.settle(w.boot()); err != nil {
		t.Fatal(err)
	}
	w.want(v1alpha1.ConditionEtcdHealthy, metav1.ConditionFalse, v1alpha1.ReasonNoSpace, "full") // what an earlier agent saw
	if diff := cmp.Diff(status, w.hub.reports[testID].Etcd); diff != "" {
		t.Error(diff)
	}
}

// TestSnapshotsGoWithTheGuest: nothing of a guest is left in the cell, and as long as something is, the
// guest counts as not removed.
func TestSnapshotsGoWithTheGuest(t *testing.T) {
	w := newWorld(t)
	w.hub.orders[testID] = sealable()
	r := w.boot()
	if err := w.settle(r); err != nil {
		t.Fatal(err)
	}
	w.hub.orders[testID].Spec.Tombstone = &v1alpha1.Tombstone{ID: testID}
	w.etcd.fails = errors.New("the store is away")
	_, _ = r.Reconcile(t.Context(), testID)
	w.want(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDeleting, "the store is away")
	if w.condition(v1alpha1.ConditionDeleted).Status == metav1.ConditionTrue {
		t.Error("the guest is called removed while its snapshots are there")
	}
	w.etcd.fails = nil
	w.checkDeleted("after the store came back")
	if !slices.Contains(w.etcd.removed, testID) {
		t.Error("the snapshots were not removed")
	}
}
