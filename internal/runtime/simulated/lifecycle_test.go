package simulated

import (
	"testing"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime/runtimetest"
)

// TestLifecycle: it does with a guest what every runtime must.
func TestLifecycle(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"Plain": func(*Options) {},
		"Slots": func(o *Options) { o.Slots = 1 },
		// Nothing dies within the minutes of a test, but when it will is drawn.
		"Deaths": func(o *Options) { o.DeathsPerYear = 0.01 },
	} {
		t.Run(name, func(t *testing.T) {
			runtimetest.Lifecycle(t, func(t *testing.T) runtimetest.Subject {
				b := newBench(t, change)
				b.run()
				return runtimetest.Subject{
					Runtime: b.Runtime, Advance: b.clock.Step, Modes: []v1alpha1.DrillMode{v1alpha1.DrillKill, v1alpha1.DrillHang},
					Manifest: func(_ *testing.T, id string) controlplane.Manifest { return b.render(order(id)) },
				}
			})
		})
	}
}
