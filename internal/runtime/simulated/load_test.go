package simulated

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/gear"
	"github.com/myriad-fleet/myriad/internal/load"
)

// sample all of a guest as the agent does.
func (b *bench) sample(id string) load.Sample {
	b.t.Helper()
	s := load.Sample{At: b.clock.Now(), APIServers: map[string]*load.APIServer{}, Members: map[string]*load.Etcd{}}
	seen := b.observe(id)
	for _, c := range seen.Components {
		kind := c.Name[:strings.LastIndexByte(c.Name, '-')]
		if c.State != "Running" || kind != string(controlplane.APIServer) && kind != string(controlplane.Etcd) {
			continue
		}
		page, err := b.Page(id, c.Name)
		if err != nil {
			b.t.Fatal(err)
		}
		if len(page) > 1500 {
			b.t.Errorf("the page of %s has %d bytes", c.Name, len(page))
		}
		if kind == string(controlplane.Etcd) {
			s.Members[c.Name], err = load.ReadEtcd(bytes.NewReader(page))
		} else if s.APIServers[c.Name], err = load.ReadAPIServer(bytes.NewReader(page)); err == nil {
			s.APIServers[c.Name].At = b.clock.Now()
		}
		if err != nil {
			b.t.Fatalf("%s: %v\n%s", c.Name, err, page)
		}
	}
	usage, err := b.Usage(context.Background(), id, seen)
	if err != nil {
		b.t.Fatal(err)
	}
	s.Usage = usage
	return s
}

// values of a load by metric.
func valuesOf(l *v1alpha1.Load) map[v1alpha1.LoadMetricName]float64 {
	all := map[v1alpha1.LoadMetricName]float64{}
	for _, name := range load.Names() {
		if value, known := load.Value(l, name); known {
			all[name] = value
		}
	}
	return all
}

// sampled twice, 30 s apart, so that there are rates.
func (b *bench) sampled(id string) v1alpha1.Load {
	b.t.Helper()
	var h load.History
	h.Take(b.sample(id))
	b.clock.Step(30 * time.Second)
	return h.Take(b.sample(id))
}

// TestPages: the agent's own reader finds every metric, and what it finds is what the guest's character says, whichever
// API servers run.
func TestPages(t *testing.T) {
	b := newBench(t)
	b.SetPace(0)
	b.create("g1")
	l := b.sampled("g1")
	if len(l.Missing) > 0 || len(l.Usage) != 10 || len(l.Requests) < 5 {
		t.Errorf("missing are %q; usage of %d components, %d verbs", l.Missing, len(l.Usage), len(l.Requests))
	}
	c := characterOf(b.guests["g1"].seed, b.options.Classes)
	g, rates, active := c.gauges(0), c.rates(), c.activity(0)
	want := map[v1alpha1.LoadMetricName]float64{
		v1alpha1.LoadNodes: g.nodes, v1alpha1.LoadPods: g.pods, v1alpha1.LoadCustomResources: g.custom, v1alpha1.LoadWatches: g.watches,
		v1alpha1.LoadObjects:       g.nodes + g.pods + g.custom + g.leases + g.others,
		v1alpha1.LoadGetsPerSecond: rates.gets.at(active), v1alpha1.LoadListsPerSecond: rates.lists.at(active),
		v1alpha1.LoadWritesPerSecond: rates.writes.at(active) + rates.leases.at(active) + rates.bindings.at(active),
		v1alpha1.LoadExecutingSeats:  g.seats, v1alpha1.LoadQueuedSeats: 0, v1alpha1.LoadScheduledPodsPerSecond: rates.bindings.at(active),
		v1alpha1.LoadDatabaseBytes: math.Floor(g.database), v1alpha1.LoadDatabaseInUseBytes: math.Floor(g.inUse),
	}
	near := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) <= 0.25 }) // counters are whole, over 30 s, of three
	if diff := cmp.Diff(want, valuesOf(&l), near); diff != "" {
		t.Errorf("the load (-want +got):\n%s", diff)
	}
	before := valuesOf(&l)
	if err := b.Hold(context.Background(), []v1alpha1.Drill{{Zone: "b", Mode: v1alpha1.DrillKill}}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Page("g1", "kube-apiserver-b"); err == nil || !strings.Contains(err.Error(), "Held") {
		t.Errorf("the page of what is held: %v", err)
	}
	l = b.sampled("g1")
	if diff := cmp.Diff(before, valuesOf(&l), near); diff != "" || len(l.Missing) > 0 {
		t.Errorf("two API servers carry otherwise than three (-three +two), missing %q:\n%s", l.Missing, diff)
	}
	for _, name := range []string{"kube-scheduler-a", "nothing"} {
		if _, err := b.Page("g1", name); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("the page of %s: %v", name, err)
		}
	}
}

