package simulated

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		reason string
		change func(*Options)
		want   string // of the error; empty for none
	}{
		{"all but zones has a default", func(*Options) {}, ""},
		{"a cell without zones runs nothing", func(o *Options) { o.Capacity = nil }, "names no zone: give each zone"},
		{"a zone is known by its name", func(o *Options) { o.Capacity[0].Name = "" }, "Capacity[0] has no name"},
		{"twice the same zone", func(o *Options) { o.Capacity[0].Name = "b" }, `zone "b" twice`},
		{"less than nothing", func(o *Options) { o.Capacity[0].Memory = resource.MustParse("-1") }, "below 0"},
		{"slots cannot be less than none", func(o *Options) { o.Slots = -1 }, "Slots is -1: say"},
		{"deaths cannot be undone", func(o *Options) { o.DeathsPerYear = -1 }, "DeathsPerYear is -1"},
		{"nothing is no number of deaths", func(o *Options) { o.DeathsPerYear = math.NaN() }, "DeathsPerYear is NaN"},
		{"a start takes some time", func(o *Options) { o.Starts = Starts{controlplane.Etcd: {}} }, "Starts[etcd] has median 0s"},
		{"p99 is no less than the median", func(o *Options) { o.Starts = Starts{"x": {Median: 2, P99: 1}} }, "the p99 no less"},
		{"classes weigh something", func(o *Options) { o.Classes = []Class{{NodesFrom: 1, NodesTo: 1}} }, "no weight in all"},
		{"a class has nodes", func(o *Options) { o.Classes = []Class{{Name: "x", Weight: 1}} }, `class "x" has from 0 to 0 nodes`},
		{"the night has some load", func(o *Options) { o.Classes = []Class{{Name: "x", Weight: 1, NodesFrom: 1, NodesTo: 1, Swing: 1}} }, "less than 1"},
	} {
		options := Options{Cell: "hz-1", Capacity: capacity("1", "1Gi")}
		c.change(&options)
		_, err := New(options)
		if c.want == "" && err == nil {
			continue
		}
		if c.want == "" || err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "hz-1") {
			t.Errorf("%s: got %v, want %q", c.reason, err, c.want)
		}
	}
}

func TestBadManifests(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct {
		reason string
		change func(*controlplane.Manifest)
		want   string
	}{
		{"a guest has an id", func(m *controlplane.Manifest) { m.ID = "" }, "no id"},
		{"names are unique", func(m *controlplane.Manifest) { m.Components[1].Name = "etcd-a" }, "a name of its own"},
		{"a wait that cannot end", func(m *controlplane.Manifest) { m.Components[0].After = []string{"api-a"} }, "must come earlier"},
		{"a set of 64 bits", func(m *controlplane.Manifest) { m.Components = make([]controlplane.Component, 65) }, "at most 64"},
	} {
		m := components()
		c.change(&m)
		if err := b.Apply(context.Background(), m); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.reason, err, c.want)
		}
	}
	if err := b.Hold(context.Background(), []v1alpha1.Drill{{Zone: "a", Mode: "kill"}}); err == nil || !strings.Contains(err.Error(), "use Kill or Hang") {
		t.Errorf("a drill of no known mode: %v", err)
	}
}

// TestStarts: a guest takes the sum of its slowest components' starts, drawn by the seed, and no longer than one
// of a hundred should.
func TestStarts(t *testing.T) {
	var times []float64
	run := func(seed uint64) {
		b := newBench(t, func(o *Options) { o.Seed = seed })
		times = nil
		var ids []string
		for i := range 200 {
			ids = append(ids, fmt.Sprintf("g%d", i))
		}
		if _, ok := b.Started("g0"); ok {
			t.Error("what does not exist has started")
		}
		for _, id := range ids {
			o := order(id)
			o.Availability = v1alpha1.Single
			b.apply(b.render(o))
		}
		if _, ok := b.Started("g0"); ok {
			t.Error("it has started at once")
		}
		b.clock.Step(time.Minute)
		for _, id := range b.IDs() {
			took, ok := b.Started(id)
			if !ok {
				t.Fatalf("%s has not started", id)
			}
			times = append(times, took.Seconds())
		}
	}
	run(1)
	first := times
	run(1)
	if !slices.Equal(first, times) {
		t.Error("the same seed gave other times")
	}
	run(2)
	if slices.Equal(first, times) {
		t.Error("another seed gave the same times")
	}
	slices.Sort(times)
	// 4.4 s by hand; the slower of controller manager and scheduler counts, so that the median is a little more.
	if median := times[100]; median < 4.0 || median > 6.0 || times[199] > 20 {
		t.Errorf("the median of all starts is %.1f s, the longest %.1f s", median, times[199])
	}
}

// TestDeaths come by chance as often as they should, are counted, and do not last.
func TestDeaths(t *testing.T) {
	b := newBench(t, func(o *Options) { o.DeathsPerYear = 50 })
	b.apply(b.render(order("g1")))
	b.clock.Step(year)
	deaths := int32(0)
	for _, c := range b.observe("g1").Components {
		deaths += c.Restarts
		if c.Restarts > 0 && c.LastExit == "" || c.State != runtime.Running {
			t.Errorf("after a year: %+v", c)
		}
	}
	if deaths < 400 || deaths > 600 { // of ten components; the standard deviation is 22
		t.Errorf("%d deaths in a year, want about 500", deaths)
	}
}

