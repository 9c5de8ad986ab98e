package kubernetes_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/objects"
)

// TestDrill: a zone is killed and held; a zone cannot be hung from outside.
func TestDrill(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	order, _ := f.create(v1alpha1.Zonal)
	if err := f.Hold(t.Context(), []v1alpha1.Drill{{Zone: "b", Mode: v1alpha1.DrillKill}}); err != nil {
		t.Fatal(err)
	}
	f.await(order.ID, "zone b is held", func(o runtime.Observation) bool {
		return !slices.ContainsFunc(o.Components, func(c runtime.Component) bool {
			held := strings.HasSuffix(c.Name, "-b")
			return held != (c.State == runtime.Held) || held == c.Ready
		}) && len(f.uids(order.ID)) == 6
	})
	if err := f.Hold(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	f.awaitReady(order.ID)
	kill := v1alpha1.Drill{Zone: "c", Mode: v1alpha1.DrillKill}
	err := f.Hold(t.Context(), []v1alpha1.Drill{{Zone: "b", Mode: v1alpha1.DrillHang}, kill})
	var partly *runtime.PartlyHeldError
	if !errors.As(err, &partly) || !slices.Equal(partly.InForce, []v1alpha1.Drill{kill}) || !strings.Contains(err.Error(), "zone b: ") ||
		!strings.Contains(err.Error(), "use mode Kill") {
		t.Errorf("a zone is to be hung, another killed: %v", err)
	}
	f.awaitComponent(order.ID, "etcd-c", "is held", func(c runtime.Component) bool { return c.State == runtime.Held })
	f.awaitComponent(order.ID, "etcd-b", "runs on", func(c runtime.Component) bool { return c.Ready })
}

// TestDiscard throws a member's volume away: another one is there, and nothing else has changed.
func TestDiscard(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	order, _ := f.create(v1alpha1.Zonal)
	claim := func() types.UID {
		claim := &corev1.PersistentVolumeClaim{}
		claim.Namespace, claim.Name = objects.NamespaceName(order.ID), "data-etcd-b-0"
		f.get(claim)
		return claim.UID
	}
	old, before := claim(), f.uids(order.ID)
	if err := f.Discard(t.Context(), order.ID, "etcd-b"); err != nil {
		t.Fatal(err)
	}
	if claim() == old {
		t.Error("the old claim is still there")
	}
	f.awaitReady(order.ID)
	after := f.uids(order.ID)
	if after["etcd-b"] == before["etcd-b"] {
		t.Error("the old pod is still there")
	}
	delete(before, "etcd-b")
	delete(after, "etcd-b")
	if !maps.Equal(before, after) {
		t.Errorf("other pods were replaced:\n%v\n%v", before, after)
	}
	if err := f.Discard(t.Context(), order.ID, "kube-apiserver-a"); err == nil || !strings.Contains(err.Error(), "no volume") {
		t.Errorf("discarding what has no volume: %v", err)
	}
}

// TestSlots: guests that start wait for their turn, and say so.
func TestSlots(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *kubernetes.Options) { o.Slots = 1 })
	first, second := orderOf(v1alpha1.Single), orderOf(v1alpha1.Single)
	cluster.nodes.set(objects.NamespaceName(first.ID), "kube-apiserver-a", starting)
	f.apply(f.manifest(first))
	f.awaitComponent(first.ID, "kube-apiserver-a", "starts", func(c runtime.Component) bool { return c.State == runtime.Starting })
	f.apply(f.manifest(second))
	f.awaitComponent(second.ID, "etcd-a", "is queued", func(c runtime.Component) bool { return c.State == runtime.Queued })
	cluster.nodes.set(objects.NamespaceName(first.ID), "kube-apiserver-a", nil)
	f.awaitReady(second.ID)
}

// TestSlotOfDeleted: a guest that is being deleted gives its slot back, however long its end takes.
func TestSlotOfDeleted(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *kubernetes.Options) { o.Slots = 1 })
	first, second := orderOf(v1alpha1.Single), orderOf(v1alpha1.Single)
	namespace := objects.NamespaceName(first.ID)
	cluster.nodes.set(namespace, "kube-apiserver-a", starting)
	cluster.nodes.keepVolumes(namespace, true)
	f.apply(f.manifest(first))
	f.awaitComponent(first.ID, "kube-apiserver-a", "starts", func(c runtime.Component) bool { return c.State == runtime.Starting })
	f.apply(f.manifest(second))
	f.awaitComponent(second.ID, "etcd-a", "is queued", func(c runtime.Component) bool { return c.State == runtime.Queued })
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := f.Delete(ctx, first.ID); err == nil {
		t.Error("it is deleted, and its volume is still there")
	}
	f.awaitReady(second.ID)
	cluster.nodes.keepVolumes(namespace, false)
	if err := f.Delete(t.Context(), first.ID); err != nil {
		t.Error(err)
	}
}

// TestDropped: what is dropped from the manifest is removed, with its data.
func TestDropped(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	order, m := f.create(v1alpha1.Zonal)
	m.Components = slices.DeleteFunc(slices.Clone(m.Components), func(c controlplane.Component) bool { return c.Zone != "a" })
	f.apply(m)
	f.eventually("only zone a is left", func() error {
		var claims corev1.PersistentVolumeClaimList
		if err := f.api.List(t.Context(), &claims, client.InNamespace(objects.NamespaceName(order.ID))); err != nil {
			return err
		}
		if pods := f.uids(order.ID); len(pods) != 4 || len(claims.Items) != 1 {
			return fmt.Errorf("%d claims, pods %v", len(claims.Items), pods)
		}
		return nil
	})
	f.awaitReady(order.ID)
}
