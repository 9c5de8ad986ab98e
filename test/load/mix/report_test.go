package mix

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/myriad-fleet/myriad/test/load/mix/plan"
)

func TestQuantiles(t *testing.T) {
	var h histogram
	random := rand.New(rand.NewPCG(1, 2))
	var all []time.Duration
	for range 10000 {
		latency := time.Duration(random.ExpFloat64() * float64(20*time.Millisecond))
		all = append(all, latency)
		h.add(latency)
	}
	slices.Sort(all)
	for _, part := range []float64{0.5, 0.9, 0.99, 1} {
		exact := all[int(part*float64(len(all)))-1]
		if got := h.quantile(part); got < exact || float64(got) > 1.06*float64(exact) {
			t.Errorf("quantile %g is %s, and exactly %s", part, got, exact)
		}
	}
	var none histogram
	none.add(0)
	none.add(time.Hour)
	if got := none.quantile(1); got > time.Hour {
		t.Errorf("an hour is beyond the last bucket, and became %s", got)
	}
	if got := (&histogram{}).quantile(0.5); got != 0 {
		t.Errorf("of nothing the median is %s", got)
	}
}

func TestRecord(t *testing.T) {
	start := time.Unix(100, 0)
	r := newRecorder()
	r.phase("up", start)
	create := request{verb: verbCreate, path: "/api/v1/nodes", expected: []int{404, 409}}
	for _, answered := range []struct {
		reason string
		q      request
		status int
		err    error
	}{
		{"a success", create, 201, nil},
		{"a conflict that is provoked", create, 409, nil},
		{"something that is gone", create, 404, nil},
		{"too much", create, 429, nil},
		{"an error of the server", create, 503, nil},
		{"a conflict that is not provoked", request{verb: verbGet, path: "/x"}, 409, nil},
		{"a broken connection", request{verb: verbGet, path: "/x"}, 0, errors.New("reset")},
	} {
		r.request(answered.q, 10*time.Millisecond, answered.status, answered.err)
	}
	r.object(plan.Nodes, true)
	r.object(plan.Nodes, false)
	r.phase("down", start.Add(2*time.Second))
	r.request(create, 30*time.Millisecond, 201, nil)
	r.skip()
	r.events(3)
	r.phase("", start.Add(4*time.Second))
	want := Report{
		Seconds: 4, Rate: 2, Requests: 8, Throttled: 1, Failed: 3, WatchEvents: 3, Skipped: 1,
		Verbs: map[Verb]VerbStats{
			verbCreate: {Requests: 6, Conflicts: 1, Throttled: 1, Failed: 1, P50: 10.4, P90: 30, P99: 30, Max: 30},
			verbGet:    {Requests: 2, Failed: 2, P50: 10, P90: 10, P99: 10, Max: 10},
		},
		Failures: []string{
			"create /api/v1/nodes: the API server answers 503", "get /x: the API server answers 409", "get /x: reset",
		},
		Made: map[plan.Kind]int{plan.Nodes: 1}, Deleted: map[plan.Kind]int{plan.Nodes: 1},
		Phases: []PhaseReport{{Name: "up", Seconds: 2, Requests: 7, Failed: 3}, {Name: "down", AtSeconds: 2, Seconds: 2, Requests: 1}},
	}
	within := cmp.Comparer(func(a, b float64) bool { return a == b || a > b*0.95 && a < b*1.05 })
	if diff := cmp.Diff(want, r.result(), within); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestPrint(t *testing.T) {
	report := Report{
		Mix: "web", Seed: 7, Seconds: 10, Rate: 12.5, Requests: 125, Failed: 1,
		Verbs:  map[Verb]VerbStats{verbList: {Requests: 5, P50: 1.5, P90: 2, P99: 3, Max: 3.25}},
		Made:   map[plan.Kind]int{plan.Pods: 4},
		Phases: []PhaseReport{{Name: "up", Seconds: 10, Requests: 125}}, Failures: []string{"get /x: reset"},
		CleanupError: "nodes are left",
	}
	var shown strings.Builder
	if err := report.Print(&shown); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		"mix web, seed 7: 125 requests in 10.0 s (12.5/s), 0 throttled, 1 failed", "list", "1.5", "3.2", "pods", "up", "get /x: reset", "nodes are left",
	} {
		if !strings.Contains(shown.String(), part) {
			t.Errorf("%q is not in the report:\n%s", part, shown.String())
		}
	}
}

func TestTargets(t *testing.T) {
	for _, c := range []struct {
		reason, address string
		allowed         bool
	}{
		{"a guest of a local fleet", "127.9.1.2:6443", true},
		{"loopback of IPv6", "[::1]:6443", true},
		{"loopback in the clothes of IPv6", "[::ffff:127.0.0.1]:6443", true},
		{"somebody's cluster", "10.96.0.1:443", false},
		{"the world", "[2001:db8::1]:443", false},
		{"no address", "localhost:443", false},
	} {
		if err := loopback.check(c.address); (err == nil) != c.allowed {
			t.Errorf("%s: %s: %v", c.reason, c.address, err)
		}
	}
}

func TestEmbedded(t *testing.T) {
	names := Names()
	for _, name := range []string{"churn", "climb", "idle", "operators", "storm"} {
		if !slices.Contains(names, name) {
			t.Errorf("the mix %s is missing", name)
		}
	}
	for _, name := range names {
		mix, err := Embedded(name)
		if err != nil || mix.Name != name || mix.Description == "" {
			t.Errorf("mix %s: name %q, description %q: %v", name, mix.Name, mix.Description, err)
		}
	}
	if _, err := Embedded("clim"); err == nil || !strings.Contains(err.Error(), "did you mean climb?") {
		t.Errorf("a mix that does not exist: %v", err)
	}
	climb, err := Embedded("climb")
	if err != nil {
		t.Fatal(err)
	}
	nodes := make([]int, len(climb.Phases))
	for i, phase := range climb.Phases {
		nodes[i] = phase.Target.Nodes
	}
	// Beyond the limits of the gears below, 10, 30 and 60, and below that of the next, 120.
	if diff := cmp.Diff([]int{2, 18, 45, 90, 0}, nodes); diff != "" || climb.Rate() > 60 {
		t.Errorf("climb does not climb as it says, at %g/s:\n%s", climb.Rate(), diff)
	}
}
