package backend

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/internal/gateway/gatewaytest"
	"github.com/myriad-fleet/myriad/internal/gateway/health"
	"github.com/myriad-fleet/myriad/internal/gateway/routing"
)

// connection remembers that it was cut.
type connection struct{ cut atomic.Bool }

func (c *connection) Cut() { c.cut.Store(true) }

// idleProber never has anything to say.
type idleProber struct{ open *atomic.Int32 }

func (p idleProber) Probe(ctx context.Context) health.Outcome {
	<-ctx.Done()
	return health.Broken
}

func (p idleProber) Close() { p.open.Add(-1) }

// newSet whose probes are observed by the test alone; open counts its probers.
func newSet(t *testing.T) (set *Set, open *atomic.Int32) {
	t.Helper()
	open = &atomic.Int32{}
	set = New(Options{
		NewProber: func(routing.Route, routing.Backend) (Prober, error) {
			open.Add(1)
			return idleProber{open: open}, nil
		},
		ProbeInterval: time.Hour,
		Cut:           func(int, CutReason) {},
		Clock:         clock.RealClock{},
		Log:           slog.New(slog.DiscardHandler),
	})
	t.Cleanup(func() {
		set.Close()
		if left := open.Load(); left != 0 {
			t.Errorf("%d probers are left after Close", left)
		}
	})
	return set, open
}

// guestRoute with a back end per zone; the zone is its address.
func guestRoute(id string, epoch int64, zones ...string) routing.Route {
	route := routing.Route{ID: id, Cell: "cell", Epoch: epoch, ServerName: id + ".example", CABundle: "ca"}
	for _, zone := range zones {
		route.Backends = append(route.Backends, routing.Backend{Zone: zone, Address: zone, Port: 6443})
	}
	return route
}

func tableOf(routes ...routing.Route) routing.Table {
	table := routing.Table{Routes: map[string]routing.Route{}}
	for _, route := range routes {
		table.Routes[route.ID] = route
	}
	return table
}

// zone of a guest as the set has it.
func zone(t *testing.T, set *Set, id, name string) *Backend {
	t.Helper()
	for _, candidate := range set.Candidates(id) {
		if candidate.target.Zone == name {
			return candidate
		}
	}
	t.Fatalf("guest %s has no back end in zone %s", id, name)
	return nil
}

func attach(t *testing.T, backend *Backend) *connection {
	t.Helper()
	link := &connection{}
	if !backend.Attach(link) {
		t.Fatalf("back end %s takes no connection", backend.Address())
	}
	return link
}

func observeAll(set *Set, backend *Backend, outcomes ...health.Outcome) {
	for _, outcome := range outcomes {
		set.observe(backend, outcome)
	}
}

func TestCut(t *testing.T) {
	stuck := []health.Outcome{health.TimedOut, health.TimedOut}
	cases := map[string]struct {
		reason string
		a, b   []health.Outcome
		want   bool
	}{
		"Hanging":         {reason: "A hung back end is cut when another is ready.", b: []health.Outcome{health.Answered}, a: stuck, want: true},
		"EtcdLost":        {reason: "So is one without its etcd member.", b: []health.Outcome{health.Answered}, a: []health.Outcome{health.EtcdFailing, health.EtcdFailing}, want: true},
		"OneLostProbe":    {reason: "One lost probe proves nothing.", b: []health.Outcome{health.Answered}, a: []health.Outcome{health.TimedOut}, want: false},
		"NobodyReady":     {reason: "Where there is no better one the connections may yet be answered.", b: []health.Outcome{health.Refused}, a: stuck, want: false},
		"OtherSuspect":    {reason: "One that lost its last probe is not better.", b: []health.Outcome{health.Answered, health.TimedOut}, a: stuck, want: false},
		"Draining":        {reason: "Draining keeps what it has.", b: []health.Outcome{health.Answered}, a: []health.Outcome{health.ShuttingDown, health.ShuttingDown}, want: false},
		"Dead":            {reason: "Connections of a dead one end by themselves.", b: []health.Outcome{health.Answered}, a: []health.Outcome{health.Refused, health.Refused}, want: false},
		"Unready":         {reason: "One that says it is not ready still answers.", b: []health.Outcome{health.Answered}, a: []health.Outcome{health.Unready, health.Unready}, want: false},
		"StillNotReadyB":  {reason: "Unknown is not known to be better.", a: stuck, want: false},
		"HangsThroughout": {reason: "Each further probe decides anew.", b: []health.Outcome{health.Answered}, a: append(stuck, stuck...), want: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			set, _ := newSet(t)
			set.Apply(tableOf(guestRoute("g", 1, "a", "b")))
			a, b := zone(t, set, "g", "a"), zone(t, set, "g", "b")
			toA, toB := attach(t, a), attach(t, b)
			observeAll(set, b, tc.b...)
			observeAll(set, a, tc.a...)
			if toA.cut.Load() != tc.want || toB.cut.Load() {
				t.Errorf("%s\ncut: a %t, want %t; b %t, want false", tc.reason, toA.cut.Load(), tc.want, toB.cut.Load())
			}
		})
	}
}

