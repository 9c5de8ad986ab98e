package roundtrip

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

var (
	start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	zones = []string{"a", "b", "c"}
)

// readings of the three recorded members in a round.
func readings(t *testing.T, suffixes ...string) []Reading {
	t.Helper()
	var all []Reading
	for i, suffix := range suffixes {
		zone := zones[i]
		all = append(all, Reading{Guest: "g", Zone: zone, Page: recorded(t, "etcd-v3.6.16-"+zone+"-"+suffix)})
	}
	return all
}

func TestMeasuresRecordedPages(t *testing.T) {
	var window Window
	window.Take(start, readings(t, "1.prom", "1.prom", "1.prom"))
	if got := Measured(zones, &window, nil); got != nil {
		t.Errorf("the first pages alone say %v", got)
	}
	window.Take(start.Add(9*time.Minute), readings(t, "2.prom.gz", "2.prom", "2.prom"))
	got := Measured(zones, &window, nil)
	if len(got) != 3 {
		t.Fatalf("measured %v", got)
	}
	for i, between := range []string{"a-b", "a-c", "b-c"} {
		trip := got[i]
		if trip.Between != between || trip.Source != EtcdPeers || trip.MedianMicroseconds < 100 || trip.MedianMicroseconds > 20_000 ||
			trip.P99Microseconds < trip.MedianMicroseconds {
			t.Errorf("%s: %+v", between, trip)
		}
	}
	if left := Unmeasured(zones, &window); len(left) != 0 {
		t.Errorf("%v are to be probed all the same", left)
	}
	window.Take(start.Add(20*time.Minute), nil)
	if got := Measured(zones, &window, nil); got != nil || len(window.zones) != 0 {
		t.Errorf("ten minutes after the last page: %v, members %v", got, window.zones)
	}
}

// page of a member that has counted so many samples of about 1.5 ms to a peer, and of 3 ms.
func page(member, peer string, fast, slow float64) Page {
	return Page{Member: member, Peers: map[string]Histogram{
		peer: {{0.001, 0}, {0.002, fast}, {0.004, fast + slow}, {math.Inf(1), fast + slow}},
	}}
}

func TestWindow(t *testing.T) {
	read := func(guest, zone string, page Page) Reading { return Reading{Guest: guest, Zone: zone, Page: page} }
	cases := map[string]struct {
		reason string
		rounds [][]Reading // one a minute
		want   float64     // samples between a and b
	}{
		"BothWays": {"samples of either direction count", [][]Reading{
			{read("g", "a", page("1", "2", 0, 0)), read("g", "b", page("2", "1", 0, 0))},
			{read("g", "a", page("1", "2", 8, 0)), read("g", "b", page("2", "1", 0, 8))},
		}, 16},
		"TwoGuests": {"equal ids in two guests are not the same", [][]Reading{
			{read("g", "a", page("1", "2", 0, 0)), read("g", "b", page("2", "1", 0, 0)), read("h", "b", page("1", "2", 0, 0)), read("h", "a", page("2", "1", 0, 0))},
			{read("g", "a", page("1", "2", 9, 0)), read("h", "b", page("1", "2", 9, 0))},
		}, 18},
		"TooFew":  {"eight at least", [][]Reading{{read("g", "a", page("1", "2", 0, 0)), read("g", "b", page("2", "1", 0, 0))}, {read("g", "a", page("1", "2", 7, 0))}}, 0},
		"History": {"what a member counted before it was first asked is not counted", [][]Reading{{read("g", "a", page("1", "2", 900, 0)), read("g", "b", page("2", "1", 0, 0))}, {read("g", "a", page("1", "2", 910, 0))}}, 10},
		"Restart": {"a member that started anew counts from then on", [][]Reading{
			{read("g", "a", page("1", "2", 50, 0)), read("g", "b", page("2", "1", 0, 0))},
			{read("g", "a", page("1", "2", 90, 0))},
			{read("g", "a", page("1", "2", 5, 0))},
			{read("g", "a", page("1", "2", 15, 0))},
		}, 10},
		"Stranger": {"nobody knows where a peer is whose own page was never read", [][]Reading{{read("g", "a", page("1", "2", 0, 0))}, {read("g", "a", page("1", "2", 50, 0))}}, 0},
		"Silent":   {"a member that fell silent still tells of the last ten minutes", [][]Reading{{read("g", "a", page("1", "2", 0, 0)), read("g", "b", page("2", "1", 0, 0))}, {read("g", "a", page("1", "2", 10, 0))}, {}, {}}, 10},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var window Window
			for i, round := range c.rounds {
				window.Take(start.Add(time.Duration(i)*time.Minute), round)
			}
			if got := window.Between("a", "b").Samples(); got != c.want || window.Between("b", "a").Samples() != got {
				t.Errorf("%s: %v samples, want %v", c.reason, got, c.want)
			}
		})
	}
}

