package roundtrip

import (
	"bytes"
	"compress/gzip"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// The ids of the recorded members.
const memberA, memberB, memberC = "2fa5d041ab60f0b3", "596af7ffad7e5031", "d47c1bd6463d4254"

// recorded page of a member, for example etcd-v3.6.16-a-1.prom.
func recorded(t testing.TB, name string) Page {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	from := io.Reader(bytes.NewReader(raw))
	if strings.HasSuffix(name, ".gz") {
		if from, err = gzip.NewReader(from); err != nil {
			t.Fatal(err)
		}
	}
	page, err := ReadPage(from)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func TestReadRecordedPage(t *testing.T) {
	page := recorded(t, "etcd-v3.6.16-a-2.prom.gz")
	if page.Member != memberA || len(page.Peers) != 2 {
		t.Fatalf("member %s with %d peers", page.Member, len(page.Peers))
	}
	for _, peer := range []string{memberB, memberC} {
		histogram := page.Peers[peer]
		if len(histogram) != 17 || histogram[0].Bound != 0.0001 || histogram[15].Bound != 3.2768 {
			t.Errorf("round trips to %s: %v", peer, histogram)
		}
		if histogram.Samples() < 20 {
			t.Errorf("%v samples to %s", histogram.Samples(), peer)
		}
	}
}

func TestReadPageRefuses(t *testing.T) {
	const id = `etcd_server_id{server_id="1"} 1` + "\n"
	bucket := func(labels, value string) string { return bucketLine + labels + "} " + value + "\n" }
	rising := bucket(`To="2",le="0.1"`, "1") + bucket(`To="2",le="+Inf"`, "2")
	cases := map[string]struct{ reason, page, says string }{
		"Good":      {"as etcd writes it", id + rising, ""},
		"Stamped":   {"a time after the value is allowed", `etcd_server_id{server_id="1"} 1 1700000000` + "\n" + rising, ""},
		"Alone":     {"one member has no peers", id, ""},
		"NoMember":  {"nobody knows whose page it is", rising, "etcd_server_id"},
		"Login":     {"a page of something else", "<html>please log in</html>", "etcd_server_id"},
		"Cut":       {"the page ends early", id + bucket(`To="2",le="0.1"`, "1"), "+Inf"},
		"CutInside": {"and in the midst of a line", id + rising + bucketLine + `To="3",le=`, "closing brace"},
		"Falling":   {"buckets hold those below", id + bucket(`To="2",le="0.1"`, "3") + bucket(`To="2",le="+Inf"`, "2"), "do not rise"},
		"NoNumber":  {"a count is a number", id + bucket(`To="2",le="0.1"`, "many"), "many"},
		"NaN":       {"and one that can be compared", id + bucket(`To="2",le="+Inf"`, "NaN"), "do not rise"},
		"NoBound":   {"a bucket has a bound", id + bucket(`To="2"`, "1"), "To and le"},
		"TooMany":   {"nobody fills the memory", id + strings.Repeat(bucket(`To="2",le="0.1"`, "1"), 200), "more than"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := ReadPage(strings.NewReader(c.page))
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v, want %q", c.reason, err, c.says)
			}
		})
	}
}

func FuzzReadPage(f *testing.F) {
	f.Add([]byte(`etcd_server_id{server_id="1"} 1` + "\n" + bucketLine + `To="2",le="+Inf"} 2`))
	f.Add([]byte(bucketLine))
	f.Fuzz(func(t *testing.T, raw []byte) {
		page, err := ReadPage(bytes.NewReader(raw))
		if err != nil {
			return
		}
		for peer, histogram := range page.Peers {
			if q := histogram.Quantile(median); q < 0 || math.IsNaN(q) || math.IsInf(q, 0) {
				t.Errorf("median to %s is %v", peer, q)
			}
		}
	})
}

func TestQuantile(t *testing.T) {
	// 10 samples up to 1 ms, 10 up to 2 ms, 1 above.
	histogram := Histogram{{0.001, 10}, {0.002, 20}, {math.Inf(1), 21}}
	cases := map[string]struct {
		reason    string
		histogram Histogram
		q, want   float64
	}{
		"None":     {"without samples there is nothing to say", Histogram{{0.001, 0}, {math.Inf(1), 0}}, 0.5, 0},
		"Quarter":  {"halfway through the first bucket", histogram, 5.0 / 21, 0.0005},
		"Edge":     {"the whole first bucket", histogram, 10.0 / 21, 0.001},
		"Inside":   {"halfway through the second", histogram, 15.0 / 21, 0.0015},
		"Beyond":   {"held to be at the last finite bound", histogram, 0.999, 0.002},
		"OneAtAll": {"a single sample in a middle bucket", Histogram{{0.001, 0}, {0.002, 1}, {math.Inf(1), 1}}, 0.5, 0.0015},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := c.histogram.Quantile(c.q); math.Abs(got-c.want) > 1e-9 {
				t.Errorf("%s: %v, want %v", c.reason, got, c.want)
			}
		})
	}
}

func TestSince(t *testing.T) {
	of := func(counts ...float64) Histogram {
		return Histogram{{0.001, counts[0]}, {0.002, counts[1]}, {math.Inf(1), counts[2]}}
	}
	cases := map[string]struct {
		reason      string
		now, before Histogram
		want        Histogram
		ok          bool
	}{
		"Grew":      {"what came since", of(2, 5, 7), of(1, 2, 3), of(1, 3, 4), true},
		"Same":      {"nothing came", of(1, 2, 3), of(1, 2, 3), of(0, 0, 0), true},
		"Restarted": {"counters fell", of(0, 1, 1), of(1, 2, 3), nil, false},
		"Overtaken": {"it restarted, and has more in all by now", of(0, 5, 9), of(1, 2, 3), nil, false},
		"Shifted":   {"no bucket can lose what those above gain", of(1, 5, 5), of(1, 2, 3), nil, false},
		"Upgraded":  {"other buckets", Histogram{{0.001, 9}, {math.Inf(1), 9}}, of(1, 2, 3), nil, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, ok := c.now.Since(c.before)
			if diff := cmp.Diff(c.want, got); diff != "" || ok != c.ok {
				t.Errorf("%s: %t (-want +got):\n%s", c.reason, ok, diff)
			}
		})
	}
}

// TestQuantileInvariants: quantiles rise with their share, lie within the bounds, and adding a
// histogram to itself changes none.
func TestQuantileInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var histogram Histogram
		bound, count := 0.0, 0
		for range rapid.IntRange(1, 8).Draw(t, "buckets") {
			bound += rapid.Float64Range(0.001, 1).Draw(t, "width")
			count += rapid.IntRange(0, 20).Draw(t, "count")
			histogram = append(histogram, Bucket{bound, float64(count)})
		}
		histogram = append(histogram, Bucket{math.Inf(1), float64(count + rapid.IntRange(0, 3).Draw(t, "above"))})
		low, high := histogram.Quantile(median), histogram.Quantile(p99)
		if low < 0 || low > high || high > bound {
			t.Fatalf("median %v, p99 %v of at most %v", low, high, bound)
		}
		if twice := histogram.Plus(histogram).Quantile(median); math.Abs(twice-low) > 1e-9 {
			t.Fatalf("median %v, of twice the samples %v", low, twice)
		}
		if since, ok := histogram.Plus(histogram).Since(histogram); !ok || !cmp.Equal(since, histogram) {
			t.Fatalf("%v less %v is %v", histogram.Plus(histogram), histogram, since)
		}
	})
}