func TestCandidates(t *testing.T) {
	set, _ := newSet(t)
	set.Apply(tableOf(guestRoute("g", 1, "a", "b", "c")))
	firsts := map[string]int{}
	for range 30 {
		firsts[set.Candidates("g")[0].target.Zone]++
	}
	if diff := cmp.Diff(map[string]int{"a": 10, "b": 10, "c": 10}, firsts); diff != "" {
		t.Errorf("ties take turns: -want, +got:\n%s", diff)
	}
	a, b, c := zone(t, set, "g", "a"), zone(t, set, "g", "b"), zone(t, set, "g", "c")
	order := func() (zones string) {
		for _, candidate := range set.Candidates("g") {
			zones += candidate.target.Zone
		}
		return zones
	}
	attach(t, a)
	attach(t, a)
	extra := attach(t, c)
	if got := order(); got != "bca" {
		t.Errorf("fewest connections first: got %s, want bca", got)
	}
	b.Suspect()
	if got := order(); got != "cab" {
		t.Errorf("a suspect comes after the others: got %s, want cab", got)
	}
	observeAll(set, b, health.Answered)
	observeAll(set, c, health.Refused)
	if got := order(); got != "bac" {
		t.Errorf("ready, then unknown, then dead, which is still tried: got %s, want bac", got)
	}
	observeAll(set, b, health.Unready)
	if got := order(); got != "ac" {
		t.Errorf("one that says it is not ready is not tried: got %s, want ac", got)
	}
	c.Detach(extra)
	if got := set.Candidates("nobody"); got != nil {
		t.Errorf("an unknown guest has candidates: %v", got)
	}
}

func TestApplyLeavesConnectionsAlone(t *testing.T) {
	set, open := newSet(t)
	set.Apply(tableOf(guestRoute("g", 1, "a", "b")))
	a := zone(t, set, "g", "a")
	link := attach(t, a)
	observeAll(set, a, health.Answered)

	set.Apply(tableOf(guestRoute("g", 1, "a", "b"), guestRoute("h", 1, "x")))
	set.Apply(tableOf(guestRoute("g", 1, "a", "c")))
	renewed := guestRoute("g", 1, "a", "c")
	renewed.CABundle = "new ca"
	set.Apply(tableOf(renewed))
	if zone(t, set, "g", "a") != a || a.state.Verdict != health.Ready {
		t.Error("a back end that stays in the route keeps what is known of it")
	}

	set.Apply(tableOf(guestRoute("g", 1, "c")))
	if link.cut.Load() {
		t.Error("a connection was cut though its placement stays")
	}
	if a.Attach(&connection{}) {
		t.Error("a back end that left the route took a new connection")
	}
	want := []Status{
		{Zone: "c", Address: "c:6443", Verdict: health.Unknown},
		{Zone: "a", Address: "a:6443", Verdict: health.Ready, Retired: true, Connections: 1},
	}
	if diff := cmp.Diff(want, set.Status()[0].Backends); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
	a.Detach(link)
	if diff := cmp.Diff(want[:1], set.Status()[0].Backends); diff != "" {
		t.Errorf("a retired back end goes with its last connection: -want, +got:\n%s", diff)
	}
	gatewaytest.Eventually(t, "only the prober of c is left", func() bool { return open.Load() == 1 })
}

func TestRetiredThatHangsIsCut(t *testing.T) {
	set, _ := newSet(t)
	set.Apply(tableOf(guestRoute("g", 1, "a", "b")))
	a := zone(t, set, "g", "a")
	link := attach(t, a)
	set.Apply(tableOf(guestRoute("g", 1, "b")))
	observeAll(set, zone(t, set, "g", "b"), health.Answered)
	observeAll(set, a, health.TimedOut, health.TimedOut)
	if !link.cut.Load() {
		t.Error("a back end that left the route is still watched over while it has connections")
	}
}

func TestHistoryIsCut(t *testing.T) {
	cases := map[string]struct {
		reason string
		next   routing.Table
	}{
		"Moved":      {reason: "The old epoch is frozen.", next: tableOf(guestRoute("g", 2, "a"), guestRoute("h", 1, "x"))},
		"Tombstoned": {reason: "The guest is deleted.", next: tableOf(guestRoute("h", 1, "x"))},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			set, _ := newSet(t)
			set.Apply(tableOf(guestRoute("g", 1, "a", "b"), guestRoute("h", 1, "x")))
			old := zone(t, set, "g", "a")
			link, other := attach(t, old), attach(t, zone(t, set, "h", "x"))
			set.Apply(tc.next)
			if !link.cut.Load() || other.cut.Load() {
				t.Errorf("%s\ncut: %t, want true; connection to another guest cut: %t, want false",
					tc.reason, link.cut.Load(), other.cut.Load())
			}
			if old.Attach(&connection{}) {
				t.Errorf("%s\nThe old placement took a connection that was on its way.", tc.reason)
			}
			_, named := set.ByServerName("g.example")
			if want := name == "Moved"; named != want {
				t.Errorf("%s\nByServerName knows the guest: %t, want %t", tc.reason, named, want)
			}
		})
	}
}
