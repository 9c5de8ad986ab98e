package hub_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/hub"
	"github.com/myriad-fleet/myriad/internal/placement"
)

func zonal(c *v1alpha1.Cluster) { c.Spec.Availability = v1alpha1.Zonal }

func TestInstallTwice(t *testing.T) {
	if err := hub.Install(t.Context(), as("operator", "system:masters")); err != nil {
		t.Errorf("a second install beside a running hub: %v", err)
	}
}

func TestCreateWritesTheOrder(t *testing.T) {
	f := newFleet(t)
	cell := f.cell("c1")
	cluster := f.cluster(f.namespace("team"), "prod", zonal)
	got := f.order(cluster)

	id := cluster.Labels[v1alpha1.LabelID]
	want := v1alpha1.ControlPlaneSpec{
		ID:           id,
		Cluster:      v1alpha1.ClusterReference{Namespace: cluster.Namespace, Name: "prod", Spec: cluster.Spec},
		Region:       f.name,
		Version:      kubernetesVersion,
		EtcdVersion:  etcdVersion,
		Availability: v1alpha1.Zonal,
		Zones:        []string{"a", "b", "c"},
		Network:      v1alpha1.ClusterNetwork{PodCIDR: "10.244.0.0/16", ServiceCIDR: "10.96.0.0/16"},
		Endpoint: v1alpha1.GuestEndpoint{
			ServerName: id + "." + f.name + ".example.com", Address: "192.0.2.10", Port: 6443, PlainPort: firstPort,
		},
		RenderRevision: controlplane.LatestRevision(),
		Epoch:          1,
	}
	if diff := cmp.Diff(want, got.Spec, cmpopts.IgnoreFields(v1alpha1.ControlPlaneSpec{}, "Size")); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if got.Namespace != v1alpha1.CellNamespace(cell.Name) || got.Spec.Size.APIServer.CPU.MilliValue() != 50 {
		t.Errorf("the order lies in %s with size %v", got.Namespace, got.Spec.Size)
	}
	f.awaitCondition(cluster, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonCreating, cell.Name)

	f.report(got, func(c *v1alpha1.ControlPlane) {
		c.Status.Version, c.Status.CABundle = kubernetesVersion, "bundle"
		c.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady, LastTransitionTime: metav1.Now()}}
	})
	f.awaitCondition(cluster, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	wantStatus := v1alpha1.ClusterStatus{
		ID: id, Region: f.name, Cell: cell.Name, Version: kubernetesVersion, Availability: v1alpha1.Zonal,
		Endpoint: &want.Endpoint, CABundle: "bundle", ObservedGeneration: cluster.Generation,
	}
	if diff := cmp.Diff(wantStatus, cluster.Status, cmpopts.IgnoreFields(v1alpha1.ClusterStatus{}, "Conditions", "Placement")); diff != "" {
		t.Errorf("status of the Cluster (-want +got):\n%s", diff)
	}
	if placed := cluster.Status.Placement; placed == nil || placed.Cell != cell.Name || placed.Region != f.name || len(placed.Zones) != 3 || placed.DecidedAt.IsZero() {
		t.Errorf("the evidence of its placement is %+v", placed)
	}
}

func TestTwentyAtOnce(t *testing.T) {
	f := newFleet(t)
	f.cell("c1")
	f.cell("c2")
	namespace := f.namespace("team")
	clusters := make([]*v1alpha1.Cluster, 0, 20)
	for i := range 20 {
		clusters = append(clusters, f.cluster(namespace, fmt.Sprintf("c%d", i)))
	}
	ids, ports, cells := map[string]bool{}, map[int32]bool{}, map[string]int{}
	for _, cluster := range clusters {
		order := f.order(cluster)
		ids[order.Name] = true
		ports[order.Spec.Endpoint.PlainPort] = true
		cells[order.Namespace]++
	}
	if len(ids) != 20 || len(ports) != 20 || len(f.orders()) != 20 {
		t.Errorf("20 Clusters have %d ids, %d ports and %d orders", len(ids), len(ports), len(f.orders()))
	}
	for port := range ports {
		if port < firstPort || port >= firstPort+20 {
			t.Errorf("port %d was given, though lower ones were free", port)
		}
	}
	for cell, guests := range cells {
		if guests != 10 {
			t.Errorf("%s has %d of the tenant's 20 guests, want half", cell, guests)
		}
	}
}

func TestUnknownNames(t *testing.T) {
	f := newFleet(t)
	f.cell("c1")
	namespace := f.namespace("team")
	cases := map[string]struct {
		change func(*v1alpha1.Cluster)
		reason string
		parts  []string
	}{
		"region": {
			change: func(c *v1alpha1.Cluster) { c.Spec.Region += "x" }, reason: v1alpha1.ReasonRegionNotFound,
			parts: []string{"there is no region " + f.name + "x", "did you mean " + f.name + "?", "existing: "},
		},
		"template": {change: func(c *v1alpha1.Cluster) { c.Spec.Template = "standart" }, reason: v1alpha1.ReasonTemplateNotFound, parts: []string{"did you mean standard?"}},
		"version":  {change: func(c *v1alpha1.Cluster) { c.Spec.Version = "v1.36.9" }, reason: v1alpha1.ReasonVersionNotFound, parts: []string{"v1.36.9", "did you mean v1.36.3?"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f.t = t
			cluster := f.cluster(namespace, name, tc.change)
			f.awaitCondition(cluster, v1alpha1.ConditionScheduled, metav1.ConditionFalse, tc.reason, tc.parts...)
			f.awaitCondition(cluster, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonUnscheduled)
			f.delete(cluster)
			f.awaitGone(cluster)
		})
	}
}

