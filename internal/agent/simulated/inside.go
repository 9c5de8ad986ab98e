// Package simulated stands in for what an agent does inside guests where the cell is simulated: nothing is there
// to be reached over the network.
package simulated

import (
	"bytes"
	"context"
	"io"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/agent"
	"github.com/myriad-fleet/myriad/internal/agent/bootstrap"
	"github.com/myriad-fleet/myriad/internal/agent/etcd"
	"github.com/myriad-fleet/myriad/internal/controlplane"
)

// roundTrip between two zones of a simulated cell, in microseconds: zones are at millisecond distance.
const roundTrip = 900

// Pager writes the metrics pages of a simulated cell's instances.
type Pager interface {
	Page(id, component string) ([]byte, error)
}

// Inside of the guests of one simulated cell, which has these zones. It outlives the agent, as the guests do.
func Inside(cell Pager, zones []string) *agent.Inside {
	return &agent.Inside{
		Bootstrap: &bootstrapper{done: map[string]bool{}},
		Etcd:      keeper{},
		Pages: func(_ context.Context, id, instance string) (io.ReadCloser, error) {
			page, err := cell.Page(id, instance)
			if err != nil {
				return nil, err
			}
			return io.NopCloser(bytes.NewReader(page)), nil
		},
		RoundTrips: func() []v1alpha1.RoundTrip { return roundTrips(zones) },
	}
}

func roundTrips(zones []string) []v1alpha1.RoundTrip {
	var all []v1alpha1.RoundTrip
	for i, a := range zones {
		for _, b := range zones[i+1:] {
			all = append(all, v1alpha1.RoundTrip{
				Between: a + "-" + b, MedianMicroseconds: roundTrip, P99Microseconds: 2 * roundTrip, Source: "Probe",
			})
		}
	}
	return all
}

// bootstrapper has nothing to set up: it remembers whom it was asked for.
type bootstrapper struct {
	mu   sync.Mutex
	done map[string]bool
}

// Done implements guest.Bootstrap.
func (b *bootstrapper) Done(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.done[id]
}

// Current implements guest.Bootstrap.
func (b *bootstrapper) Current(id string) bool { return b.Done(id) }

// Run implements guest.Bootstrap.
func (b *bootstrapper) Run(_ context.Context, guest bootstrap.Guest) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done[guest.ID] = true
	return nil
}

// Remove implements guest.Bootstrap.
func (b *bootstrapper) Remove(id string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.done, id)
	return nil
}

// keeper says that every etcd is well.
type keeper struct{}

// Run implements agent.Etcd.
func (keeper) Run(ctx context.Context) { <-ctx.Done() }

// Starts has members refuse to start over without their data, once their guest is bootstrapped.
func (keeper) Starts(order *v1alpha1.ControlPlaneSpec) map[string]controlplane.EtcdStart {
	starts := map[string]controlplane.EtcdStart{}
	for _, instance := range controlplane.Instances(order, controlplane.Guest) {
		if instance.Kind == controlplane.Etcd {
			starts[instance.Name] = controlplane.EtcdSealed
		}
	}
	return starts
}

// Keep implements guest.Etcd.
func (keeper) Keep(etcd.Guest) {}

// Report implements guest.Etcd.
func (keeper) Report(string) etcd.Report {
	return etcd.Report{Condition: &metav1.Condition{
		Type: v1alpha1.ConditionEtcdHealthy, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonEtcdHealthy, Message: "simulated",
	}}
}

// Remove implements guest.Etcd.
func (keeper) Remove(context.Context, string) error { return nil }
