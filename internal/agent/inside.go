package agent

import (
	"context"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/agent/guest"
	"github.com/myriad-fleet/myriad/internal/agent/load"
)

// Etcd keeps the etcds of guests for as long as it runs.
type Etcd interface {
	guest.Etcd
	Run(ctx context.Context)
}

// Inside is what an agent does inside guests, over the network. Guests without one, simulated guests, have it
// done by something else.
type Inside struct {
	// Bootstrap sets guests up.
	Bootstrap guest.Bootstrap
	// Etcd keeps their etcds.
	Etcd Etcd
	// Pages of their instances' metrics.
	Pages load.Pages
	// RoundTrips between the zones of the cell.
	RoundTrips func() []v1alpha1.RoundTrip
}