// TestCapacity: what does not fit is told as a scheduler does, and is started when there is room.
func TestCapacity(t *testing.T) {
	b := newBench(t, func(o *Options) {
		o.Capacity = capacity("1", "1Ti")
		for i := range o.Capacity {
			o.Capacity[i].Nodes, o.Capacity[i].Pods = new(int64(3)), new(int64(4))
		}
	})
	first, second := order("g1"), order("g2")
	first.Size.APIServer.CPU = resource.MustParse("900m")
	b.apply(b.render(first))
	second.Size.APIServer.CPU = resource.MustParse("900m")
	b.apply(b.render(second))
	b.clock.Step(time.Minute)
	o := b.observe("g2")
	if c, _ := o.Component("kube-apiserver-a"); c.State != runtime.Blocked || c.Message != "0/3 nodes are available: 3 Insufficient cpu, 3 Insufficient pods" {
		t.Errorf("the second guest's API server: %+v", c)
	}
	if _, ok := b.Started("g2"); ok {
		t.Error("the second guest has started")
	}
	got, err := b.Capacity(context.Background())
	if diff := cmp.Diff(b.options.Capacity, got); err != nil || diff != "" {
		t.Errorf("capacity (-want +got): %v\n%s", err, diff)
	}
	if err := b.Delete(context.Background(), "g1"); err != nil {
		t.Fatal(err)
	}
	b.clock.Step(time.Minute)
	if _, ok := b.Started("g2"); !ok {
		t.Errorf("there is room, and the second guest has not started: %+v", b.observe("g2"))
	}
	elsewhere := order("g3")
	elsewhere.Zones = []string{"x", "b", "c"}
	b.apply(b.render(elsewhere))
	if c, _ := b.observe("g3").Component("etcd-x"); c.State != runtime.Blocked || !strings.Contains(c.Message, `no zone "x"`) {
		t.Errorf("in a zone that does not exist: %+v", c)
	}
}

// TestReserve: addresses stay, and no two are the same.
func TestReserve(t *testing.T) {
	b, other := newBench(t), newBench(t, func(o *Options) { o.Cell = "hz-2" })
	seen := map[string]string{}
	for i := range 1000 {
		id := fmt.Sprintf("g%d", i)
		for _, r := range []*bench{b, other} {
			hosts, err := r.Reserve(context.Background(), id, []string{"etcd-a", "kube-apiserver-a"})
			if err != nil {
				t.Fatal(err)
			}
			again, err := r.Reserve(context.Background(), id, []string{"kube-apiserver-a", "etcd-a"})
			if diff := cmp.Diff(hosts, again); err != nil || diff != "" {
				t.Fatalf("asked again: %v\n%s", err, diff)
			}
			for name, host := range hosts {
				if address, err := netip.ParseAddr(host); err != nil || !address.IsPrivate() {
					t.Fatalf("%s of %s has address %q", name, id, host)
				}
				if before := seen[host]; before != "" {
					t.Fatalf("%s is the address of %s and of %s/%s", host, before, id, name)
				}
				seen[host] = id + "/" + name
			}
		}
	}
}

// TestForget: what is lost is not there any more, and begins anew.
func TestForget(t *testing.T) {
	b := newBench(t)
	b.create("g1", "g2")
	b.Forget("g1")
	b.Forget("nobody")
	if o := b.observe("g1"); o.Exists || !slices.Equal(b.IDs(), []string{"g2"}) {
		t.Errorf("after it was lost: %+v, guests %q", o, b.IDs())
	}
	b.create("g1")
	if took, ok := b.Started("g1"); !ok || took <= 0 {
		t.Errorf("it has begun anew and took %s", took)
	}
}

// TestManyAtOnce: all methods may be called at once. The race detector looks on, where it can.
func TestManyAtOnce(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Slots, o.DeathsPerYear = 2, 1e6 })
	b.run()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ids, err := b.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 4 {
		m := b.render(order(fmt.Sprintf("g%d", i)))
		all.Go(func() {
			for range 50 {
				_ = b.Apply(ctx, m)
				_, _ = b.Observe(ctx, m.ID)
				_, _ = b.Page(m.ID, "kube-apiserver-a")
				_, _ = b.Usage(ctx, m.ID, runtime.Observation{})
				_ = b.Discard(ctx, m.ID, "etcd-a")
				_ = b.Hold(ctx, []v1alpha1.Drill{{Zone: "a", Mode: v1alpha1.DrillHang}})
				b.SetPace(float64(i))
				b.clock.Step(time.Second)
				b.Started(m.ID)
				_ = b.Hold(ctx, nil)
				_, _ = b.Watch(ctx)
				_ = b.Delete(ctx, m.ID)
			}
		})
	}
	all.Wait()
	cancel()
	for range ids { // until it is closed
	}
	if left := b.IDs(); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
}
