package gears

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/gear"
)

// TestQuietChangesNothing: a hub that looks at those alone that have news decides what one decides that looks at all.
func TestQuietChangesNothing(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			lazy, thorough := newBench(t, cell("c", 3_000)), newBench(t, cell("c", 3_000))
			benches := []*bench{lazy, thorough}
			names := []string{"a", "b", "c", "d"}
			for i, name := range names {
				for _, b := range benches {
					b.guest("c", fmt.Sprintf("team%d", i%2), name, fitsNano)
				}
			}
			random := rand.New(rand.NewPCG(seed, 6))
			skipped := false
			for step := range 60 {
				name, writes, span := names[random.IntN(len(names))], int64(random.IntN(80)), time.Duration(1+random.IntN(90))*time.Second
				told, well := random.IntN(3) == 0, random.IntN(10) > 0
				for _, b := range benches {
					b.clock.SetTime(b.clock.Now().Add(span))
					if told {
						b.report(name, func(o *v1alpha1.ControlPlane) { o.Status.Load = b.load(writes) })
					}
					b.report(name, func(o *v1alpha1.ControlPlane) {
						o.Status.ObservedGeneration = o.Generation
						meta.FindStatusCondition(o.Status.Conditions, v1alpha1.ConditionReady).Status = map[bool]metav1.ConditionStatus{true: "True", false: "False"}[well]
					})
				}
				thorough.hub.quiet = newQuiet()
				skipped = skipped || len(lazy.hub.quiet.of("c")) > 0
				for _, b := range benches {
					b.look("c")
				}
				if x, y := lazy.state(), thorough.state(); x != y {
					t.Fatalf("step %d: looked at those with news:\n%s\nlooked at all:\n%s", step, x, y)
				}
			}
			if !skipped {
				t.Error("no guest was ever quiet")
			}
		})
	}
}

// state of all guests: their gears, and what is ordered.
func (b *bench) state() string {
	b.t.Helper()
	text := ""
	for _, o := range b.orders() {
		name := o.Spec.Cluster.Name
		last, err := json.Marshal(b.clusterOf(name).Status.Gear)
		if err != nil {
			b.t.Fatal(err)
		}
		text += fmt.Sprintf("%s %s/%s %s\n", name, o.Spec.Size.Gear, tuningGear(&o), last)
	}
	return text
}

// TestQuietComesBack: the hub looks again when the time of a quiet guest has come, however often it looks meanwhile.
func TestQuietComesBack(t *testing.T) {
	b := newBench(t, cell("c", 100_000))
	b.guest("c", "team", "shop", fitsNano)
	b.look("c")
	look := func() time.Duration {
		t.Helper()
		result, err := b.hub.Reconcile(t.Context(), request("c"))
		if err != nil || result == (reconcile.Result{}) {
			t.Fatalf("the hub does not come back: %v", err)
		}
		return result.RequeueAfter
	}
	first := look()
	b.clock.SetTime(b.clock.Now().Add(first / 2))
	if second := look(); second != first-first/2 {
		t.Errorf("the hub comes back in %s, and half of that later in %s", first, second)
	}
	b.clock.SetTime(b.clock.Now().Add(first))
	if calm := b.hub.quiet.of("c"); len(calm) != 1 {
		t.Errorf("quiet: %v", calm)
	}
	if b.look("c"); b.reason("shop") != gear.ReasonStale {
		t.Errorf("when the load is old the guest is said to be %q", b.reason("shop"))
	}
}
