package routing

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

func backends(addresses ...string) []Backend {
	var all []Backend
	for _, address := range addresses {
		all = append(all, Backend{Zone: "zone-" + address, Address: address, Port: 6443})
	}
	return all
}

func placement(cell string, epoch int64, addresses ...string) Placement {
	return Placement{
		ID: "g", Cell: cell, Epoch: epoch, ServerName: "g.example", PlainPort: 7001, CABundle: "ca-" + cell,
		Backends: backends(addresses...),
	}
}

func route(cell string, epoch int64, addresses ...string) Route {
	return Route{
		ID: "g", Cell: cell, Epoch: epoch, ServerName: "g.example", PlainPort: 7001, CABundle: "ca-" + cell,
		Backends: backends(addresses...),
	}
}

func tableOf(routes ...Route) Table {
	table := Table{Routes: map[string]Route{}, Tombstones: map[string]int64{}}
	for _, route := range routes {
		table.Routes[route.ID] = route
	}
	return table
}

func changed[T any](value T, change func(*T)) T {
	change(&value)
	return value
}

func TestBuild(t *testing.T) {
	dead := func(p *Placement) { p.Tombstone = true }
	buried := func(table Table, epoch int64) Table {
		table.Tombstones["g"] = epoch
		return table
	}
	cases := map[string]struct {
		reason   string
		previous Table
		known    []Placement
		want     Table
	}{
		"Empty": {
			reason: "Nothing known and nothing routed is an empty table.",
			want:   tableOf(),
		},
		"New": {
			reason: "A guest that is known is routed.",
			known:  []Placement{placement("a", 1, "1")},
			want:   tableOf(route("a", 1, "1")),
		},
		"Missing": {
			reason:   "A guest that nothing known speaks of stays: the hub may be restored, its cell unreachable.",
			previous: tableOf(route("a", 1, "1")),
			want:     tableOf(route("a", 1, "1")),
		},
		"StatusLost": {
			reason:   "A status without endpoints and CA does not stop traffic to the same placement.",
			previous: tableOf(route("a", 1, "1")),
			known:    []Placement{changed(placement("a", 1), func(p *Placement) { p.CABundle = "" })},
			want:     tableOf(route("a", 1, "1")),
		},
		"EndpointsChanged": {
			reason:   "What the agent reports now replaces what it reported before.",
			previous: tableOf(route("a", 1, "1")),
			known:    []Placement{placement("a", 1, "2", "3")},
			want:     tableOf(route("a", 1, "2", "3")),
		},
		"Moved": {
			reason:   "Only the highest epoch is routed.",
			previous: tableOf(route("a", 1, "1")),
			known:    []Placement{placement("a", 1, "1"), placement("b", 2, "2")},
			want:     tableOf(route("b", 2, "2")),
		},
		"MovedWithoutEndpoints": {
			reason:   "A higher epoch is routed before its agent has reported: the old copy is or will be frozen.",
			previous: tableOf(route("a", 1, "1")),
			known:    []Placement{placement("a", 1, "1"), placement("b", 2)},
			want:     tableOf(route("b", 2)),
		},
		"LowerEpochLate": {
			reason:   "A lower epoch that arrives later is ignored, even if the higher one is not known any more.",
			previous: tableOf(route("b", 2, "2")),
			known:    []Placement{placement("a", 1, "1")},
			want:     tableOf(route("b", 2, "2")),
		},
		"SameEpochWithoutEndpoints": {
			reason:   "An order of the same epoch that no agent has answered does not displace one that serves.",
			previous: tableOf(route("b", 1, "2")),
			known:    []Placement{placement("a", 1)},
			want:     tableOf(route("b", 1, "2")),
		},
		"SupersededElsewhere": {
			reason:   "A copy whose successor this gateway cannot see (another region) gets no traffic; it is frozen.",
			previous: tableOf(route("a", 1, "1")),
			known:    []Placement{changed(placement("a", 1, "1"), func(p *Placement) { p.SupersededBy = 2 })},
			want:     tableOf(Route{ID: "g", Epoch: 2, ServerName: "g.example", PlainPort: 7001}),
		},
		"SuccessorSeen": {
			reason: "The successor itself is preferred to the promise of it.",
			known: []Placement{
				changed(placement("a", 1, "1"), func(p *Placement) { p.SupersededBy = 2 }), placement("b", 2),
			},
			want: tableOf(route("b", 2)),
		},
		"Tombstone": {
			reason:   "A tombstone removes the route and is remembered.",
			previous: tableOf(route("a", 1, "1")),
			known:    []Placement{changed(placement("a", 1, "1"), dead)},
			want:     buried(tableOf(), 1),
		},
		"TombstoneIsFinal": {
			reason:   "A hub restored from before the tombstone does not bring the guest back.",
			previous: buried(tableOf(), 1),
			known:    []Placement{placement("a", 1, "1")},
			want:     buried(tableOf(), 1),
		},
		"TombstoneOfOldCopy": {
			reason:   "The old copy of a guest that moved is removed by a tombstone; the live copy stays.",
			previous: tableOf(route("b", 2, "2")),
			known:    []Placement{changed(placement("a", 1, "1"), dead), placement("b", 2, "2")},
			want:     buried(tableOf(route("b", 2, "2")), 1),
		},
		"TombstoneOfLiveCopy": {
			reason:   "The end of the live copy does not bring the old one back.",
			previous: tableOf(route("b", 2, "2")),
			known:    []Placement{placement("a", 1, "1"), changed(placement("b", 2, "2"), dead)},
			want:     buried(tableOf(), 2),
		},
		"PortGivenAway": {
			reason:   "A guest that the hub does not know yields its plain port to one that it does.",
			previous: tableOf(changed(route("a", 1, "1"), func(r *Route) { r.ID = "forgotten" })),
			known:    []Placement{placement("a", 1, "1")},
			want: tableOf(route("a", 1, "1"),
				changed(route("a", 1, "1"), func(r *Route) { r.ID = "forgotten"; r.PlainPort = 0 })),
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Build(tc.previous, tc.known)); diff != "" {
				t.Errorf("%s\nBuild(...): -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestFromControlPlane(t *testing.T) {
	order := &v1alpha1.ControlPlane{
		Spec: v1alpha1.ControlPlaneSpec{
			ID: "g", Epoch: 3, SupersededBy: 4,
			Endpoint:  v1alpha1.GuestEndpoint{ServerName: "G.Example", PlainPort: 7001},
			Tombstone: &v1alpha1.Tombstone{ID: "g"},
		},
		Status: v1alpha1.ControlPlaneStatus{
			CABundle: "ca",
			Endpoints: []v1alpha1.Endpoint{
				{Zone: "b", Address: "::1", Port: 6443},
				{Zone: "c", Address: "", Port: 6443},
				{Zone: "d", Address: "127.0.0.1", Port: 70000},
				{Zone: "a", Address: "127.0.0.1", Port: 6443},
			},
		},
	}
	want := Placement{
		ID: "g", Cell: "hz-1", Epoch: 3, SupersededBy: 4, Tombstone: true, ServerName: "g.example", PlainPort: 7001, CABundle: "ca",
		Backends: []Backend{{Zone: "a", Address: "127.0.0.1", Port: 6443}, {Zone: "b", Address: "::1", Port: 6443}},
	}
	got := FromControlPlane("hz-1", order)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("impossible endpoints are left out, zones sorted, names lower case: -want, +got:\n%s", diff)
	}
	if got := got.Backends[1].HostPort(); got != "[::1]:6443" {
		t.Errorf("HostPort() = %q", got)
	}
	order.Spec.Tombstone.ID = "other"
	if FromControlPlane("hz-1", order).Tombstone {
		t.Error("a tombstone with another id orders nothing")
	}
}

func TestIndexes(t *testing.T) {
	named := func(id, name string, port int32) Route {
		return Route{ID: id, Epoch: 1, ServerName: name, PlainPort: port}
	}
	table := tableOf(named("b", "one", 7001), named("a", "one", 7001), named("c", "", 0), named("d", "two", 70000))
	if diff := cmp.Diff(map[string]string{"one": "a", "two": "d"}, table.ByServerName()); diff != "" {
		t.Errorf("the smaller id has a name that two claim; no name is no route: -want, +got:\n%s", diff)
	}
	if diff := cmp.Diff(map[uint16]string{7001: "a"}, table.ByPlainPort()); diff != "" {
		t.Errorf("the smaller id has a port that two claim; impossible ports are none: -want, +got:\n%s", diff)
	}
}
