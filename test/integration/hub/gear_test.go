package hub_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/gear"
)

// quickGearbox shifts a second after it should, and as often as it likes.
func quickGearbox() *v1alpha1.Gearbox {
	spec := gear.Default()
	spec.Shifting.UpDelaySeconds, spec.Shifting.DownDelaySeconds = new(int32(1)), new(int32(1))
	spec.Shifting.TuningDownDelaySeconds = new(int32(3600))
	spec.Shifting.Moves, spec.Shifting.WindowSeconds = 20, 1
	return &v1alpha1.Gearbox{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.DefaultGearbox}, Spec: spec}
}

// gears puts a Gearbox in force for one test, and makes a template whose guests are sized by it. The other
// tests' template has no gears.
func (f *fleet) gears() (*v1alpha1.Gearbox, string) {
	f.t.Helper()
	box := quickGearbox()
	f.create(box)
	f.t.Cleanup(func() {
		if err := f.api.Delete(context.Background(), box); err != nil {
			f.t.Error(err)
		}
	})
	f.awaitAccepted(box, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	var standard v1alpha1.ClusterTemplate
	if err := f.api.Get(f.t.Context(), client.ObjectKey{Name: "standard"}, &standard); err != nil {
		f.t.Fatal(err)
	}
	geared := &v1alpha1.ClusterTemplate{ObjectMeta: metav1.ObjectMeta{Name: f.name + "-geared"}, Spec: standard.Spec}
	geared.Spec.Gears = &v1alpha1.GearBounds{Min: "nano"}
	f.create(geared)
	return box, geared.Name
}

func (f *fleet) awaitAccepted(box *v1alpha1.Gearbox, status metav1.ConditionStatus, reason string, parts ...string) {
	f.t.Helper()
	f.eventually("wait for the hub to judge the Gearbox", func(ctx context.Context) error {
		if err := f.api.Get(ctx, client.ObjectKeyFromObject(box), box); err != nil {
			return err
		}
		if box.Status.ObservedGeneration != box.Generation {
			return fmt.Errorf("it has looked at generation %d of %d", box.Status.ObservedGeneration, box.Generation)
		}
		return nil
	})
	f.awaitCondition(box, v1alpha1.ConditionAccepted, status, reason, parts...)
}

// sample reports a guest as healthy, with that many writes per second, as its agent does.
func (f *fleet) sample(order *v1alpha1.ControlPlane, writes int64) {
	f.t.Helper()
	load := &v1alpha1.Load{SampledAt: metav1.Now()}
	for _, factor := range gear.Default().Factors {
		value := int64(0)
		if factor.Metric == v1alpha1.LoadWritesPerSecond {
			value = writes
		}
		load.Metrics = append(load.Metrics, v1alpha1.LoadMetric{Name: factor.Metric, Value: *resource.NewQuantity(value, resource.DecimalSI)})
	}
	f.report(order, func(c *v1alpha1.ControlPlane) {
		c.Status.ObservedGeneration, c.Status.Load = c.Generation, load
		c.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady, LastTransitionTime: metav1.Now()}}
	})
}

// awaitSize waits until an order has the size of a gear, while its agent keeps up with it.
func (f *fleet) awaitSize(order *v1alpha1.ControlPlane, name string, writes int64) {
	f.t.Helper()
	f.eventually("wait for gear "+name, func(ctx context.Context) error {
		if err := f.api.Get(ctx, client.ObjectKeyFromObject(order), order); err != nil {
			return err
		}
		if order.Status.ObservedGeneration != order.Generation {
			f.sample(order, writes)
		}
		if order.Spec.Size.Gear != name {
			return fmt.Errorf("it has gear %s", order.Spec.Size.Gear)
		}
		return nil
	})
}

func TestGearsFollowLoad(t *testing.T) {
	f := newFleet(t)
	f.cell("c1")
	_, template := f.gears()
	cluster := f.cluster(f.namespace("team"), "shop", zonal, func(c *v1alpha1.Cluster) { c.Spec.Template = template })
	order := f.order(cluster)
	nano, _ := gear.Find(gear.Default(), "nano")
	if order.Spec.Size.Gear != "nano" || order.Spec.Size.APIServer.CPU.Cmp(nano.Size.APIServer.CPU) != 0 {
		t.Errorf("a new guest has the size %+v", order.Spec.Size)
	}
	if tuned := order.Spec.Tuning != nil; tuned != (controlplane.LatestRevision() >= controlplane.TuningRevision) || (order.Spec.EtcdQuotaBytes > 0) != tuned {
		t.Errorf("at revision %d a new guest has the tuning %+v and etcd's quota is %d", order.Spec.RenderRevision, order.Spec.Tuning, order.Spec.EtcdQuotaBytes)
	}

	const small = 40 // half of it in each zone: 200m
	f.sample(order, small)
	f.awaitSize(order, "small", small)
	f.sample(order, 0)
	f.awaitSize(order, "nano", 0)

	f.eventually("read the history", func(ctx context.Context) error {
		if err := f.api.Get(ctx, client.ObjectKeyFromObject(cluster), cluster); err != nil {
			return err
		}
		if cluster.Status.Gear == nil {
			return fmt.Errorf("the Cluster reports no gear: %+v", cluster.Status)
		}
		var sizes []string
		for _, move := range slices.Backward(cluster.Status.Gear.Moves) {
			if move.Kind == v1alpha1.GearMoveSize {
				sizes = append(sizes, move.From+">"+move.To)
			}
		}
		if diff := cmp.Diff([]string{"nano>small", "small>mini", "mini>micro", "micro>nano"}, sizes); diff != "" {
			return fmt.Errorf("moves (-want +got):\n%s", diff)
		}
		return nil
	})
	if cluster.Status.Endpoint == nil || cluster.Status.ID != order.Name {
		t.Errorf("what else the hub reports of the guest is gone: %+v", cluster.Status)
	}
}

