package process

import (
	"testing"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime/runtimetest"
)

// TestLifecycle: it does with a guest what every runtime must.
func TestLifecycle(t *testing.T) {
	runtimetest.Lifecycle(t, func(t *testing.T) runtimetest.Subject {
		return runtimetest.Subject{
			Runtime: newBench(t).Client, Manifest: zonal,
			Modes: []v1alpha1.DrillMode{v1alpha1.DrillKill, v1alpha1.DrillHang},
		}
	})
}

// zonal guest of fake programs, which start after each other as real ones do.
func zonal(t *testing.T, id string) controlplane.Manifest {
	t.Helper()
	m := controlplane.Manifest{ID: id, Epoch: 1}
	order := v1alpha1.ControlPlaneSpec{Availability: v1alpha1.Zonal, Zones: []string{"a", "b", "c"}}
	for _, instance := range controlplane.Instances(&order, controlplane.Guest) {
		var after []string
		switch instance.Kind {
		case controlplane.Etcd:
		case controlplane.APIServer:
			after = []string{controlplane.InstanceName(controlplane.Etcd, instance.Zone)}
		default:
			after = []string{controlplane.InstanceName(controlplane.APIServer, instance.Zone)}
		}
		c := server(t, instance.Name, instance.Zone, after...)
		c.Kind = instance.Kind
		m.Components = append(m.Components, c)
	}
	return m
}