func TestProbes(t *testing.T) {
	probes := Probes{}
	var window Window
	for i := range 100 {
		probes.Take(start, "a", time.Millisecond)
		probes.Take(start, "b", time.Duration(i)*100*time.Microsecond)
	}
	if got := Unmeasured(zones, &window); !cmp.Equal(got, zones) {
		t.Errorf("to be probed: %v", got)
	}
	// Of b the last 60 are kept: 4.0 to 9.9 ms.
	want := []v1alpha1.RoundTrip{{Between: "a-b", Source: Probed, MedianMicroseconds: 1000 + 6900, P99Microseconds: 1000 + 9900}}
	if diff := cmp.Diff(want, Measured(zones, &window, probes)); diff != "" {
		t.Errorf("the way over the agent (-want +got):\n%s", diff)
	}
	probes.Prune(start.Add(Keep + 1))
	if got := Measured(zones, &window, probes); got != nil {
		t.Errorf("ten minutes later: %v", got)
	}
}

func trip(between string, median, p99 int64) v1alpha1.RoundTrip {
	return v1alpha1.RoundTrip{Between: between, MedianMicroseconds: median, P99Microseconds: p99, Source: EtcdPeers}
}

func TestSettle(t *testing.T) {
	probed := trip("a-b", 1000, 2000)
	probed.Source = Probed
	cases := map[string]struct {
		reason                   string
		reported, measured, want []v1alpha1.RoundTrip
	}{
		"First":   {"nothing was reported", nil, []v1alpha1.RoundTrip{trip("a-b", 1000, 2000)}, []v1alpha1.RoundTrip{trip("a-b", 1000, 2000)}},
		"Calm":    {"a quarter is not more than a quarter", []v1alpha1.RoundTrip{trip("a-b", 1000, 2000)}, []v1alpha1.RoundTrip{trip("a-b", 1250, 1500)}, []v1alpha1.RoundTrip{trip("a-b", 1000, 2000)}},
		"Slower":  {"the median moved", []v1alpha1.RoundTrip{trip("a-b", 1000, 2000)}, []v1alpha1.RoundTrip{trip("a-b", 1251, 2000)}, []v1alpha1.RoundTrip{trip("a-b", 1251, 2000)}},
		"Faster":  {"downwards counts, too", []v1alpha1.RoundTrip{trip("a-b", 1000, 2000)}, []v1alpha1.RoundTrip{trip("a-b", 740, 1900)}, []v1alpha1.RoundTrip{trip("a-b", 740, 1900)}},
		"Tail":    {"only the slowest moved", []v1alpha1.RoundTrip{trip("a-b", 1000, 2000)}, []v1alpha1.RoundTrip{trip("a-b", 1000, 4000)}, []v1alpha1.RoundTrip{trip("a-b", 1000, 4000)}},
		"Tiny":    {"etcd's buckets cannot tell 0.1 ms apart", []v1alpha1.RoundTrip{trip("a-b", 100, 200)}, []v1alpha1.RoundTrip{trip("a-b", 190, 290)}, []v1alpha1.RoundTrip{trip("a-b", 100, 200)}},
		"Source":  {"peers know better than probes", []v1alpha1.RoundTrip{probed}, []v1alpha1.RoundTrip{trip("a-b", 1000, 2000)}, []v1alpha1.RoundTrip{trip("a-b", 1000, 2000)}},
		"Unknown": {"what cannot be measured now stays", []v1alpha1.RoundTrip{trip("a-b", 1000, 2000)}, nil, []v1alpha1.RoundTrip{trip("a-b", 1000, 2000)}},
		"Gone":    {"a zone that the Cell no longer has does not", []v1alpha1.RoundTrip{trip("a-z", 1000, 2000)}, nil, nil},
		"Order":   {"in the order of spec.zones", []v1alpha1.RoundTrip{trip("b-c", 1, 1), trip("a-b", 1, 1)}, []v1alpha1.RoundTrip{trip("a-c", 1, 1)}, []v1alpha1.RoundTrip{trip("a-b", 1, 1), trip("a-c", 1, 1), trip("b-c", 1, 1)}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, Settle(zones, c.reported, c.measured)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

// TestSettleIsCalm: what was settled stays when the same is measured again, and never differs from
// what was measured by more than it may.
func TestSettleIsCalm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var reported []v1alpha1.RoundTrip
		for range rapid.IntRange(1, 20).Draw(t, "rounds") {
			measured := []v1alpha1.RoundTrip{trip("a-b", rapid.Int64Range(0, 5000).Draw(t, "median"), rapid.Int64Range(0, 9000).Draw(t, "p99"))}
			settled := Settle(zones, reported, measured)
			if again := Settle(zones, settled, measured); !cmp.Equal(settled, again) {
				t.Fatalf("%v, then %v", settled, again)
			}
			if is, was := measured[0].MedianMicroseconds, settled[0].MedianMicroseconds; is-was > max(was/4, leastMove) || was-is > max(was/4, leastMove) {
				t.Fatalf("measured %d, reported %d", is, was)
			}
			reported = settled
		}
	})
}