func TestBadGearboxChangesNothing(t *testing.T) {
	f := newFleet(t)
	cell := f.cell("c1")
	box, template := f.gears()
	box.Spec.Ladder[0], box.Spec.Ladder[1] = box.Spec.Ladder[1], box.Spec.Ladder[0]
	if err := f.api.Update(t.Context(), box); err != nil {
		t.Fatal(err)
	}
	f.awaitAccepted(box, metav1.ConditionFalse, v1alpha1.ReasonInvalid, "stays in force", "spec.ladder")
	order := f.order(f.cluster(f.namespace("team"), "shop", func(c *v1alpha1.Cluster) { c.Spec.Template = template }))
	if order.Spec.Size.Gear != "nano" {
		t.Errorf("a new guest has gear %q, not the smallest of the Gearbox that was accepted", order.Spec.Size.Gear)
	}
	f.sample(order, 20)
	f.awaitSize(order, "small", 20)
	f.awaitCondition(cell, v1alpha1.ConditionGearsFit, metav1.ConditionTrue, v1alpha1.ReasonEveryGearFits)
}

func TestGrowthThatDoesNotFitIsTold(t *testing.T) {
	f := newFleet(t)
	cell := f.cell("c1", func(c *v1alpha1.Cell) { c.Spec.ReservePercent = new(int32(90)) }) // 1 core of each zone, 1 GiB
	_, template := f.gears()
	order := f.order(f.cluster(f.namespace("team"), "shop", func(c *v1alpha1.Cluster) { c.Spec.Template = template }))
	f.sample(order, 1_000_000_000)
	f.awaitCondition(cell, v1alpha1.ConditionGearsFit, metav1.ConditionFalse, v1alpha1.ReasonNoRoom, "/shop:", "no room")
	f.sample(order, 0)
	f.awaitCondition(cell, v1alpha1.ConditionGearsFit, metav1.ConditionTrue, v1alpha1.ReasonEveryGearFits)
	if err := f.api.Get(t.Context(), client.ObjectKeyFromObject(order), order); err != nil {
		t.Fatal(err)
	}
	if order.Spec.Size.Gear != "nano" {
		t.Errorf("an absurd load took the guest to %s", order.Spec.Size.Gear)
	}
	order.Spec.EtcdQuotaBytes++
	if err := f.api.Update(t.Context(), order); order.Spec.EtcdQuotaBytes > 1 {
		wantRefused(t, err, "would restart etcd")
	}
}

func TestGearsThatAreRefusedAtOnce(t *testing.T) {
	f := newFleet(t)
	namespace := f.namespace("team")
	for reason, tc := range map[string]struct {
		change func(*v1alpha1.GearboxSpec)
		part   string
	}{
		"a negative factor":    {change: func(s *v1alpha1.GearboxSpec) { s.Factors[0].CPU = resource.MustParse("-1m") }, part: "negative"},
		"an unknown metric":    {change: func(s *v1alpha1.GearboxSpec) { s.Factors[0].Metric = "moons" }, part: "moons"},
		"a metric twice":       {change: func(s *v1alpha1.GearboxSpec) { s.Factors[1].Metric = s.Factors[0].Metric }, part: "Duplicate"},
		"bands that overlap":   {change: func(s *v1alpha1.GearboxSpec) { s.Shifting.LeavePercent = s.Shifting.EnterPercent }, part: "leavePercent must be less than enterPercent"},
		"a ladder of no gears": {change: func(s *v1alpha1.GearboxSpec) { s.Ladder = nil }, part: "spec.ladder"},
	} {
		box := quickGearbox()
		box.Name = f.name
		tc.change(&box.Spec)
		t.Log(reason)
		wantRefused(t, f.api.Create(t.Context(), box), tc.part)
	}
	cluster := &v1alpha1.Cluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop"},
		Spec:       v1alpha1.ClusterSpec{Template: "standard", Region: f.name, Gears: &v1alpha1.GearBounds{Pinned: "nano", Max: "mini"}},
	}
	wantRefused(t, f.api.Create(t.Context(), cluster), "write either pinned, or min and max")
	cluster.Spec.Gears = &v1alpha1.GearBounds{Pinned: "nano"}
	f.create(cluster)
	f.awaitCondition(cluster, v1alpha1.ConditionScheduled, metav1.ConditionFalse, v1alpha1.ReasonGearNotFound, "leave spec.gears out")
}
