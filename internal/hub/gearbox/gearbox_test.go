package gearbox

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/gear"
)

// bench is an API with a hub that judges what the test writes.
type bench struct {
	t   *testing.T
	api client.Client
}

func newBench(t *testing.T) *bench {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, corev1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return &bench{t: t, api: fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.Gearbox{}).Build()}
}

// write a Gearbox as an operator does, and have a hub that has just been started judge it.
func (b *bench) write(name string, spec v1alpha1.GearboxSpec) metav1.Condition {
	b.t.Helper()
	box := &v1alpha1.Gearbox{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}
	var before v1alpha1.Gearbox
	if err := b.api.Get(b.t.Context(), client.ObjectKey{Name: name}, &before); err == nil {
		before.Spec = spec
		if err := b.api.Update(b.t.Context(), &before); err != nil {
			b.t.Fatal(err)
		}
	} else if err := b.api.Create(b.t.Context(), box); err != nil {
		b.t.Fatal(err)
	}
	r := &reconciler{client: b.api, clock: testingclock.NewFakePassiveClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))}
	if _, err := r.Reconcile(b.t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: name}}); err != nil {
		b.t.Fatal(err)
	}
	if err := b.api.Get(b.t.Context(), client.ObjectKey{Name: name}, box); err != nil {
		b.t.Fatal(err)
	}
	condition := meta.FindStatusCondition(box.Status.Conditions, v1alpha1.ConditionAccepted)
	if condition == nil {
		b.t.Fatalf("Gearbox %s has no Accepted condition", name)
	}
	return *condition
}

// force is how many gears the Gearbox in force has, and whether it is frozen; 0 for none.
func (b *bench) force() (gears int, frozen bool) {
	b.t.Helper()
	box, err := InForce(b.t.Context(), b.api, b.api)
	if err != nil {
		b.t.Fatal(err)
	}
	if box.Spec() == nil {
		return 0, box.Frozen()
	}
	return len(box.Spec().Ladder), box.Frozen()
}

func (b *bench) want(why string, gears int, frozen bool) {
	b.t.Helper()
	if gotGears, gotFrozen := b.force(); gotGears != gears || gotFrozen != frozen {
		b.t.Errorf("%s: %d gears in force (frozen: %t), want %d (%t)", why, gotGears, gotFrozen, gears, frozen)
	}
}

// inverted is the default Gearbox with its first two gears exchanged.
func inverted() v1alpha1.GearboxSpec {
	spec := gear.Default()
	spec.Ladder[0], spec.Ladder[1] = spec.Ladder[1], spec.Ladder[0]
	return spec
}

func TestWhatWasAcceptedStaysInForce(t *testing.T) {
	b := newBench(t)
	b.want("no Gearbox", 0, false)
	if got := b.write("default", inverted()); got.Status != metav1.ConditionFalse || got.Reason != v1alpha1.ReasonInvalid || !strings.Contains(got.Message, "spec.ladder") {
		t.Errorf("an inverted ladder: %+v", got)
	}
	b.want("nothing was accepted yet", 0, false)

	small := gear.Default()
	small.Ladder = small.Ladder[:3]
	if got := b.write("default", small); got.Status != metav1.ConditionTrue || got.Reason != v1alpha1.ReasonAccepted {
		t.Errorf("three gears: %+v", got)
	}
	b.want("accepted", 3, false)

	bad := inverted()
	bad.Frozen = true
	b.write("default", bad)
	b.want("the freeze counts, the ladder does not", 3, true)

	if err := b.api.Delete(t.Context(), &v1alpha1.Gearbox{ObjectMeta: metav1.ObjectMeta{Name: "default"}}); err != nil {
		t.Fatal(err)
	}
	b.want("deleted: no gears are computed", 0, false)
	b.write("default", inverted())
	b.want("replaced by a bad one", 3, false)
	b.write("default", gear.Default())
	b.want("mended", len(gear.Default().Ladder), false)
}

func TestOtherGearboxesAreToldSo(t *testing.T) {
	b := newBench(t)
	if got := b.write("mine", gear.Default()); got.Status != metav1.ConditionFalse || got.Reason != v1alpha1.ReasonNotDefault {
		t.Errorf("a Gearbox of another name: %+v", got)
	}
	b.want("it is not in force", 0, false)
}
