// Package roundtrip turns what members of guests' etcds and probes have seen into the round-trip times
// between the zones of a cell.
package roundtrip

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// The two families of a page of etcd's metrics that matter here (https://etcd.io/docs/v3.6/metrics/).
// A member asks each peer every 4 s for its health, smooths the time that takes (7/8 of what it was,
// 1/8 of the new one), and observes the smoothed time every 30 s, of both of its connections.
const (
	bucketLine = "etcd_network_peer_round_trip_time_seconds_bucket{"
	memberLine = "etcd_server_id{"
)

// maxBuckets of a histogram; etcd has 17. More are no page of etcd's.
const maxBuckets = 100

// Page is what the metrics of one member say of round trips.
type Page struct {
	// Member is its id, in hexadecimal digits.
	Member string
	// Peers holds its round trips to the other members by their ids.
	Peers map[string]Histogram
}

// ReadPage reads a page of metrics in Prometheus' text format, line by line.
func ReadPage(from io.Reader) (Page, error) {
	page := Page{Peers: map[string]Histogram{}}
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		if err := page.take(lines.Text()); err != nil {
			return Page{}, fmt.Errorf("read etcd's metrics: %w", err)
		}
	}
	if err := lines.Err(); err != nil {
		return Page{}, fmt.Errorf("read etcd's metrics: %w", err)
	}
	if page.Member == "" {
		return Page{}, fmt.Errorf("read etcd's metrics: there is no %s…}: is this a page of etcd v3.6?", memberLine)
	}
	for peer, histogram := range page.Peers {
		if err := histogram.check(); err != nil {
			return Page{}, fmt.Errorf("read etcd's metrics: round trips to %s: %w", peer, err)
		}
	}
	return page, nil
}

// take what a line says.
func (p *Page) take(line string) error {
	if rest, ok := strings.CutPrefix(line, memberLine); ok {
		labels, _, err := parse(rest)
		p.Member = labels["server_id"]
		return err
	}
	rest, ok := strings.CutPrefix(line, bucketLine)
	if !ok {
		return nil
	}
	labels, value, err := parse(rest)
	if err != nil {
		return err
	}
	bound, err := strconv.ParseFloat(labels["le"], 64)
	if err != nil || labels["To"] == "" {
		return fmt.Errorf("%q: want the labels To and le", line)
	}
	histogram := p.Peers[labels["To"]]
	if len(histogram) == maxBuckets {
		return fmt.Errorf("more than %d buckets", maxBuckets)
	}
	p.Peers[labels["To"]] = append(histogram, Bucket{Bound: bound, Count: value})
	return nil
}

// parse what follows the opening brace: labels, whose values have no commas in these families, and
// the value.
func parse(rest string) (labels map[string]string, value float64, err error) {
	inside, after, closed := strings.Cut(rest, "}")
	if !closed {
		return nil, 0, fmt.Errorf("%q: want a closing brace", rest)
	}
	labels = map[string]string{}
	for pair := range strings.SplitSeq(inside, ",") {
		name, quoted, _ := strings.Cut(pair, "=")
		text, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, 0, fmt.Errorf("label %q: %w", pair, err)
		}
		labels[name] = text
	}
	fields := strings.Fields(after)
	if len(fields) == 0 {
		return nil, 0, fmt.Errorf("%q: want a value", rest)
	}
	value, err = strconv.ParseFloat(fields[0], 64)
	if err != nil {
		return nil, 0, fmt.Errorf("value %q: %w", fields[0], err)
	}
	return labels, value, nil
}

// Bucket of a histogram.
type Bucket struct {
	// Bound that its samples do not exceed, in seconds.
	Bound float64
	// Count of the samples in it and in all buckets below.
	Count float64
}

// Histogram of round-trip times by bounds that rise to infinity.
type Histogram []Bucket

func (h Histogram) check() error {
	if len(h) == 0 || !math.IsInf(h[len(h)-1].Bound, 1) {
		return fmt.Errorf("the last bucket is not that of +Inf")
	}
	below := Bucket{}
	for _, bucket := range h {
		if !(bucket.Bound > below.Bound) || !(bucket.Count >= below.Count) || math.IsInf(bucket.Count, 0) {
			return fmt.Errorf("the buckets do not rise")
		}
		below = bucket
	}
	return nil
}

// Samples in all.
func (h Histogram) Samples() float64 {
	if len(h) == 0 {
		return 0
	}
	return h[len(h)-1].Count
}

// Since returns what came after an earlier state of the same histogram. It is false when the earlier
// one cannot have come before: the program that counts has started anew.
func (h Histogram) Since(earlier Histogram) (Histogram, bool) {
	if !h.alike(earlier) {
		return nil, false
	}
	since := make(Histogram, len(h))
	below := 0.0
	for i, bucket := range h {
		since[i] = Bucket{Bound: bucket.Bound, Count: bucket.Count - earlier[i].Count}
		if since[i].Count < below {
			return nil, false
		}
		below = since[i].Count
	}
	return since, true
}

// Plus returns the samples of both. One of other buckets is left out: members of several releases of
// etcd may have different ones.
func (h Histogram) Plus(other Histogram) Histogram {
	if len(h) == 0 {
		return other
	}
	if !h.alike(other) {
		return h
	}
	sum := make(Histogram, len(h))
	for i, bucket := range h {
		sum[i] = Bucket{Bound: bucket.Bound, Count: bucket.Count + other[i].Count}
	}
	return sum
}

func (h Histogram) alike(other Histogram) bool {
	return slices.EqualFunc(h, other, func(a, b Bucket) bool { return a.Bound == b.Bound })
}

// Quantile returns the time in seconds that the share q of the samples did not exceed, as Prometheus'
// histogram_quantile estimates it: within a bucket the samples are held to be spread evenly; those
// above the last finite bound are held to be at it. Without samples it is 0.
func (h Histogram) Quantile(q float64) float64 {
	rank := q * h.Samples()
	below := Bucket{}
	for _, bucket := range h {
		if bucket.Count >= rank && bucket.Count > below.Count {
			if math.IsInf(bucket.Bound, 1) {
				return below.Bound
			}
			return below.Bound + (bucket.Bound-below.Bound)*(rank-below.Count)/(bucket.Count-below.Count)
		}
		below = bucket
	}
	return 0
}
