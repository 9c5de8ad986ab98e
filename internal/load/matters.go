package load

import (
	"math"
	"slices"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// movedShare is the share of a metric's value by which it must have moved to matter at once. A gear is
// entered at 80 % of its capacity and left at 60 % of the next lower one's: a move of a tenth cannot
// cross both.
const movedShare = 0.1

// movedLeast is how far a metric must have moved besides, in its own unit: a tenth of nearly nothing is
// noise. Each is a few thousandths of a core or a few MiB in every model of a control plane's size.
var movedLeast = map[v1alpha1.LoadMetricName]float64{
	v1alpha1.LoadNodes: 1, v1alpha1.LoadPods: 20, v1alpha1.LoadObjects: 200, v1alpha1.LoadCustomResources: 100,
	v1alpha1.LoadWatches: 30, v1alpha1.LoadGetsPerSecond: 5, v1alpha1.LoadListsPerSecond: 3, v1alpha1.LoadWritesPerSecond: 3,
	// Seats are looked at for an instant each time: a handful comes and goes at rest.
	v1alpha1.LoadExecutingSeats: 5, v1alpha1.LoadQueuedSeats: 5, v1alpha1.LoadScheduledPodsPerSecond: 1,
	// etcd's file grows by megabytes between two compactions, which come every 5 minutes.
	v1alpha1.LoadDatabaseBytes: 16 << 20, v1alpha1.LoadDatabaseInUseBytes: 16 << 20,
}

// Matters tells whether a load differs so much from the one before that it may change the guest's gear:
// a metric moved by more than a tenth and more than a little, or other metrics are missing. Nil is no
// load.
func Matters(before, after *v1alpha1.Load) bool {
	if after == nil {
		return false
	}
	if before == nil || !sameNames(before.Missing, after.Missing) {
		return true
	}
	for _, name := range Names() {
		was, known := Value(before, name)
		is, stillKnown := Value(after, name)
		if known != stillKnown {
			return true
		}
		if moved := math.Abs(is - was); moved > movedLeast[name] && moved > movedShare*max(was, is) {
			return true
		}
	}
	return false
}

// Value of a metric; false for one that is missing.
func Value(of *v1alpha1.Load, name v1alpha1.LoadMetricName) (float64, bool) {
	for i := range of.Metrics {
		if of.Metrics[i].Name == name {
			return of.Metrics[i].Value.AsApproximateFloat64(), true
		}
	}
	return 0, false
}

func sameNames(a, b []v1alpha1.LoadMetricName) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// Lost tells whether a load lacks a metric that each of the others has.
func Lost(now *v1alpha1.Load, others ...*v1alpha1.Load) bool {
	return slices.ContainsFunc(now.Missing, func(name v1alpha1.LoadMetricName) bool {
		return !slices.ContainsFunc(others, func(other *v1alpha1.Load) bool { return slices.Contains(other.Missing, name) })
	})
}
