package simulated

import (
	"context"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/gear"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// begun is when the tests' clocks begin.
var begun = time.Date(2026, 11, 29, 8, 0, 0, 0, time.UTC)

// bench is a runtime with a clock of its own.
type bench struct {
	*Runtime

	t     testing.TB
	clock *clocktesting.FakeClock
}

// newBench makes a runtime with zones a, b and c, of 100 cores and 1 TiB each.
func newBench(t testing.TB, change ...func(*Options)) *bench {
	t.Helper()
	fake := clocktesting.NewFakeClock(begun)
	options := Options{Cell: "hz-1", Seed: 1, Capacity: capacity("100", "1Ti"), Clock: fake}
	for _, c := range change {
		c(&options)
	}
	made, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	return &bench{Runtime: made, t: t, clock: fake}
}

// run it until the test ends.
func (b *bench) run() {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.Run(ctx)
	}()
	b.t.Cleanup(func() {
		cancel()
		<-ended
	})
}

func capacity(cpu, memory string) runtime.Capacity {
	var all runtime.Capacity
	for _, zone := range []string{"a", "b", "c"} {
		all = append(all, v1alpha1.ZoneCapacity{Name: zone, CPU: resource.MustParse(cpu), Memory: resource.MustParse(memory)})
	}
	return all
}

// order of a Zonal guest in the smallest gear.
func order(id string) v1alpha1.ControlPlaneSpec {
	smallest := gear.Default().Ladder[0]
	return v1alpha1.ControlPlaneSpec{
		ID: id, Region: "cn-hangzhou", Version: "v1.36.3", EtcdVersion: "v3.6.16",
		Availability: v1alpha1.Zonal, Zones: []string{"a", "b", "c"},
		Network:  v1alpha1.ClusterNetwork{PodCIDR: "10.244.0.0/16", ServiceCIDR: "10.100.0.0/16"},
		Endpoint: v1alpha1.GuestEndpoint{ServerName: id + ".guests.test", Port: 6443, PlainPort: 20001},
		Size:     gear.Size(smallest), Tuning: gear.Tuning(smallest),
		RenderRevision: controlplane.LatestRevision(), Epoch: 1,
	}
}

// render an order with the runtime's own addresses. Secrets are filled in with their own names.
func (b *bench) render(order v1alpha1.ControlPlaneSpec) controlplane.Manifest {
	b.t.Helper()
	var names []string
	for _, instance := range controlplane.Instances(&order, controlplane.Guest) {
		names = append(names, instance.Name)
	}
	hosts, err := b.Reserve(context.Background(), order.ID, names)
	if err != nil {
		b.t.Fatal(err)
	}
	m, err := controlplane.Render(controlplane.Input{Order: order, Profile: controlplane.Guest, Hosts: hosts})
	if err != nil {
		b.t.Fatal(err)
	}
	m, err = m.Resolve(func(component, from string) ([]byte, error) { return []byte(component + " " + from), nil })
	if err != nil {
		b.t.Fatal(err)
	}
	return m
}

func (b *bench) apply(m controlplane.Manifest) {
	b.t.Helper()
	if err := b.Apply(context.Background(), m); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) observe(id string) runtime.Observation {
	b.t.Helper()
	o, err := b.Observe(context.Background(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	return o
}

// create Zonal guests and let them start.
func (b *bench) create(ids ...string) {
	b.t.Helper()
	for _, id := range ids {
		b.apply(b.render(order(id)))
	}
	b.clock.Step(5 * time.Minute)
	for _, id := range ids {
		for _, c := range b.observe(id).Components {
			if !c.Ready {
				b.t.Fatalf("%s of %s is not ready after 5 minutes: %+v", c.Name, id, c)
			}
		}
	}
}
