package load_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/load"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func recorded(t testing.TB, name string) io.Reader {
	t.Helper()
	file, err := os.Open("testdata/" + name + ".prom.gz")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	page, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func server(t testing.TB, page io.Reader, at time.Time) *load.APIServer {
	t.Helper()
	read, err := load.ReadAPIServer(page)
	if err != nil {
		t.Fatal(err)
	}
	read.At = at
	return read
}

func member(t testing.TB, page io.Reader) *load.Etcd {
	t.Helper()
	read, err := load.ReadEtcd(page)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// flat is a load as a test compares it: the metrics with their values, and "missing" for the others.
func flat(l *v1alpha1.Load) map[v1alpha1.LoadMetricName]string {
	out := map[v1alpha1.LoadMetricName]string{}
	for i := range l.Metrics {
		out[l.Metrics[i].Name] = l.Metrics[i].Value.String()
	}
	for _, name := range l.Missing {
		out[name] += "missing"
	}
	return out
}

// TestRecorded: two pages of a real guest, and what is known to have happened between them (testdata/README.md).
func TestRecorded(t *testing.T) {
	var history load.History
	first := history.Take(load.Sample{
		At:         noon,
		APIServers: map[string]*load.APIServer{"kube-apiserver-a": server(t, recorded(t, "kube-apiserver-v1.36.3-1"), noon)},
		Members:    map[string]*load.Etcd{"etcd-a": member(t, recorded(t, "etcd-v3.6.16-1"))},
		Usage:      map[string]runtime.Usage{"etcd-a": {CPUSeconds: 3, Memory: 20 << 20, Start: "1", At: noon}},
	})
	want := map[v1alpha1.LoadMetricName]string{
		"nodes": "5", "pods": "20", "objects": "291", "customResources": "30", "watches": "122", "executingSeats": "0", "queuedSeats": "0",
		"getsPerSecond": "missing", "listsPerSecond": "missing", "writesPerSecond": "missing", "scheduledPodsPerSecond": "missing",
		"databaseBytes": "380Ki", "databaseInUseBytes": "380Ki",
	}
	if diff := cmp.Diff(want, flat(&first)); diff != "" {
		t.Errorf("the first sample (-want +got):\n%s", diff)
	}
	if first.Requests != nil || first.Usage[0].CPU != nil || first.Usage[0].Memory.String() != "20Mi" {
		t.Errorf("the first sample has rates: %v, %v", first.Requests, first.Usage)
	}
	later := noon.Add(20 * time.Second)
	second := history.Take(load.Sample{
		At:         later,
		APIServers: map[string]*load.APIServer{"kube-apiserver-a": server(t, recorded(t, "kube-apiserver-v1.36.3-2"), later)},
		Members:    map[string]*load.Etcd{"etcd-a": nil},
		Usage:      map[string]runtime.Usage{"etcd-a": {CPUSeconds: 4, Memory: 20 << 20, Start: "1", At: later}},
	})
	want["watches"], want["databaseBytes"], want["databaseInUseBytes"] = "129", "missing", "missing"
	// 100 GETs of pods, 101 LISTs, 20 pods, 20 bindings, 10 patches and a Lease in 20 s.
	want["getsPerSecond"], want["listsPerSecond"], want["writesPerSecond"], want["scheduledPodsPerSecond"] = "5", "5050m", "2550m", "1"
	if diff := cmp.Diff(want, flat(&second)); diff != "" {
		t.Errorf("the second sample (-want +got):\n%s", diff)
	}
	if got := fmt.Sprint(len(second.Objects), second.Objects[0], second.Requests[0].Verb, second.Usage[0].CPU); got != "10 {clusterroles.rbac.authorization.k8s.io 69}GET50m" {
		t.Errorf("the second sample has %s", got)
	}
}

// text is a page of an API server with what a case sets; an empty one is left out.
func text(requests, objects, watches, executing, queued string) string {
	var out strings.Builder
	for format, value := range map[string]string{
		"apiserver_request_total{verb=\"POST\",group=\"\",resource=\"pods\",subresource=\"\",code=\"201\"} %s\n": requests,
		"apiserver_resource_objects{group=\"\",resource=\"nodes\"} %s\n":                                         objects,
		"apiserver_longrunning_requests{verb=\"WATCH\"} %s\n":                                                    watches,
		"apiserver_flowcontrol_current_executing_seats{flow_schema=\"x\"} %s\n":                                  executing,
		"apiserver_flowcontrol_current_inqueue_requests{flow_schema=\"x\"} %s\n":                                 queued,
	} {
		if value != "" {
			fmt.Fprintf(&out, format, value)
		}
	}
	return out.String()
}

// TestMerge: three API servers of a guest, 10 s after the sample before.
func TestMerge(t *testing.T) {
	usual := text("100", "7", "10", "3", "2")
	grown := text("150", "7", "10", "3", "2")
	for _, c := range []struct {
		reason        string
		before, after []string // pages of the API servers: "dead" for one that cannot be read
		want          map[v1alpha1.LoadMetricName]string
	}{
		{
			reason: "what is counted apart is added up, what is counted of the whole is not; a reader's own seat is none",
			before: []string{usual, usual, usual}, after: []string{grown, grown, grown},
			want: map[v1alpha1.LoadMetricName]string{"nodes": "7", "watches": "30", "executingSeats": "6", "queuedSeats": "6", "writesPerSecond": "15", "scheduledPodsPerSecond": "0"},
		}, {
			reason: "one that runs and cannot be read has the sums missing, and nothing else",
			before: []string{usual, usual, usual}, after: []string{grown, grown, "dead"},
			want: map[v1alpha1.LoadMetricName]string{"nodes": "7", "watches": "missing", "executingSeats": "missing", "queuedSeats": "missing", "writesPerSecond": "missing", "scheduledPodsPerSecond": "missing"},
		}, {
			reason: "one that does not run carries nothing",
			before: []string{usual, usual, usual}, after: []string{grown, grown},
			want: map[v1alpha1.LoadMetricName]string{"watches": "20", "writesPerSecond": "10"},
		}, {
			reason: "one that was not read before has no rates yet",
			before: []string{usual, usual, "dead"}, after: []string{grown, grown, grown},
			want: map[v1alpha1.LoadMetricName]string{"watches": "30", "writesPerSecond": "missing", "scheduledPodsPerSecond": "missing"},
		}, {
			reason: "a process that has started anew counts from zero",
			before: []string{text("100", "7", "10", "3", "2")}, after: []string{text("40", "7", "10", "3", "2")},
			want: map[v1alpha1.LoadMetricName]string{"writesPerSecond": "4"},
		}, {
			reason: "objects that failed to be counted are not known; another API server may know",
			before: []string{usual, usual}, after: []string{text("150", "-1", "10", "3", "2"), grown},
			want: map[v1alpha1.LoadMetricName]string{"nodes": "7", "objects": "7"},
		}, {
			reason: "and if none does, it is missing",
			before: []string{usual}, after: []string{text("150", "-1", "10", "3", "2")},
			want: map[v1alpha1.LoadMetricName]string{"nodes": "missing", "objects": "missing", "customResources": "0"},
		}, {
			reason: "no values at all can be no load",
			before: []string{usual}, after: []string{text("NaN", "+Inf", "-5", "1e300", "NaN")},
			want: map[v1alpha1.LoadMetricName]string{"nodes": "missing", "watches": "missing", "executingSeats": "missing", "queuedSeats": "missing", "writesPerSecond": "missing"},
		}, {
			reason: "families that a page lacks are missing; a queue that never was is empty where seats are known",
			before: []string{usual}, after: []string{text("", "", "", "1", "")},
			want: map[v1alpha1.LoadMetricName]string{"nodes": "missing", "pods": "missing", "objects": "missing", "customResources": "missing", "watches": "missing", "executingSeats": "0", "queuedSeats": "0", "writesPerSecond": "missing"},
		}, {
			reason: "without API servers nothing is known",
			want:   map[v1alpha1.LoadMetricName]string{"nodes": "missing", "watches": "missing", "executingSeats": "missing", "writesPerSecond": "missing", "databaseBytes": "missing"},
		},
	} {
		var history load.History
		sample := func(pages []string, at time.Time) v1alpha1.Load {
			s := load.Sample{At: at, APIServers: map[string]*load.APIServer{}}
			for i, page := range pages {
				s.APIServers[fmt.Sprint("kube-apiserver-", i)] = nil
				if page != "dead" {
					s.APIServers[fmt.Sprint("kube-apiserver-", i)] = server(t, strings.NewReader(page), at)
				}
			}
			return history.Take(s)
		}
		sample(c.before, noon)
		after := sample(c.after, noon.Add(10*time.Second))
		got := flat(&after)
		for name, want := range c.want {
			if got[name] != want {
				t.Errorf("%s: %s is %s, want %s", c.reason, name, got[name], want)
			}
		}
	}
}

// TestTimes: a rate is a mean over the time between two readings, whatever the clock does.
func TestTimes(t *testing.T) {
	for after, want := range map[time.Duration]string{
		10 * time.Second: "5", 100 * time.Second: "500m", 0: "missing", -time.Minute: "missing", time.Hour: "missing",
	} {
		var history load.History
		var last v1alpha1.Load
		for i, count := range []string{"100", "150"} {
			at := noon.Add(time.Duration(i) * after)
			last = history.Take(load.Sample{At: at, APIServers: map[string]*load.APIServer{"a": server(t, strings.NewReader(text(count, "7", "1", "1", "1")), at)}})
		}
		if got := flat(&last)["writesPerSecond"]; got != want {
			t.Errorf("after %s: %s, want %s", after, got, want)
		}
	}
}

func TestCounted(t *testing.T) {
	read := server(t, strings.NewReader(`apiserver_request_total{verb="GET",resource="",subresource="/readyz",code="200"} 1000
apiserver_request_total{verb="GET",resource="pods",code="404"} 1
apiserver_request_total{verb="POST",group="authorization.k8s.io",resource="subjectaccessreviews",code="201"} 500
apiserver_request_total{verb="POST",group="",resource="pods",subresource="binding",code="201"} 3
apiserver_request_total{verb="POST",group="",resource="pods",subresource="binding",code="409"} 4
apiserver_request_total{verb="WATCH",group="",resource="pods",code="200"} 9
`), noon).Counters
	want := load.Counters{
		Known: true, Verbs: map[string]float64{"GET": 1001, "POST": 507, "WATCH": 9}, Gets: 1, Writes: 7, Bindings: 3,
	}
	if diff := cmp.Diff(want, read); diff != "" {
		t.Errorf("probes concern no object, reviews change nothing, refused bindings bind nothing (-want +got):\n%s", diff)
	}
}

func TestGroups(t *testing.T) {
	read := server(t, strings.NewReader(`apiserver_resource_objects{group="",resource="pods"} 1
apiserver_resource_objects{group="apps",resource="deployments"} 2
apiserver_resource_objects{group="rbac.authorization.k8s.io",resource="roles"} 4
apiserver_resource_objects{group="cluster.x-k8s.io",resource="machines"} 8
apiserver_resource_objects{group="example.com",resource="widgets"} 16
`), noon)
	var history load.History
	got := history.Take(load.Sample{At: noon, APIServers: map[string]*load.APIServer{"a": read}})
	if f := flat(&got); f["customResources"] != "24" || f["objects"] != "31" || f["nodes"] != "missing" {
		t.Errorf("custom resources, all, nodes: %s, %s, %s", f["customResources"], f["objects"], f["nodes"])
	}
	if got.Objects[0] != (v1alpha1.ResourceObjects{Resource: "widgets.example.com", Count: 16}) || got.Objects[4].Resource != "pods" {
		t.Errorf("the resources that have the most: %v", got.Objects)
	}
}

// TestAlwaysWhole: whatever a page says, every metric is known or missing, and none is negative.
func TestAlwaysWhole(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		value := rapid.OneOf(rapid.SampledFrom([]string{"", "NaN", "-1", "+Inf", "-Inf", "1e300", "0", "9e14"}), rapid.StringMatching(`[0-9]{1,6}(\.[0-9])?`))
		var history load.History
		at := noon
		for range 3 {
			s := load.Sample{At: at, APIServers: map[string]*load.APIServer{}}
			for name := range rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c"}), rapid.Bool(), 0, 3).Draw(r, "servers") {
				draw := func(what string) string { return value.Draw(r, what) }
				s.APIServers[name] = server(t, strings.NewReader(text(draw("requests"), draw("objects"), draw("watches"), draw("executing"), draw("queued"))), at)
			}
			got := history.Take(s)
			if len(got.Metrics)+len(got.Missing) != len(load.Names()) || len(flat(&got)) != len(load.Names()) {
				r.Fatalf("of %d metrics %d are known and %d missing", len(load.Names()), len(got.Metrics), len(got.Missing))
			}
			for i := range got.Metrics {
				if got.Metrics[i].Value.Sign() < 0 {
					r.Fatalf("%s is %s", got.Metrics[i].Name, got.Metrics[i].Value.String())
				}
			}
			at = at.Add(time.Duration(rapid.IntRange(-100, 200).Draw(r, "seconds")) * time.Second)
		}
	})
}

// TestPagesAtTheirLimits: a page that no kube-apiserver writes is refused instead of held.
func TestPagesAtTheirLimits(t *testing.T) {
	var resources, verbs strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&resources, "apiserver_resource_objects{resource=\"r%d\"} 1\n", i)
		fmt.Fprintf(&verbs, "apiserver_request_total{verb=\"V%d\"} 1\n", i)
	}
	for want, page := range map[string]string{"more than 10000": resources.String(), "more than 20 verbs": verbs.String()} {
		if _, err := load.ReadAPIServer(strings.NewReader(page)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func BenchmarkReadAPIServer(b *testing.B) {
	page, err := io.ReadAll(recorded(b, "kube-apiserver-v1.36.3-2"))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(page)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := load.ReadAPIServer(strings.NewReader(string(page))); err != nil {
			b.Fatal(err)
		}
	}
}