func TestChoose(t *testing.T) {
	all := func(ids ...string) []Candidate {
		var list []Candidate
		for _, id := range ids {
			list = append(list, Candidate{ID: id, Zones: zones})
		}
		return list
	}
	cases := map[string]struct {
		reason     string
		candidates []Candidate
		answered   map[string]bool
		want       string
	}{
		"Few":     {"as many as there are", all("a", "b"), nil, "[a b]"},
		"Enough":  {"three for each pair", all("a", "b", "c", "d", "e"), nil, "[a b c]"},
		"Same":    {"those that answered are asked again", all("a", "b", "c", "d", "e"), map[string]bool{"c": true, "d": true, "e": true}, "[c d e]"},
		"Ill":     {"one that did not answer makes room", all("a", "b", "c", "d"), map[string]bool{"a": false, "b": true, "c": true}, "[b c d]"},
		"LastOne": {"and is asked when there is nobody else", all("a", "b"), map[string]bool{"a": false, "b": true}, "[b a]"},
		"Single":  {"one zone has no pair", []Candidate{{ID: "s", Zones: []string{"a"}}}, nil, "[]"},
		"Partial": {"each pair needs its own", append(all("a", "b", "c"), Candidate{ID: "d", Zones: []string{"a", "x"}}), nil, "[a b c d]"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			ids := []string{}
			for _, chosen := range Choose([]string{"a", "b", "c", "x"}, c.candidates, c.answered) {
				ids = append(ids, chosen.ID)
			}
			if got := fmt.Sprint(ids); got != c.want {
				t.Errorf("%s: %s, want %s", c.reason, got, c.want)
			}
		})
	}
}
