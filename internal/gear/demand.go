package gear

import (
	"math"
	"slices"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// Amount of CPU and memory.
type Amount struct {
	// MilliCPU in thousandths of a core.
	MilliCPU int64
	// Memory in bytes.
	Memory int64
}

// Add returns the sum; what does not fit into 64 bits is the largest that does.
func (a Amount) Add(other Amount) Amount {
	return Amount{MilliCPU: addCapped(a.MilliCPU, other.MilliCPU), Memory: addCapped(a.Memory, other.Memory)}
}

// Term is what one metric adds to a demand.
type Term struct {
	// Metric that was multiplied.
	Metric v1alpha1.LoadMetricName
	// Value of the metric in the whole guest, and the part of it that one zone must carry.
	Value, Share float64
	// Amount that it takes.
	Amount Amount
}

// Demand of a guest in one zone.
type Demand struct {
	// Base of the Gearbox.
	Base Amount
	// Terms of the factors, in the order of the Gearbox.
	Terms []Term
	// Total of all.
	Total Amount
	// Missing metrics that have a factor: with any the demand is a lower bound.
	Missing []v1alpha1.LoadMetricName
}

// shared metrics are those that the API servers of a Zonal guest divide among themselves. Everything
// else is kept whole by every API server, or, as the scheduler's rate, carried whole by the zone that leads.
var shared = []v1alpha1.LoadMetricName{
	v1alpha1.LoadWatches,
	v1alpha1.LoadGetsPerSecond,
	v1alpha1.LoadListsPerSecond,
	v1alpha1.LoadWritesPerSecond,
	v1alpha1.LoadExecutingSeats,
	v1alpha1.LoadQueuedSeats,
}

// DemandOf a load. A zone of a Zonal guest carries all of what every API server keeps (nodes, pods,
// objects, databases) and half of what they share (requests, watches, seats): that is its part while
// another zone is dead. A value below zero counts as zero; a metric that has a factor and no value is
// missing, not zero.
func DemandOf(box v1alpha1.GearboxSpec, availability v1alpha1.Availability, load *v1alpha1.Load) Demand {
	base := Amount{MilliCPU: milli(box.Base.CPU.AsApproximateFloat64()), Memory: bytes(box.Base.Memory.AsApproximateFloat64())}
	demand := Demand{Base: base, Total: base}
	for _, factor := range box.Factors {
		value, known := metric(load, factor.Metric)
		if !known {
			demand.Missing = append(demand.Missing, factor.Metric)
			continue
		}
		share := value
		if availability == v1alpha1.Zonal && slices.Contains(shared, factor.Metric) {
			share = value / 2
		}
		term := Term{
			Metric: factor.Metric, Value: value, Share: share,
			Amount: Amount{
				MilliCPU: milli(factor.CPU.AsApproximateFloat64() * share),
				Memory:   bytes(factor.Memory.AsApproximateFloat64() * share),
			},
		}
		demand.Terms = append(demand.Terms, term)
		demand.Total = demand.Total.Add(term.Amount)
	}
	return demand
}

// metric of a load, and whether it is known.
func metric(load *v1alpha1.Load, name v1alpha1.LoadMetricName) (float64, bool) {
	if load == nil || slices.Contains(load.Missing, name) {
		return 0, false
	}
	for _, m := range load.Metrics {
		if m.Name == name {
			return max(0, m.Value.AsApproximateFloat64()), true
		}
	}
	return 0, false
}

// Capacity of a gear: what its components' requests add up to.
func Capacity(gear v1alpha1.Gear) Amount {
	var sum Amount
	for _, component := range components(gear) {
		sum = sum.Add(Amount{MilliCPU: component.size.CPU.MilliValue(), Memory: component.size.Memory.Value()})
	}
	return sum
}

// component of a gear by its name in the API.
type component struct {
	name string
	size v1alpha1.ComponentSize
}

func components(gear v1alpha1.Gear) []component {
	return []component{
		{"etcd", gear.Size.Etcd},
		{"apiServer", gear.Size.APIServer},
		{"controllerManager", gear.Size.ControllerManager},
		{"scheduler", gear.Size.Scheduler},
	}
}

// within tells whether the amount is at most so many percent of a capacity.
func (a Amount) within(capacity Amount, percent int32) bool {
	return fits(a.MilliCPU, capacity.MilliCPU, percent) && fits(a.Memory, capacity.Memory, percent)
}

func fits(amount, capacity int64, percent int32) bool {
	return float64(amount) <= float64(capacity)*float64(percent)/100
}

// noise that floating-point products may carry, far below one thousandth of a core or one byte.
const noise = 1e-6

// milli rounds cores up to whole thousandths.
func milli(cores float64) int64 { return whole(cores * 1000) }

// bytes rounds up to whole bytes.
func bytes(amount float64) int64 { return whole(amount) }

// whole rounds up, to at least zero and at most what an int64 holds.
func whole(x float64) int64 {
	x = math.Ceil(x - noise)
	if !(x > 0) { // also when it is no number
		return 0
	}
	if x >= math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(x)
}

// addCapped adds what is not negative.
func addCapped(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
