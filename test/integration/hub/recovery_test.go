package hub_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

func TestCrashBetweenBindAndOrder(t *testing.T) {
	f := newFleet(t)
	first, second := f.cell("c1"), f.cell("c2")
	namespace := f.namespace("team")
	for i, tc := range []struct {
		reason  string
		id      string
		booking string
		port    int32
		zones   []string
	}{
		{id: "whole00001", reason: "the order follows the booking to the letter", booking: "c/20077", port: 20077, zones: []string{"c"}},
		{id: "labels0001", reason: "without a booking, id and cell are kept and the rest is given anew", port: firstPort, zones: []string{"a"}},
		{id: "broken0001", reason: "a booking that cannot be read is none", booking: "c/no-port", port: firstPort + 1, zones: []string{"b"}},
	} {
		cluster := f.cluster(namespace, fmt.Sprintf("c%d", i), func(c *v1alpha1.Cluster) {
			c.Labels = map[string]string{v1alpha1.LabelID: tc.id, v1alpha1.LabelCell: second.Name}
			c.Annotations = map[string]string{v1alpha1.AnnotationBooking: tc.booking}
			c.Finalizers = []string{v1alpha1.Finalizer}
		})
		order := f.order(cluster)
		if order.Name != tc.id || order.Namespace != v1alpha1.CellNamespace(second.Name) || order.Spec.Endpoint.PlainPort != tc.port {
			t.Errorf("%s: order %s/%s with port %d, want %s in %s with port %d", tc.reason,
				order.Namespace, order.Name, order.Spec.Endpoint.PlainPort, tc.id, second.Name, tc.port)
		}
		if diff := cmp.Diff(tc.zones, order.Spec.Zones); diff != "" {
			t.Errorf("%s: zones (-want +got):\n%s", tc.reason, diff)
		}
	}
	var stray v1alpha1.ControlPlaneList
	if err := f.api.List(t.Context(), &stray, client.InNamespace(v1alpha1.CellNamespace(first.Name))); err != nil || len(stray.Items) > 0 {
		t.Errorf("%d orders went to another cell than the bound one, %v", len(stray.Items), err)
	}
}

func TestLabelsOfAnotherGuest(t *testing.T) {
	f := newFleet(t)
	f.cell("c1")
	victim := f.cluster(f.namespace("victim"), "prod")
	theirs := f.order(victim)
	thief := f.cluster(f.namespace("thief"), "prod", func(c *v1alpha1.Cluster) {
		c.Labels, c.Annotations, c.Finalizers = victim.Labels, victim.Annotations, victim.Finalizers
	})
	f.eventually("wait for an order of its own", func(ctx context.Context) error {
		if err := f.api.Get(ctx, client.ObjectKeyFromObject(thief), thief); err != nil {
			return err
		}
		if thief.Status.ID == "" || thief.Labels[v1alpha1.LabelID] == theirs.Name {
			return fmt.Errorf("labels %v, status %+v", thief.Labels, thief.Status)
		}
		return nil
	})
	if own := f.order(thief); own.Spec.Endpoint.PlainPort == theirs.Spec.Endpoint.PlainPort {
		t.Errorf("both guests have port %d", own.Spec.Endpoint.PlainPort)
	}
	f.delete(thief)
	f.awaitCondition(thief, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDeleting)
	if err := f.api.Get(t.Context(), client.ObjectKeyFromObject(theirs), theirs); err != nil || theirs.Spec.Tombstone != nil {
		t.Errorf("the other tenant's guest was touched: %v, %v", theirs.Spec.Tombstone, err)
	}
}

func TestLostLabelsComeBack(t *testing.T) {
	f := newFleet(t)
	f.cell("c1")
	cluster := f.cluster(f.namespace("team"), "prod")
	order := f.order(cluster)
	for name, labels := range map[string]string{"removed": `{"metadata":{"labels":null,"annotations":null}}`, "changed": `{"metadata":{"labels":{"fleet.myriad.dev/id":"zzzzzzzzzz"}}}`} {
		if err := f.api.Patch(t.Context(), cluster, client.RawPatch("application/merge-patch+json", []byte(labels))); err != nil {
			t.Fatal(err)
		}
		f.eventually("wait until the labels that were "+name+" are back", func(ctx context.Context) error {
			if err := f.api.Get(ctx, client.ObjectKeyFromObject(cluster), cluster); err != nil || cluster.Labels[v1alpha1.LabelID] != order.Name {
				return fmt.Errorf("labels %v, %w", cluster.Labels, err)
			}
			return nil
		})
	}
	if orders := f.orders(); len(orders) != 1 {
		t.Errorf("there are %d orders, want the one", len(orders))
	}
}

