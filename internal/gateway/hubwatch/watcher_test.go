package hubwatch

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/gateway/gatewaytest"
	"github.com/myriad-fleet/myriad/internal/gateway/routing"
)

// startWatcher watches the hub until the test ends; changes counts the calls of Changed.
func startWatcher(t *testing.T, hub *gatewaytest.Hub) (watcher *Watcher, changes *atomic.Int64) {
	t.Helper()
	changes = &atomic.Int64{}
	watcher, err := New(Options{
		Config: hub.Config(), Region: "r", Changed: func() { changes.Add(1) }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		watcher.Run(ctx)
		close(ended)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	return watcher, changes
}

func TestFollowsCells(t *testing.T) {
	hub := gatewaytest.NewHub(t)
	hub.SetCells("r", "a", "b")
	hub.SetRoute("a", routing.Route{ID: "g", Epoch: 1})
	watcher, _ := startWatcher(t, hub)
	gatewaytest.Eventually(t, "both cells are watched", func() bool { return hub.Watches("a") == 1 && hub.Watches("b") == 1 })
	want := []CellStatus{{Name: "a", Synced: true, Orders: 1}, {Name: "b", Synced: true}}
	if diff := cmp.Diff(want, watcher.Cells()); diff != "" {
		t.Errorf("Cells(): -want, +got:\n%s", diff)
	}
	hub.SetCells("r", "b")
	gatewaytest.Eventually(t, "the cell that left is not watched any more", func() bool { return hub.Watches("a") == 0 })
	if got := watcher.Known(); len(got) != 0 || hub.Watches("b") != 1 {
		t.Errorf("after that %v is known and cell b has %d watches", got, hub.Watches("b"))
	}
}

func TestTellsOnlyOfChanges(t *testing.T) {
	hub := gatewaytest.NewHub(t)
	hub.SetCells("r", "a")
	route := routing.Route{ID: "g", Epoch: 1, ServerName: "g.example"}
	hub.SetRoute("a", route)
	watcher, changes := startWatcher(t, hub)
	gatewaytest.Eventually(t, "the guest is known and told of", func() bool { return len(watcher.Known()) == 1 && changes.Load() >= 2 }) // by its cell, and by itself
	before := changes.Load()
	hub.SetRoute("a", route) // the same again, as after a status that changed elsewhere
	hub.SetRoute("a", routing.Route{ID: "h", Epoch: 1})
	gatewaytest.Eventually(t, "the other guest is known", func() bool { return len(watcher.Known()) == 2 })
	gatewaytest.Eventually(t, "one change is told of", func() bool { return changes.Load() == before+1 })
}

func TestStripControlPlane(t *testing.T) {
	full := &v1alpha1.ControlPlane{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "cell-a", Name: "g", ResourceVersion: "7",
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "agent"}}, Annotations: map[string]string{"big": "text"},
		},
		Spec: v1alpha1.ControlPlaneSpec{
			ID: "g", Epoch: 2, SupersededBy: 3, Tombstone: &v1alpha1.Tombstone{ID: "g"}, EscrowRecipient: "age1",
			Endpoint: v1alpha1.GuestEndpoint{ServerName: "g.example", PlainPort: 7001},
			Cluster:  v1alpha1.ClusterReference{Name: "hello"},
		},
		Status: v1alpha1.ControlPlaneStatus{
			CABundle: "ca", Escrow: "sealed", Components: []v1alpha1.ComponentStatus{{Name: "etcd-a"}},
			Endpoints: []v1alpha1.Endpoint{{Zone: "a", Address: "127.0.0.1", Port: 6443}},
		},
	}
	stripped, err := stripControlPlane(full.DeepCopy())
	if err != nil {
		t.Fatal(err)
	}
	kept, isOrder := stripped.(*v1alpha1.ControlPlane)
	if !isOrder {
		t.Fatalf("stripControlPlane gives a %T", stripped)
	}
	if diff := cmp.Diff(routing.FromControlPlane("a", full), routing.FromControlPlane("a", kept)); diff != "" {
		t.Errorf("stripping changes the route: whole (-), stripped (+):\n%s", diff)
	}
	if kept.Status.Escrow != "" || kept.ManagedFields != nil || kept.Status.Components != nil || kept.ResourceVersion != "7" {
		t.Errorf("not stripped, or stripped of what a reflector needs: %+v", kept)
	}
}
