package process

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

func TestNextRoll(t *testing.T) {
	fresh := componentView{wanted: true, alive: true, current: true, ready: true, wasReady: true}
	with := func(c componentView, changes ...func(*componentView)) componentView {
		for _, change := range changes {
			change(&c)
		}
		return c
	}
	var (
		old     = with(fresh, func(c *componentView) { c.current = false })
		unready = func(c *componentView) { c.ready = false }
		drilled = func(c *componentView) { c.drill = v1alpha1.DrillHang }
		member  = func(c *componentView) { c.member = true }
		lost    = func(c *componentView) { c.lost = true }
		ending  = func(c *componentView) { c.stopping, c.killAt = true, later }
		stopped = func(c *componentView) { *c = componentView{name: c.name, after: c.after, member: c.member} }
		crashed = func(c *componentView) {
			*c = componentView{name: c.name, after: c.after, member: c.member, wanted: true}
		}
		ended = func(c *componentView) { crashed(c); c.ordered = true }
		named = func(name string, after ...string) func(*componentView) {
			return func(c *componentView) { c.name, c.after = name, after }
		}
		etcdA, etcdB = named("etcd-a"), named("etcd-b")
		apiA, apiB   = named("api-a", "etcd-a"), named("api-b", "etcd-b")
		kcmA         = named("kcm-a", "api-a")
	)
	// zonal has components etcd-a (0), etcd-b (1), api-a (2), api-b (3) and kcm-a (4).
	zonal := func(a, b, serverA, serverB, manager componentView) []componentView {
		return []componentView{with(a, member, etcdA), with(b, member, etcdB), with(serverA, apiA), with(serverB, apiB), with(manager, kcmA)}
	}
	cases := map[string]struct {
		reason    string
		view      []componentView
		rollUntil time.Time
		end, hold []int
	}{
		"None":      {"nothing to restart", []componentView{fresh, fresh}, later, nil, nil},
		"First":     {"the manifest's order", []componentView{old, old, old}, later, []int{0}, nil},
		"Next":      {"each after the one before is ready again", []componentView{fresh, old, old}, later, []int{1}, nil},
		"Blocked":   {"one at a time", []componentView{with(fresh, unready), old}, later, nil, nil},
		"BlockedBy": {"a dead one is one too few already", []componentView{{wanted: true}, old}, later, nil, nil},
		"Bounded":   {"a broken one does not block for ever", []componentView{with(fresh, unready), old}, noon, []int{1}, nil},
		"Quorum": {
			"a broken member of etcd blocks for ever: with another one less there is no quorum",
			[]componentView{with(fresh, unready, member), with(old, member)},
			noon, nil, nil,
		},
		"QuorumDrill":  {"a member in a drill does, too", []componentView{with(old, drilled, member), with(old, member)}, noon, nil, nil},
		"QuorumEnding": {"and one that ends, whatever its last probe said", []componentView{with(fresh, ending, member), with(old, member)}, noon, nil, nil},
		"QuorumDown":   {"the member that is down anyway may go", []componentView{with(fresh, member), with(old, unready, member)}, noon, []int{1}, nil},
		"DownAnyway":   {"what is down anyway costs no replica", []componentView{old, with(old, unready)}, later, []int{1}, nil},
		"AllDown":      {"and does not wait for others that are", []componentView{with(old, unready), with(old, unready)}, later, []int{0}, nil},
		"Drilled":      {"a zone in a drill neither goes nor blocks", []componentView{with(old, drilled), old}, later, []int{1}, nil},
		"Stopped":      {"what is not wanted neither goes nor blocks", []componentView{{}, old}, later, []int{1}, nil},

		"ZoneDrains":     {"a zone's API server ends before its member does", zonal(old, old, old, old, fresh), later, []int{2}, []int{2}},
		"ZoneDrainsSame": {"even if nothing else is wanted of it", zonal(old, old, fresh, fresh, fresh), later, []int{2}, []int{2}},
		"ZoneWaits":      {"the member waits for the API server to end", zonal(old, old, with(old, ending), old, fresh), later, nil, []int{2}},
		"ZoneMember":     {"and is next; the API server stays down meanwhile", zonal(old, old, with(old, ended), old, fresh), later, []int{0}, []int{2}},
		"ZoneStarts":     {"the next zone waits until the member serves", zonal(with(fresh, unready), old, with(old, ended), old, fresh), later, nil, nil},
		"ZoneServes":     {"and until its API server does", zonal(fresh, old, with(fresh, unready), old, fresh), later, nil, nil},
		"ZoneNext":       {"one zone after the other", zonal(fresh, old, fresh, old, fresh), later, []int{3}, []int{3}},
		"ZoneBroken":     {"a zone that is down anyway goes first", zonal(old, old, old, with(old, crashed), fresh), later, []int{1}, []int{3}},
		"ZoneBrokenBare": {"a member that does not serve goes first", zonal(old, with(old, unready), old, old, fresh), later, []int{3}, []int{3}},
		"ZoneElsewhere":  {"nothing begins while another zone is down", zonal(old, fresh, fresh, with(fresh, crashed), fresh), later, nil, nil},
		"ZoneBegun":      {"what has begun is finished, though", zonal(old, fresh, with(fresh, ended), with(fresh, crashed), fresh), later, []int{0}, []int{2}},
		"ZoneBegunRisk":  {"not at the cost of the quorum: the API server comes back", zonal(old, with(fresh, crashed), with(fresh, ended), fresh, fresh), noon, nil, nil},
		"ManagerRides":   {"a controller manager that needs no restart may lead: it is left alone", zonal(old, fresh, with(old, ended), fresh, fresh), later, []int{0}, []int{2}},
		"ManagerGoes":    {"one that must restart anyway goes with its zone, and first", zonal(old, fresh, old, fresh, old), later, []int{4}, []int{2, 4}},
		"ManagerAlone":   {"or alone, after the zones", zonal(fresh, fresh, fresh, fresh, old), later, []int{4}, nil},
		"ServersOnly":    {"if only API servers change, etcd is left alone", zonal(fresh, fresh, old, old, fresh), later, []int{2}, nil},
		"ServersStopped": {"members of a frozen guest have nothing to drain", zonal(old, old, with(old, stopped), with(old, stopped), with(old, stopped)), later, []int{0}, nil},
		"Single": {
			"a member alone has no twin that could serve meanwhile: the shortest time is best",
			[]componentView{with(old, member, etcdA), with(fresh, apiA)},
			later,
			[]int{0},
			nil,
		},
		"Lost":       {"data that is gone is a reason to restart like another", zonal(with(fresh, lost), fresh, fresh, fresh, fresh), later, []int{2}, []int{2}},
		"LostQuorum": {"but what it still knows may be the last copy", zonal(with(fresh, lost), with(fresh, unready), fresh, fresh, fresh), noon, nil, nil},
		"LostSingle": {"and that of a member alone is", []componentView{with(old, member, lost, etcdA), with(fresh, apiA)}, noon, nil, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var p plan
			r := nextRoll(&guestView{now: noon, components: tc.view, rollUntil: tc.rollUntil}, &p)
			if diff := cmp.Diff([][]int{tc.end, tc.hold}, [][]int{indexes(r.end), indexes(r.hold)}); diff != "" {
				t.Errorf("%s: nextRoll(): end, hold: -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func indexes(flags []bool) []int {
	var set []int
	for i, flag := range flags {
		if flag {
			set = append(set, i)
		}
	}
	return set
}

// TestRollInvariants plays rolls of zonal guests in which components start, end and fail at random.
func TestRollInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSimulation(t)
		for range rapid.IntRange(20, 80).Draw(t, "steps") {
			s.happen(t)
			s.decide(t)
		}
		for range 500 { // nothing fails from here on
			if s.settled() {
				return
			}
			s.progress(len(s.view.components) - 1)
			s.view.now = s.view.now.Add(time.Second)
			s.decide(t)
		}
		t.Fatalf("never settles: %+v", s.view)
	})
}

// simulation of a guest with an etcd, an API server and a controller manager per zone. Members are never
// lost for good.
type simulation struct {
	view  guestView
	zones int
	// rolled are the components that a roll has ended and that are not back yet.
	rolled map[string]bool
}

func newSimulation(t *rapid.T) *simulation {
	s := &simulation{zones: rapid.IntRange(2, 3).Draw(t, "zones"), rolled: map[string]bool{}, view: guestView{now: noon, unpaced: true}}
	for _, kind := range []string{"etcd", "api", "kcm"} {
		for z := range s.zones {
			c := componentView{
				name: fmt.Sprintf("%s-%d", kind, z), member: kind == "etcd",
				wanted: true, alive: true, current: true, ready: true, wasReady: true,
			}
			if needs := map[string]string{"api": "etcd", "kcm": "api"}[kind]; needs != "" {
				c.after = []string{fmt.Sprintf("%s-%d", needs, z)}
			}
			s.view.components = append(s.view.components, c)
		}
	}
	return s
}

// happen does something that no decision asked for.
func (s *simulation) happen(t *rapid.T) {
	i := rapid.IntRange(0, len(s.view.components)-1).Draw(t, "component")
	c := &s.view.components[i]
	switch rapid.SampledFrom([]string{"progress", "progress", "progress", "spec", "crash", "flap", "lose", "drill", "wait"}).Draw(t, "event") {
	case "progress":
		s.progress(i)
	case "spec": // a new manifest: kinds change as a whole
		for j := range s.view.components {
			if other := &s.view.components[j]; other.name[:3] == c.name[:3] && other.alive {
				other.current = false
			}
		}
		s.view.rollUntil = s.view.now.Add(time.Hour)
	case "crash":
		s.die(i, false)
	case "flap":
		c.ready = c.wasReady && !c.ready
	case "lose":
		c.lost = c.alive
	case "drill":
		for j := range s.view.components {
			if other := &s.view.components[j]; zoneOf(other) == zoneOf(c) {
				delete(s.rolled, other.name)
				other.drill = map[v1alpha1.DrillMode]v1alpha1.DrillMode{"": v1alpha1.DrillKill}[other.drill]
			}
		}
	case "wait":
		s.view.now = s.view.now.Add(time.Minute)
	}
}

func zoneOf(c *componentView) string { return c.name[len(c.name)-1:] }

func (s *simulation) die(i int, ordered bool) {
	c := &s.view.components[i]
	*c = componentView{name: c.name, after: c.after, member: c.member, wanted: c.wanted, drill: c.drill, ordered: ordered}
}

// progress lets processes come to where they are going: up to the component given.
func (s *simulation) progress(upTo int) {
	for i := range s.view.components[:upTo+1] {
		c := &s.view.components[i]
		switch {
		case c.stopping || c.killed:
			s.die(i, true)
		case c.alive && !c.frozen:
			c.ready, c.wasReady, c.ordered = true, true, false
			delete(s.rolled, c.name)
		}
	}
}

// decide carries decisions out until there is nothing left to do, and checks each.
func (s *simulation) decide(t *rapid.T) {
	for acted := true; acted; {
		p := decide(&s.view)
		s.check(t, &p)
		acted = false
		for i, step := range p.steps {
			c := &s.view.components[i]
			acted = acted || step.action != leave
			switch step.action {
			case start:
				c.alive, c.current = true, true
			case terminate:
				c.stopping, c.killAt = true, s.view.now.Add(time.Minute)
				s.rolled[c.name] = true
				s.view.rollUntil = s.view.now.Add(time.Hour)
			case kill:
				c.killed = true
			case freeze, thaw, empty, leave:
			}
		}
	}
}

// check looks at what a decision ends, which is all for a roll's sake: nothing here is unwanted.
func (s *simulation) check(t *rapid.T, p *plan) {
	zones := map[string]bool{}
	for i, step := range p.steps {
		c := &s.view.components[i]
		if step.action != terminate {
			continue
		}
		zone := zoneOf(c)
		zones[zone] = true
		for j := range s.view.components {
			other := &s.view.components[j]
			switch {
			case !other.wanted || other.drill != "":
			case c.member && slices.Contains(other.after, c.name) && (other.alive || p.steps[j].action == start):
				t.Fatalf("%s ends while %s runs or starts", c.name, other.name)
			case c.member && other.member && other != c && !other.serves():
				t.Fatalf("%s ends while %s does not serve", c.name, other.name)
			case !c.member && s.works(c) && zoneOf(other) != zone && s.rolled[other.name] && s.view.now.Before(s.view.rollUntil):
				t.Fatalf("%s ends while %s is down for a roll", c.name, other.name)
			}
		}
	}
	if len(zones) > 1 {
		t.Fatalf("zones %v are disturbed at once", zones)
	}
}

// works says that a component serves and that so does what it needs.
func (s *simulation) works(c *componentView) bool {
	return c.serves() && !slices.ContainsFunc(s.view.components, func(needed componentView) bool {
		return slices.Contains(c.after, needed.name) && !s.works(&needed)
	})
}

func (s *simulation) settled() bool {
	for i := range s.view.components {
		c := &s.view.components[i]
		switch {
		case c.drill != "":
			if c.alive {
				return false
			}
		case !c.serves() || !c.current || c.lost:
			if s.drilled() && c.alive && c.ready { // a roll may wait for the end of a drill
				continue
			}
			return false
		}
	}
	return true
}

func (s *simulation) drilled() bool {
	return slices.ContainsFunc(s.view.components, func(c componentView) bool { return c.drill != "" })
}