// TestPace: without pace gauges stay and rates are constant; with pace the load follows the day, and a day later is as
// large but for its growth. The order changes nothing.
func TestPace(t *testing.T) {
	b := newBench(t, func(o *Options) {
		o.Classes = []Class{{Name: "one", Weight: 1, NodesFrom: 100, NodesTo: 100, PodsPerNode: 30, CustomPerNode: 10, Swing: 0.5}}
	})
	b.create("g1")
	b.SetPace(0)
	level := b.sampled("g1")
	b.clock.Step(100 * 24 * time.Hour)
	later := b.sampled("g1")
	near := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) <= 0.25 })
	if diff := cmp.Diff(valuesOf(&level), valuesOf(&later), near); diff != "" {
		t.Errorf("the load has drifted without pace:\n%s", diff)
	}
	b.SetPace(3600) // a day in 24 s
	lowest, highest := math.Inf(1), 0.0
	for range 24 {
		b.clock.Step(time.Second)
		b.SetPace(0) // hold still for a sample
		l := b.sampled("g1")
		b.SetPace(3600)
		gets := valuesOf(&l)[v1alpha1.LoadGetsPerSecond]
		lowest, highest = min(lowest, gets), max(highest, gets)
	}
	if swing := (highest - lowest) / (highest + lowest); swing < 0.2 || swing > 0.5 {
		t.Errorf("rates swing from %.1f to %.1f within a day", lowest, highest)
	}
	b.SetPace(0)
	day := b.sampled("g1")
	if diff := cmp.Diff(valuesOf(&level), valuesOf(&day), near); diff != "" {
		t.Errorf("a day later, without growth:\n%s", diff)
	}
	bigger := order("g1")
	bigger.Size = gear.Size(gear.Default().Ladder[5])
	b.apply(b.render(bigger))
	b.clock.Step(5 * time.Minute)
	ordered := b.sampled("g1")
	if diff := cmp.Diff(valuesOf(&day), valuesOf(&ordered), near); diff != "" {
		t.Errorf("the load follows the order:\n%s", diff)
	}
}

// TestCountersGrow: whatever the pace was, counters of all API servers together are the integral of the guest's rates, and none falls
// but with its process.
func TestCountersGrow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := characterOf(rapid.Uint64().Draw(t, "seed"), DefaultClasses())
		tempo, now, want := newTempo(), instant(0), 0.0
		for range rapid.IntRange(1, 5).Draw(t, "spans") {
			pace := rapid.SampledFrom([]float64{0, 1e-3, 1, 60, 3600, -1, math.NaN()}).Draw(t, "pace")
			tempo.set(pace, now)
			length := instant(rapid.Int64Range(0, int64(10*time.Hour)).Draw(t, "length"))
			const steps = 20000
			for i := range steps { // by the midpoint rule
				at := tempo.loadAt(now + length/steps*instant(i) + length/steps/2)
				want += c.activity(at) * seconds(length) / steps
			}
			now += length
		}
		got := tempo.over(&c, 0, now)
		// 20,000 steps of a span of 10 hours are of 2 hours of the load each at most.
		if math.Abs(got.activity-want) > 0.02*want+1e-6 || math.Abs(got.seconds-seconds(now)) > 1e-6 {
			t.Fatalf("%s: the integral is %+v, want %g", time.Duration(now), got, want)
		}
		split := instant(rapid.Int64Range(0, int64(now)).Draw(t, "split"))
		if parts := tempo.over(&c, 0, split).plus(tempo.over(&c, split, now)); math.Abs(parts.activity-got.activity) > 1e-6*got.activity+1e-3 {
			t.Fatalf("in two parts %+v, in one %+v", parts, got)
		}
	})
}

