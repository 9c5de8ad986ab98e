package backend

import (
	"cmp"
	"slices"

	"github.com/myriad-fleet/myriad/internal/gateway/health"
)

// GuestStatus is how a guest is reached right now.
type GuestStatus struct {
	// ID of the guest.
	ID string `json:"id"`
	// Cell of its placement.
	Cell string `json:"cell"`
	// Epoch of its placement.
	Epoch int64 `json:"epoch"`
	// ServerName that it is routed by.
	ServerName string `json:"serverName"`
	// PlainPort that it is served on; 0: none.
	PlainPort int32 `json:"plainPort"`
	// Backends by zone; those that left the route and still serve connections come last.
	Backends []Status `json:"backends"`
}

// Status of a back end.
type Status struct {
	// Zone of the API server.
	Zone string `json:"zone"`
	// Address that is dialled.
	Address string `json:"address"`
	// Verdict of the probes.
	Verdict health.Verdict `json:"verdict"`
	// Suspect: others are preferred until the next probe.
	Suspect bool `json:"suspect,omitempty"`
	// Retired: it left the route and serves its last connections.
	Retired bool `json:"retired,omitempty"`
	// Connections of clients that are open.
	Connections int `json:"connections"`
}

// Status of every guest, by id.
func (s *Set) Status() []GuestStatus {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	guests := make([]GuestStatus, 0, len(s.guests))
	for _, known := range s.guests {
		status := GuestStatus{
			ID: known.route.ID, Cell: known.route.Cell, Epoch: known.route.Epoch,
			ServerName: known.route.ServerName, PlainPort: known.route.PlainPort,
			Backends: []Status{},
		}
		for _, backend := range slices.Concat(known.backends, known.retired) {
			status.Backends = append(status.Backends, Status{
				Zone: backend.target.Zone, Address: backend.target.HostPort(), Verdict: backend.state.Verdict,
				Suspect: backend.state.Suspect, Retired: backend.retired, Connections: len(backend.connections),
			})
		}
		guests = append(guests, status)
	}
	slices.SortFunc(guests, func(a, b GuestStatus) int { return cmp.Compare(a.ID, b.ID) })
	return guests
}