func TestTenantsCannotBind(t *testing.T) {
	f := newFleet(t)
	cell := f.cell("c1")
	namespace := f.namespace("team")
	f.allowTenant(namespace, "alice")
	tenant := connect(t, as("alice"))
	bound := f.cluster(namespace, "bound")
	f.order(bound)

	labelled := &v1alpha1.Cluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "labelled", Labels: map[string]string{v1alpha1.LabelCell: cell.Name}},
		Spec:       v1alpha1.ClusterSpec{Region: f.name},
	}
	wantRefused(t, tenant.Create(t.Context(), labelled), "written by the hub alone")
	pinned := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "pinned"}, Spec: v1alpha1.ClusterSpec{Region: f.name, Cell: cell.Name}}
	wantRefused(t, tenant.Create(t.Context(), pinned), "written by operators alone")
	for name, patch := range map[string]string{
		"another id":     `{"metadata":{"labels":{"fleet.myriad.dev/id":"zzzzzzzzzz"}}}`,
		"no labels":      `{"metadata":{"labels":null}}`,
		"another region": `{"metadata":{"labels":{"fleet.myriad.dev/region":"elsewhere"}}}`,
		"addresses":      `{"metadata":{"annotations":{"fleet.myriad.dev/network":"{}"}}}`,
		"another port":   `{"metadata":{"annotations":{"fleet.myriad.dev/booking":"b/20005"}}}`,
		"no finalizers":  `{"metadata":{"finalizers":null}}`,
	} {
		t.Run(name, func(t *testing.T) {
			err := tenant.Patch(t.Context(), bound.DeepCopy(), client.RawPatch("application/merge-patch+json", []byte(patch)))
			wantRefused(t, err, "by the hub alone")
		})
	}
	if err := tenant.Patch(t.Context(), bound, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"mine":"yes"}}}`))); err != nil {
		t.Errorf("a tenant may label a Cluster otherwise: %v", err)
	}
}

func TestAdoption(t *testing.T) {
	f := newFleet(t)
	cell := f.cell("c1")
	namespace := f.namespace("team")
	order := v1alpha1.ControlPlaneSpec{
		ID: "orphan0001", Cluster: v1alpha1.ClusterReference{Namespace: namespace, Name: "prod", Spec: v1alpha1.ClusterSpec{Template: "standard", Region: f.name}},
		Region: f.name, Version: "v1.35.4", EtcdVersion: etcdVersion, Availability: v1alpha1.Single, Zones: []string{"b"},
		Network:        v1alpha1.ClusterNetwork{PodCIDR: "10.1.0.0/16", ServiceCIDR: "10.2.0.0/16"},
		Endpoint:       v1alpha1.GuestEndpoint{ServerName: "orphan0001.example.com", Address: "192.0.2.10", Port: 6443, PlainPort: firstPort},
		RenderRevision: 1, Epoch: 3,
	}
	f.report(cell, func(c *v1alpha1.Cell) {
		c.Status.Orphans = []v1alpha1.Orphan{{ID: order.ID, Since: metav1.Now(), Order: order}}
	})

	other := f.order(f.cluster(namespace, "other"))
	if other.Spec.Endpoint.PlainPort == firstPort {
		t.Errorf("port %d of an orphan was given away", firstPort)
	}
	adopt := func(id string) func(*v1alpha1.Cluster) {
		return func(c *v1alpha1.Cluster) {
			c.Annotations = map[string]string{v1alpha1.AnnotationAdopt: cell.Name + "/" + id}
		}
	}
	stranger := f.cluster(f.namespace("stranger"), "prod", adopt("orphan0001"))
	f.awaitCondition(stranger, v1alpha1.ConditionScheduled, metav1.ConditionFalse, v1alpha1.ReasonOrphanNotReported, "belongs to namespace "+namespace)
	unknown := f.cluster(namespace, "unknown", adopt("orphan0002"))
	f.awaitCondition(unknown, v1alpha1.ConditionScheduled, metav1.ConditionFalse, v1alpha1.ReasonOrphanNotReported, "does not report an orphan orphan0002")

	renamed := f.cluster(namespace, "renamed", adopt("orphan0001"))
	got := f.order(renamed)
	want := order
	want.Cluster = v1alpha1.ClusterReference{Namespace: namespace, Name: "renamed", Spec: renamed.Spec}
	got.Spec.Size = want.Size
	if diff := cmp.Diff(want, got.Spec); diff != "" {
		t.Errorf("the order must be the orphan's, verbatim but for the name (-want +got):\n%s", diff)
	}
}

func TestSuperseded(t *testing.T) {
	f := newFleet(t)
	f.cell("c1")
	there := f.cell("c2", func(c *v1alpha1.Cell) { c.Spec.Cordoned = true })
	cluster := f.cluster(f.namespace("team"), "prod")
	old := f.order(cluster)
	moved := &v1alpha1.ControlPlane{ObjectMeta: metav1.ObjectMeta{
		Namespace: v1alpha1.CellNamespace(there.Name), Name: old.Name,
		Labels: old.Labels, Finalizers: old.Finalizers,
	}, Spec: *old.Spec.DeepCopy()}
	moved.Spec.Epoch = 2
	f.create(moved)
	f.eventually("wait until the lower epoch is superseded", func(ctx context.Context) error {
		if err := f.api.Get(ctx, client.ObjectKeyFromObject(old), old); err != nil || old.Spec.SupersededBy != 2 {
			return fmt.Errorf("supersededBy %d, %w", old.Spec.SupersededBy, err)
		}
		return nil
	})
	f.eventually("wait until the Cluster follows", func(ctx context.Context) error {
		if err := f.api.Get(ctx, client.ObjectKeyFromObject(cluster), cluster); err != nil || cluster.Labels[v1alpha1.LabelCell] != there.Name || cluster.Status.Cell != there.Name {
			return fmt.Errorf("cell %s, status %s, %w", cluster.Labels[v1alpha1.LabelCell], cluster.Status.Cell, err)
		}
		return nil
	})
	if err := f.api.Get(t.Context(), client.ObjectKeyFromObject(moved), moved); err != nil || moved.Spec.SupersededBy != 0 {
		t.Errorf("the highest epoch was superseded by %d, %v", moved.Spec.SupersededBy, err)
	}
	f.delete(cluster)
	for _, order := range []*v1alpha1.ControlPlane{old, moved} {
		f.awaitTombstone(order)
		f.removed(order)
	}
	f.awaitGone(cluster)
}
