// Package routing decides which back ends serve which guest: a pure function from what is known of
// a region's ControlPlanes, and the table so far, to the next table.
//
// Its laws: only the highest epoch of an id is routed; a route leaves on a tombstone only, never
// because an object is missing; the order in which objects are learned does not matter.
package routing

import (
	"cmp"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// Backend is one API server of a guest.
type Backend struct {
	// Zone of the API server.
	Zone string `json:"zone"`
	// Address: an IP or a DNS name.
	Address string `json:"address"`
	// Port of the API server.
	Port int32 `json:"port"`
}

// HostPort is the address to dial.
func (b Backend) HostPort() string {
	return net.JoinHostPort(b.Address, strconv.Itoa(int(b.Port)))
}

// Placement is what the gateway keeps of one ControlPlane.
type Placement struct {
	// ID of the guest.
	ID string
	// Cell that the ControlPlane lives in.
	Cell string
	// Epoch of the placement.
	Epoch int64
	// SupersededBy is the higher epoch that lives in another cell, perhaps of another region; 0: none.
	SupersededBy int64
	// Tombstone says that the hub has ordered this placement's removal.
	Tombstone bool
	// ServerName that clients send, lower case.
	ServerName string
	// PlainPort of the guest; 0: none.
	PlainPort int32
	// CABundle (PEM) that the back ends are verified by; empty until the agent reports it.
	CABundle string
	// Backends by zone; empty until the agent reports them.
	Backends []Backend
}

// FromControlPlane keeps what routing needs of a ControlPlane found in a cell's namespace. Endpoints
// without an address or with an impossible port are left out.
func FromControlPlane(cell string, order *v1alpha1.ControlPlane) Placement {
	placement := Placement{
		ID:           order.Spec.ID,
		Cell:         cell,
		Epoch:        order.Spec.Epoch,
		SupersededBy: order.Spec.SupersededBy,
		Tombstone:    order.Spec.Tombstone != nil && order.Spec.Tombstone.ID == order.Spec.ID,
		ServerName:   strings.ToLower(order.Spec.Endpoint.ServerName),
		PlainPort:    order.Spec.Endpoint.PlainPort,
		CABundle:     order.Status.CABundle,
	}
	for _, endpoint := range order.Status.Endpoints {
		if endpoint.Address == "" || endpoint.Port < 1 || endpoint.Port > 65535 {
			continue
		}
		placement.Backends = append(placement.Backends,
			Backend{Zone: endpoint.Zone, Address: endpoint.Address, Port: endpoint.Port})
	}
	slices.SortFunc(placement.Backends, func(a, b Backend) int {
		return cmp.Or(cmp.Compare(a.Zone, b.Zone), cmp.Compare(a.HostPort(), b.HostPort()))
	})
	return placement
}

// Route is how a guest is reached.
type Route struct {
	// ID of the guest.
	ID string `json:"id"`
	// Cell of the placement; empty while only its epoch is known.
	Cell string `json:"cell"`
	// Epoch of the placement.
	Epoch int64 `json:"epoch"`
	// ServerName that clients send, lower case.
	ServerName string `json:"serverName"`
	// PlainPort of the guest; 0: none.
	PlainPort int32 `json:"plainPort"`
	// CABundle (PEM) that the back ends are verified by; may be empty.
	CABundle string `json:"caBundle,omitempty"`
	// Backends by zone; may be empty: clients are then refused.
	Backends []Backend `json:"backends,omitempty"`
}

// SamePlacement says that two routes speak of one copy of one guest.
func (r Route) SamePlacement(other Route) bool {
	return r.ID == other.ID && r.Epoch == other.Epoch && r.Cell == other.Cell
}

// Table is everything a gateway routes.
type Table struct {
	// Routes by id.
	Routes map[string]Route
	// Tombstones hold, by id, the highest epoch whose removal was ordered. They are kept for good, about
	// 20 bytes each, so that a hub restored from an older backup cannot bring a deleted guest back. They hold
	// an epoch and not just an id because the old copy of a guest that moved is removed by a tombstone too.
	Tombstones map[string]int64
}

// Build makes the next table from the previous one and everything known now. The previous table counts
// as knowledge: what it routes and nothing known speaks of stays.
func Build(previous Table, known []Placement) Table {
	next := Table{Routes: map[string]Route{}, Tombstones: maps.Clone(previous.Tombstones)}
	if next.Tombstones == nil {
		next.Tombstones = map[string]int64{}
	}
	for _, placement := range known {
		if placement.Tombstone {
			next.Tombstones[placement.ID] = max(next.Tombstones[placement.ID], placement.Epoch)
		}
	}
	consider := func(candidate Route) {
		if candidate.ID == "" || candidate.Epoch <= next.Tombstones[candidate.ID] {
			return
		}
		if best, found := next.Routes[candidate.ID]; !found || better(candidate, best) {
			next.Routes[candidate.ID] = candidate
		}
	}
	replaced := map[string]bool{} // previous routes that a known object speaks for
	for _, placement := range known {
		before := previous.Routes[placement.ID]
		route := routeOf(placement, before)
		replaced[placement.ID] = replaced[placement.ID] || route.SamePlacement(before)
		consider(route)
		if placement.SupersededBy > placement.Epoch {
			consider(successor(route, placement.SupersededBy))
		}
	}
	for id, route := range previous.Routes {
		if !replaced[id] {
			consider(route)
		}
	}
	return yieldPorts(next, known)
}

// yieldPorts takes the plain port from routes that nothing known speaks for where a known guest claims it
// too: the hub gives a port away only after its guest is gone, and a gateway that was stopped meanwhile has
// missed the tombstone. Such a guest is still reached by its server name.
func yieldPorts(table Table, known []Placement) Table {
	spokenFor := map[string]bool{}
	claimed := map[int32]bool{}
	for _, placement := range known {
		spokenFor[placement.ID] = true
		if _, routed := table.Routes[placement.ID]; routed {
			claimed[placement.PlainPort] = true
		}
	}
	for id, route := range table.Routes {
		if !spokenFor[id] && claimed[route.PlainPort] {
			route.PlainPort = 0
			table.Routes[id] = route
		}
	}
	return table
}

// routeOf is the route to a placement. What an agent once reported about this very placement holds until
// it reports something else: a status that was lost with the hub's database does not stop traffic.
func routeOf(placement Placement, before Route) Route {
	route := Route{
		ID: placement.ID, Cell: placement.Cell, Epoch: placement.Epoch,
		ServerName: placement.ServerName, PlainPort: placement.PlainPort,
		CABundle: placement.CABundle, Backends: placement.Backends,
	}
	if !route.SamePlacement(before) {
		return route
	}
	if len(route.Backends) == 0 {
		route.Backends = before.Backends
	}
	if route.CABundle == "" {
		route.CABundle = before.CABundle
	}
	return route
}

// successor stands for a placement that is only known by its epoch: nobody is let into the copy that it
// supersedes, because that one is frozen and what would be written there would be lost.
func successor(route Route, epoch int64) Route {
	return Route{ID: route.ID, Epoch: epoch, ServerName: route.ServerName, PlainPort: route.PlainPort}
}

// better orders the candidates of one id: the higher epoch; then the one with back ends, because an order
// that no agent has answered yet must not displace one that serves; then, so that the order of arrival
// does not matter, the one whose cell is known and sorts first.
func better(a, b Route) bool {
	return cmp.Or(
		cmp.Compare(b.Epoch, a.Epoch),
		cmp.Compare(min(1, len(b.Backends)), min(1, len(a.Backends))),
		cmp.Compare(min(1, len(b.Cell)), min(1, len(a.Cell))),
		cmp.Compare(a.Cell, b.Cell),
	) < 0
}

// ByServerName maps server names to ids. Where two guests claim one name the smaller id has it.
func (t Table) ByServerName() map[string]string {
	names := make(map[string]string, len(t.Routes))
	for id, route := range t.Routes {
		if owner, taken := names[route.ServerName]; route.ServerName != "" && (!taken || id < owner) {
			names[route.ServerName] = id
		}
	}
	return names
}

// ByPlainPort maps plain ports to ids. Where two guests claim one port the smaller id has it; the other
// is still reached by its server name.
func (t Table) ByPlainPort() map[uint16]string {
	ports := make(map[uint16]string, len(t.Routes))
	for id, route := range t.Routes {
		if route.PlainPort < 1 || route.PlainPort > 65535 {
			continue
		}
		port := uint16(route.PlainPort)
		if owner, taken := ports[port]; !taken || id < owner {
			ports[port] = id
		}
	}
	return ports
}