func TestRegionComesLater(t *testing.T) {
	f := newFleet(t)
	cluster := f.cluster(f.namespace("team"), "early", func(c *v1alpha1.Cluster) { c.Spec.Region = f.name + "-late" })
	f.awaitCondition(cluster, v1alpha1.ConditionScheduled, metav1.ConditionFalse, v1alpha1.ReasonRegionNotFound)
	f.create(&v1alpha1.Region{ObjectMeta: metav1.ObjectMeta{Name: f.name + "-late"}, Spec: f.region.Spec})
	f.awaitCondition(cluster, v1alpha1.ConditionScheduled, metav1.ConditionFalse, v1alpha1.ReasonNoRoom, "has no cells yet")
}

func TestNoRoomUntilThereIs(t *testing.T) {
	f := newFleet(t)
	namespace := f.namespace("team")
	cordoned := f.cell("c1", func(c *v1alpha1.Cell) { c.Spec.Cordoned = true })
	full := f.cell("c2", func(c *v1alpha1.Cell) { c.Spec.MaxGuests = 1 })
	first := f.cluster(namespace, "first")
	f.order(first)
	second := f.cluster(namespace, "second")
	f.awaitCondition(second, v1alpha1.ConditionScheduled, metav1.ConditionFalse, v1alpha1.ReasonNoRoom, cordoned.Name+": Cordoned", full.Name+": Full")
	got := map[string]string{}
	for _, rejected := range second.Status.RejectedCells {
		got[rejected.Cell] = rejected.Reason
	}
	if diff := cmp.Diff(map[string]string{cordoned.Name: placement.ReasonCordoned, full.Name: placement.ReasonFull}, got); diff != "" {
		t.Errorf("rejected cells (-want +got):\n%s", diff)
	}

	if err := f.api.Patch(t.Context(), cordoned, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"cordoned":false}}`))); err != nil {
		t.Fatal(err)
	}
	if order := f.order(second); order.Namespace != v1alpha1.CellNamespace(cordoned.Name) {
		t.Errorf("the order lies in %s, want the cell that was uncordoned", order.Namespace)
	}
	f.eventually("wait for the rejections of the last decision", func(ctx context.Context) error {
		err := f.api.Get(ctx, client.ObjectKeyFromObject(second), second)
		if rejected := second.Status.RejectedCells; err != nil || len(rejected) != 1 || rejected[0].Cell != full.Name {
			return fmt.Errorf("%v, %w", rejected, err)
		}
		return nil
	})
}

func TestOlderFirst(t *testing.T) {
	f := newFleet(t)
	namespace := f.namespace("team")
	old := f.cluster(namespace, "z-old")
	f.awaitCondition(old, v1alpha1.ConditionScheduled, metav1.ConditionFalse, v1alpha1.ReasonNoRoom)
	for f.cluster(namespace, "probe").CreationTimestamp.Equal(&old.CreationTimestamp) {
		f.delete(&v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "probe"}})
	}
	young := f.cluster(namespace, "a-young")
	f.awaitCondition(young, v1alpha1.ConditionScheduled, metav1.ConditionFalse, v1alpha1.ReasonNoRoom)
	f.cell("c1", func(c *v1alpha1.Cell) { c.Spec.MaxGuests = 1 })
	f.order(old)
	f.awaitCondition(young, v1alpha1.ConditionScheduled, metav1.ConditionFalse, v1alpha1.ReasonNoRoom, "Full")
}

func TestTwoTenantsOneName(t *testing.T) {
	f := newFleet(t)
	f.cell("c1")
	one, two := f.cluster(f.namespace("one"), "prod"), f.cluster(f.namespace("two"), "prod")
	first, second := f.order(one), f.order(two)
	if first.Name == second.Name || first.Namespace != second.Namespace {
		t.Errorf("orders %s/%s and %s/%s: want two ids in one cell", first.Namespace, first.Name, second.Namespace, second.Name)
	}
	f.delete(one)
	f.awaitTombstone(first)
	if err := f.api.Get(t.Context(), client.ObjectKeyFromObject(second), second); err != nil || second.Spec.Tombstone != nil {
		t.Errorf("deleting one tenant's Cluster touched the other's: tombstone %v, %v", second.Spec.Tombstone, err)
	}
}

func TestVersionIsNotChangedByAnEdit(t *testing.T) {
	f := newFleet(t)
	f.cell("c1")
	cluster := f.cluster(f.namespace("team"), "prod")
	order := f.order(cluster)
	if err := f.api.Patch(t.Context(), cluster, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"version":"v1.35.4"}}`))); err != nil {
		t.Fatal(err)
	}
	f.awaitCondition(cluster, v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonVersionPinned, "v1.35.4", "stays on v1.36.3")
	if err := f.api.Get(t.Context(), client.ObjectKeyFromObject(order), order); err != nil || order.Spec.Version != kubernetesVersion {
		t.Errorf("the order asks for %s, %v", order.Spec.Version, err)
	}
}

func TestCellThatNoLongerReports(t *testing.T) {
	f := newFleet(t)
	cell := f.cell("c1")
	cluster := f.cluster(f.namespace("team"), "prod")
	f.order(cluster)
	f.renew(cell, time.Now(), 1)
	f.awaitCondition(cell, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonLeaseExpired)
	f.awaitCondition(cluster, v1alpha1.ConditionReady, metav1.ConditionUnknown, v1alpha1.ReasonCellUnreachable, cell.Name)
	f.renew(cell, time.Now(), 40)
	f.awaitCondition(cluster, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonCreating)
}