// TestCountersOfProcesses: a counter begins with its process, and never falls while it goes on.
func TestCountersOfProcesses(t *testing.T) {
	b := newBench(t)
	b.create("g1")
	gets := func(name string) float64 {
		page, err := b.Page("g1", name)
		if err != nil {
			t.Fatal(err)
		}
		read, err := load.ReadAPIServer(bytes.NewReader(page))
		if err != nil {
			t.Fatal(err)
		}
		return read.Counters.Gets
	}
	b.clock.Step(time.Hour)
	old, other := gets("kube-apiserver-a"), gets("kube-apiserver-b")
	if old < 1000 || math.Abs(old-other) > old/10 {
		t.Errorf("after an hour %g and %g requests were counted", old, other)
	}
	if err := b.Discard(context.Background(), "g1", "kube-apiserver-a"); err != nil {
		t.Fatal(err)
	}
	b.clock.Step(time.Minute)
	if anew := gets("kube-apiserver-a"); anew <= 0 || anew > old/10 {
		t.Errorf("the new process counts from %g", anew)
	}
	if still := gets("kube-apiserver-b"); still <= other {
		t.Errorf("the other fell from %g to %g", other, still)
	}
}

// TestCharacters: guests differ, in the shares of the classes, and their demand is of the size of their gears.
func TestCharacters(t *testing.T) {
	classes := DefaultClasses()
	counts := map[string]int{}
	const guests = 10000
	for i := range guests {
		c := characterOf(chance(7, word(fmt.Sprint(i))), classes)
		counts[c.class.Name]++
		if c.nodes < c.class.NodesFrom || c.nodes > c.class.NodesTo || c.swing > c.class.Swing || c.growth < 0 {
			t.Fatalf("guest %d of class %s is %+v", i, c.class.Name, c)
		}
		if g := c.gauges(40 * secondsOfDay); g.nodes < 3 || g.pods < 1 || g.database < g.inUse || g.watches < 100 {
			t.Fatalf("guest %d carries %+v", i, g)
		}
	}
	for _, class := range classes {
		if want := class.Weight / 100 * guests; math.Abs(float64(counts[class.Name])-want) > 5*math.Sqrt(want) {
			t.Errorf("%d guests are %s, want about %.0f", counts[class.Name], class.Name, want)
		}
	}
}

// TestUsage: an idle guest uses what was measured, components that do not run use nothing, and the default
// Gearbox' demand is of the order of what is used.
func TestUsage(t *testing.T) {
	b := newBench(t, func(o *Options) {
		o.Classes = []Class{{Name: "idle", Weight: 1, NodesFrom: 1e-6, NodesTo: 1e-6}}
	})
	b.create("g1")
	l := b.sampled("g1")
	cpu, mib := 0.0, 0.0
	for _, u := range l.Usage {
		cpu += u.CPU.AsApproximateFloat64()
		mib += u.Memory.AsApproximateFloat64() / (1 << 20)
	}
	// Three members and API servers, two of the others; objects of an idle guest count, too.
	if cpu < 0.08 || cpu > 0.1 || mib < 800 || mib > 900 {
		t.Errorf("an idle Zonal guest uses %.3f cores and %.0f MiB", cpu, mib)
	}
	if err := b.Hold(context.Background(), []v1alpha1.Drill{{Zone: "c", Mode: v1alpha1.DrillKill}}); err != nil {
		t.Fatal(err)
	}
	usage, err := b.Usage(context.Background(), "g1", b.observe("g1"))
	if err != nil || len(usage) != 8 {
		t.Errorf("with a zone killed %d components use something, %v", len(usage), err)
	}
	for name, u := range usage {
		if !u.At.Equal(b.clock.Now()) || u.Start == "" {
			t.Errorf("%s: %+v", name, u)
		}
	}
	if usage, err := b.Usage(context.Background(), "nobody", b.observe("nobody")); err != nil || len(usage) > 0 {
		t.Errorf("what does not exist uses %v, %v", usage, err)
	}
}
