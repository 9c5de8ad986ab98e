package gear

import (
	"fmt"
	"regexp"
	"slices"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// metrics that a factor may multiply.
var metrics = []v1alpha1.LoadMetricName{
	v1alpha1.LoadNodes, v1alpha1.LoadPods, v1alpha1.LoadObjects, v1alpha1.LoadCustomResources, v1alpha1.LoadWatches,
	v1alpha1.LoadGetsPerSecond, v1alpha1.LoadListsPerSecond, v1alpha1.LoadWritesPerSecond,
	v1alpha1.LoadExecutingSeats, v1alpha1.LoadQueuedSeats, v1alpha1.LoadScheduledPodsPerSecond,
	v1alpha1.LoadDatabaseBytes, v1alpha1.LoadDatabaseInUseBytes,
}

// Bounds of what Check takes for meant.
const (
	// maxStep is how many times the capacity of a gear the next one may have: a guest that has just outgrown
	// a gear pays for the next. Our own choice; the default ladder's largest step is 2.2.
	maxStep = 8
	// maxRungs of a ladder and maxFactors of a Gearbox, as in the API.
	maxRungs, maxFactors = 15, 16
	// maxCores and maxMemory (bytes) of any quantity, a thousand times the largest default gear. Sums of
	// them stay far from what 64 bits hold.
	maxCores, maxMemory = 100_000, 1 << 47
	// maxDatabase in bytes is what etcd suggests at most (etcd.io, System limits).
	maxDatabase = 8 << 30
)

var gearName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,18}[a-z0-9])?$`)

// problems that Check collects.
type problems []string

func (p *problems) addf(where, format string, args ...any) {
	*p = append(*p, where+": "+fmt.Sprintf(format, args...))
}

// Check says what is wrong with a Gearbox, one problem a line, each with where it is and what to write
// instead; nil: nothing is.
func Check(box v1alpha1.GearboxSpec) []string {
	var p problems
	p.quantity("spec.base.cpu", box.Base.CPU, maxCores)
	p.quantity("spec.base.memory", box.Base.Memory, maxMemory)
	p.factors(box.Factors)
	p.shifting(box.Shifting)
	p.ladder(box.Ladder)
	if len(p) > 0 {
		return p
	}
	p.baseFits(box)
	return p
}

// quantity must be at least 0 and not absurd.
func (p *problems) quantity(where string, q resource.Quantity, limit int64) {
	switch {
	case q.Sign() < 0:
		p.addf(where, "%s is negative: write 0 or more", q.String())
	case q.CmpInt64(limit) > 0:
		p.addf(where, "%s is more than any machine has: write at most %d", q.String(), limit)
	}
}

func (p *problems) factors(factors []v1alpha1.GearFactor) {
	if len(factors) == 0 {
		p.addf("spec.factors", "there are none, so that load would change nothing: write at least one, see 'myriad gears ladder'")
	}
	if len(factors) > maxFactors {
		p.addf("spec.factors", "%d are too many: write at most %d", len(factors), maxFactors)
	}
	seen := map[v1alpha1.LoadMetricName]bool{}
	for i, factor := range factors {
		where := fmt.Sprintf("spec.factors[%d] (%s)", i, factor.Metric)
		if !slices.Contains(metrics, factor.Metric) {
			p.addf(where, "there is no such metric: write one of %s", list(metrics))
		}
		if seen[factor.Metric] {
			p.addf(where, "the metric has a factor already: write one for each")
		}
		seen[factor.Metric] = true
		p.quantity(where+".cpu", factor.CPU, maxCores)
		p.quantity(where+".memory", factor.Memory, maxMemory)
	}
}

// shifting checks the numbers as they act, with defaults for what is left out.
func (p *problems) shifting(s v1alpha1.GearShifting) {
	for _, n := range []struct {
		field     string
		value     *int32
		low, high int32
	}{
		{"enterPercent", written(s.EnterPercent), 1, 100},
		{"leavePercent", written(s.LeavePercent), 1, 99},
		{"upDelaySeconds", s.UpDelaySeconds, 0, 86400},
		{"downDelaySeconds", s.DownDelaySeconds, 0, 604800},
		{"moves", written(s.Moves), 1, 100},
		{"windowSeconds", written(s.WindowSeconds), 1, 604800},
		{"tuningDownDelaySeconds", s.TuningDownDelaySeconds, 0, 604800},
		{"staleSeconds", written(s.StaleSeconds), 900, 86400},
		{"healthSeconds", written(s.HealthSeconds), 10, 86400},
	} {
		if n.value != nil && (*n.value < n.low || *n.value > n.high) {
			p.addf("spec.shifting."+n.field, "%d is out of range: write %d to %d", *n.value, n.low, n.high)
		}
	}
	if r := rulesOf(s); r.leave >= r.enter {
		p.addf("spec.shifting", "the bands overlap: leavePercent %d must be less than enterPercent %d, or a guest between them would shift up and down for ever; write for example 60 and 80", r.leave, r.enter)
	}
}

// written is a number that was written; 0 stands for the default.
func written(n int32) *int32 {
	if n == 0 {
		return nil
	}
	return &n
}

// baseFits: a guest that carries nothing must be able to come down to the smallest gear.
func (p *problems) baseFits(box v1alpha1.GearboxSpec) {
	base := DemandOf(v1alpha1.GearboxSpec{Base: box.Base}, v1alpha1.Single, nil)
	if lacks := lacking(box.Ladder[0], base, nil, rulesOf(box.Shifting).leave); lacks != "" {
		p.addf(fmt.Sprintf("spec.ladder[0] (%s)", box.Ladder[0].Name),
			"a guest that carries nothing could never come down to it: %s; write a larger gear or a smaller base", lacks)
	}
}
