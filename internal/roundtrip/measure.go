package roundtrip

import (
	"math"
	"slices"
	"time"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// The sources of a v1alpha1.RoundTrip.
const (
	EtcdPeers = "EtcdPeers"
	Probed    = "Probe"
)

const (
	median, p99 = 0.5, 0.99
	// mostProbes of a zone are kept.
	mostProbes = 60
	// leastMove in microseconds: etcd's finest bucket (0.1 ms) cannot tell less apart.
	leastMove = 100
)

// Pair of two zones, in the order of the Cell's spec.zones.
type Pair struct{ A, B string }

// Pairs of zones.
func Pairs(zones []string) []Pair {
	var pairs []Pair
	for i, a := range zones {
		for _, b := range zones[i+1:] {
			pairs = append(pairs, Pair{a, b})
		}
	}
	return pairs
}

// String is how RoundTrip.between names the pair.
func (p Pair) String() string { return p.A + "-" + p.B }

// Probes holds how long the agent's last connections to each zone took to open.
type Probes map[string][]probe

type probe struct {
	at   time.Time
	took time.Duration
}

// Take adds a connection to a zone that took so long to open.
func (p Probes) Take(now time.Time, zone string, took time.Duration) {
	p[zone] = append(p[zone], probe{at: now, took: took})
	p[zone] = p[zone][max(0, len(p[zone])-mostProbes):]
}

// Prune drops what is older than Keep.
func (p Probes) Prune(now time.Time) {
	for zone, series := range p {
		p[zone] = slices.DeleteFunc(series, func(s probe) bool { return now.Sub(s.at) > Keep })
	}
}

// quantile of the connections to a zone; false when there are too few of them.
func (p Probes) quantile(zone string, q float64) (time.Duration, bool) {
	series := p[zone]
	if len(series) < enough {
		return 0, false
	}
	took := make([]time.Duration, len(series))
	for i, probe := range series {
		took[i] = probe.took
	}
	slices.Sort(took)
	return took[int(math.Ceil(q*float64(len(took))))-1], true
}

// Measured are the round trips between the zones, in the order of Pairs: those of etcd's peers where
// there are any, otherwise those by way of the agent. A pair that nothing is known of is left out.
func Measured(zones []string, window *Window, probes Probes) []v1alpha1.RoundTrip {
	var all []v1alpha1.RoundTrip
	for _, pair := range Pairs(zones) {
		if histogram := window.Between(pair.A, pair.B); histogram != nil {
			all = append(all, v1alpha1.RoundTrip{
				Between: pair.String(), Source: EtcdPeers,
				MedianMicroseconds: microseconds(histogram.Quantile(median)), P99Microseconds: microseconds(histogram.Quantile(p99)),
			})
			continue
		}
		if trip, ok := probes.between(pair); ok {
			all = append(all, trip)
		}
	}
	return all
}

// between two zones by way of the agent: the sum of the ways there. The straight way takes no longer
// than that where the network's routes are straight.
func (p Probes) between(pair Pair) (v1alpha1.RoundTrip, bool) {
	trip := v1alpha1.RoundTrip{Between: pair.String(), Source: Probed}
	for _, zone := range []string{pair.A, pair.B} {
		middle, ok := p.quantile(zone, median)
		if !ok {
			return v1alpha1.RoundTrip{}, false
		}
		most, _ := p.quantile(zone, p99)
		trip.MedianMicroseconds += microseconds(middle.Seconds())
		trip.P99Microseconds += microseconds(most.Seconds())
	}
	return trip, true
}

func microseconds(seconds float64) int64 { return int64(math.Ceil(seconds * 1e6)) }

// Unmeasured returns the zones of pairs that no members of an etcd tell of: those to be probed.
func Unmeasured(zones []string, window *Window) []string {
	return slices.DeleteFunc(slices.Clone(zones), func(zone string) bool {
		return !slices.ContainsFunc(Pairs(zones), func(p Pair) bool {
			return (p.A == zone || p.B == zone) && window.Between(p.A, p.B) == nil
		})
	})
}

// Settle is what to report: of each pair of the zones what was measured if it moved by more than a
// quarter of what was reported or comes from another source, otherwise what was reported.
func Settle(zones []string, reported, measured []v1alpha1.RoundTrip) []v1alpha1.RoundTrip {
	var settled []v1alpha1.RoundTrip
	for _, pair := range Pairs(zones) {
		was, wasKnown := find(reported, pair)
		is, isKnown := find(measured, pair)
		switch {
		case isKnown && (!wasKnown || moved(was, is)):
			settled = append(settled, is)
		case wasKnown:
			settled = append(settled, was)
		}
	}
	return settled
}

func find(trips []v1alpha1.RoundTrip, pair Pair) (v1alpha1.RoundTrip, bool) {
	i := slices.IndexFunc(trips, func(t v1alpha1.RoundTrip) bool { return t.Between == pair.String() })
	if i < 0 {
		return v1alpha1.RoundTrip{}, false
	}
	return trips[i], true
}

func moved(was, is v1alpha1.RoundTrip) bool {
	return was.Source != is.Source || apart(was.MedianMicroseconds, is.MedianMicroseconds) || apart(was.P99Microseconds, is.P99Microseconds)
}

func apart(was, is int64) bool {
	move := max(was-is, is-was)
	return move > leastMove && move*4 > was
}
