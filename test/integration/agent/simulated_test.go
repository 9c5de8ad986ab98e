package agent_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	simulatedagent "github.com/myriad-fleet/myriad/internal/agent/simulated"
	"github.com/myriad-fleet/myriad/internal/runtime"
	"github.com/myriad-fleet/myriad/internal/runtime/simulated"
)

// TestSimulatedCell: an agent makes a guest of a simulated cell Ready, samples its load, lets it be adopted by the
// agent after it, and removes it on its tombstone.
func TestSimulatedCell(t *testing.T) {
	f := newFixture(t)
	zones := f.cell.Spec.Zones
	var capacity runtime.Capacity
	for _, zone := range zones {
		capacity = append(capacity, v1alpha1.ZoneCapacity{Name: zone, CPU: resource.MustParse("10"), Memory: resource.MustParse("20Gi")})
	}
	cell, err := simulated.New(simulated.Options{Cell: f.name, Seed: 1, Capacity: capacity})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { cell.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	options := f.options()
	options.Runtime, options.Inside = cell, simulatedagent.Inside(cell, zones)
	f.run(options)
	order := f.order()
	f.awaitReady(order)
	f.awaitCell("the guest is counted, and round trips are told", func(s v1alpha1.CellStatus) bool {
		return s.Guests == 1 && len(s.RoundTrips) == 3 && len(s.Zones) == 3
	})
	if took, ok := cell.Started(order.Name); !ok || took <= 0 || took > time.Minute {
		t.Errorf("by the simulation the guest started within %s, %t", took, ok)
	}

	f.stop()
	f.run(options)
	f.update(order, func() { order.Spec.Tombstone = &v1alpha1.Tombstone{ID: order.Name} })
	f.awaitCondition(order, v1alpha1.ConditionDeleted, metav1.ConditionTrue, v1alpha1.ReasonDeleting)
	if ids := cell.IDs(); len(ids) != 0 || !meta.IsStatusConditionFalse(order.Status.Conditions, v1alpha1.ConditionReady) {
		t.Errorf("after the removal the cell holds %v, and the order says %+v", ids, order.Status.Conditions)
	}
}
