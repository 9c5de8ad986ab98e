package gear

import (
	"math"
	"slices"
	"sort"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// Edge is where one metric alone, all else equal, takes a guest out of its gear.
type Edge struct {
	// Metric that changes.
	Metric v1alpha1.LoadMetricName
	// Value of the metric now, in its unit.
	Value float64
	// At is the nearest value at which the guest leaves its gear: in whole units, of rates in thousandths.
	At float64
	// Lacks says what the guest's gear has too little of at that value; empty on the way down.
	Lacks string
}

// Outlook is what takes a guest from its gear to the one next to it.
type Outlook struct {
	// Gear next to the guest's own. A guest on its way up skips it where it carries too little.
	Gear string
	// Percent of the capacity (of the guest's gear on its way up, of the lower gear on its way down) that
	// the band ends at.
	Percent int32
	// Now: the load asks for it already.
	Now bool
	// Lacks says what the guest's gear, on its way down the lower one, has too little of for the load;
	// empty: nothing.
	Lacks string
	// Edges of the metrics that could take the guest there alone, in the order of the Gearbox. A metric
	// that was not read has none.
	Edges []Edge
}

// furthest value, in units, that Upwards and Downwards look at: more than any cluster has of anything, as
// a database of a tebibyte is.
const furthest = int64(1) << 40

// Guest is what an Outlook is about.
type Guest struct {
	// Box that passed Check.
	Box v1alpha1.GearboxSpec
	// Bounds of the guest (Merge).
	Bounds v1alpha1.GearBounds
	// Availability of the guest.
	Availability v1alpha1.Availability
	// Size is the gear whose size the guest has.
	Size string
	// Load of the guest; nil: none is known.
	Load *v1alpha1.Load
}

// Upwards tells what takes a guest to the next higher gear; nil: there is none within its bounds, or no
// load is known.
func Upwards(g Guest) *Outlook {
	rung := index(g.Box, g.Size)
	if g.Load == nil || rung < 0 || rung >= spanOf(g.Box, g.Bounds).high {
		return nil
	}
	percent := rulesOf(g.Box.Shifting).enter
	lacks := func(load *v1alpha1.Load) string {
		return lacking(g.Box.Ladder[rung], DemandOf(g.Box, g.Availability, load), load, percent)
	}
	outlook := &Outlook{Gear: g.Box.Ladder[rung+1].Name, Percent: percent, Lacks: lacks(g.Load)}
	if outlook.Now = outlook.Lacks != ""; outlook.Now {
		return outlook
	}
	for _, name := range metricsThatCount(g) {
		now, unit := stepsOf(g.Load, name), unitOf(name)
		at := firstAbove(now, func(steps int64) bool { return lacks(with(g.Load, name, steps)) != "" })
		if at < 0 {
			continue
		}
		outlook.Edges = append(outlook.Edges, Edge{
			Metric: name, Value: float64(now) / unit, At: float64(at) / unit, Lacks: lacks(with(g.Load, name, at)),
		})
	}
	return outlook
}

// Downwards tells what takes a guest to the next lower gear; nil: there is none within its bounds, or no
// load is known.
func Downwards(g Guest) *Outlook {
	rung := index(g.Box, g.Size)
	if g.Load == nil || rung <= spanOf(g.Box, g.Bounds).low {
		return nil
	}
	lower, percent := g.Box.Ladder[rung-1], rulesOf(g.Box.Shifting).leave
	lacks := func(load *v1alpha1.Load) string {
		return lacking(lower, DemandOf(g.Box, g.Availability, load), load, percent)
	}
	outlook := &Outlook{Gear: lower.Name, Percent: percent, Lacks: lacks(g.Load)}
	if outlook.Now = outlook.Lacks == ""; outlook.Now {
		return outlook
	}
	for _, name := range metricsThatCount(g) {
		now, unit := stepsOf(g.Load, name), unitOf(name)
		// The nearest of the values from the present one down to nothing.
		down := sort.Search(int(now)+1, func(by int) bool { return lacks(with(g.Load, name, now-int64(by))) == "" })
		if at := now - int64(down); at >= 0 {
			outlook.Edges = append(outlook.Edges, Edge{Metric: name, Value: float64(now) / unit, At: float64(at) / unit})
		}
	}
	return outlook
}

// firstAbove is the first count of steps above now that is over, or -1 when none up to furthest is. It
// doubles before it searches, so that no demand is computed that is far above any capacity.
func firstAbove(now int64, over func(int64) bool) int64 {
	high := max(1, now)
	for !over(high) {
		if high *= 2; high > furthest {
			return -1
		}
	}
	return now + int64(sort.Search(int(high-now), func(more int) bool { return over(now + int64(more)) }))
}

// WithDefaults fills in what a Gearbox leaves out of its shifting, as the API does; a file has not been
// through the API.
func WithDefaults(shifting v1alpha1.GearShifting) v1alpha1.GearShifting {
	r := rulesOf(shifting)
	seconds := func(span time.Duration) int32 { return int32(span / time.Second) }
	return v1alpha1.GearShifting{
		EnterPercent: r.enter, LeavePercent: r.leave,
		UpDelaySeconds: new(seconds(r.up)), DownDelaySeconds: new(seconds(r.down)),
		Moves: int32(r.moves), WindowSeconds: seconds(r.window),
		TuningDownDelaySeconds: new(seconds(r.tuningDown)),
		StaleSeconds:           seconds(r.stale),
		HealthSeconds:          seconds(r.health),
	}
}

// metricsThatCount are those that were read and have a factor or a limit.
func metricsThatCount(g Guest) []v1alpha1.LoadMetricName {
	var names []v1alpha1.LoadMetricName
	for _, factor := range g.Box.Factors {
		names = append(names, factor.Metric)
	}
	for _, limited := range []v1alpha1.LoadMetricName{v1alpha1.LoadNodes, v1alpha1.LoadDatabaseBytes} {
		if !slices.Contains(names, limited) {
			names = append(names, limited)
		}
	}
	return slices.DeleteFunc(names, func(name v1alpha1.LoadMetricName) bool {
		_, known := metric(g.Load, name)
		return !known
	})
}

// unitOf a metric in steps: rates are looked at in thousandths, everything else whole.
func unitOf(metric v1alpha1.LoadMetricName) float64 {
	switch metric {
	case v1alpha1.LoadGetsPerSecond, v1alpha1.LoadListsPerSecond, v1alpha1.LoadWritesPerSecond, v1alpha1.LoadScheduledPodsPerSecond:
		return 1000
	}
	return 1
}

// stepsOf a metric's value, to the nearest step.
func stepsOf(load *v1alpha1.Load, name v1alpha1.LoadMetricName) int64 {
	value, _ := metric(load, name)
	return int64(math.Round(min(value*unitOf(name), float64(furthest))))
}

// with is a load with another value of one metric.
func with(load *v1alpha1.Load, name v1alpha1.LoadMetricName, steps int64) *v1alpha1.Load {
	changed := *load
	changed.Metrics = slices.Clone(load.Metrics)
	for i := range changed.Metrics {
		if changed.Metrics[i].Name != name {
			continue
		}
		if unitOf(name) == 1000 {
			changed.Metrics[i].Value = *resource.NewMilliQuantity(steps, resource.DecimalSI)
		} else {
			changed.Metrics[i].Value = *resource.NewQuantity(steps, resource.DecimalSI)
		}
	}
	return &changed
}
