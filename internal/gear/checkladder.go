package gear

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

func (p *problems) ladder(ladder []v1alpha1.Gear) {
	if len(ladder) == 0 {
		p.addf("spec.ladder", "there are no gears: write at least one, see 'myriad gears ladder'")
	}
	if len(ladder) > maxRungs {
		p.addf("spec.ladder", "%d gears are too many: write at most %d", len(ladder), maxRungs)
	}
	seen := map[string]int{}
	for i, gear := range ladder {
		where := fmt.Sprintf("spec.ladder[%d] (%s)", i, gear.Name)
		if !gearName.MatchString(gear.Name) {
			p.addf(where, "a gear's name is 1 to 20 small letters, digits and dashes between them, for example nano")
		}
		if other, ok := seen[gear.Name]; ok {
			p.addf(where, "spec.ladder[%d] has the same name: give each gear its own", other)
		}
		seen[gear.Name] = i
		p.gear(where, gear)
		if i > 0 {
			p.step(where, ladder[i-1], gear)
		}
	}
}

// gear by itself.
func (p *problems) gear(where string, gear v1alpha1.Gear) {
	for _, c := range components(gear) {
		at := where + ".size." + c.name
		p.requested(at+".cpu", c.size.CPU, c.size.CPULimit, maxCores)
		p.requested(at+".memory", c.size.Memory, c.size.MemoryLimit, maxMemory)
	}
	tuning := gear.Tuning
	if tuning.MaxRequestsInFlight < 1 || tuning.MaxMutatingRequestsInFlight < 1 {
		p.addf(where+".tuning", "in-flight limits of %d reads and %d writes let nothing in: write at least 1 each, for example 400 and 200",
			tuning.MaxRequestsInFlight, tuning.MaxMutatingRequestsInFlight)
	}
	if tuning.ControllerRequestsPerSecond < 20 {
		p.addf(where+".tuning.controllerRequestsPerSecond", "%d would stall the controllers: write at least 20 (kube-controller-manager's default)", tuning.ControllerRequestsPerSecond)
	}
	if memory := tuning.APIServerMemory; memory != nil {
		p.softLimit(where+".tuning.apiServerMemory", *memory, gear.Size.APIServer)
	}
	if gear.Limits.Nodes < 1 {
		p.addf(where+".limits.nodes", "%d nodes are no cluster: write at least 1", gear.Limits.Nodes)
	}
	if database := gear.Limits.DatabaseBytes; database.Sign() <= 0 || database.CmpInt64(maxDatabase) > 0 {
		p.addf(where+".limits.databaseBytes", "%s is out of range: write more than 0 and at most 8Gi, the largest that etcd suggests", database.String())
	}
}

// softLimit of the Go runtime must lie between what is set aside for it and where the process is killed.
func (p *problems) softLimit(where string, memory resource.Quantity, size v1alpha1.ComponentSize) {
	if memory.Sign() <= 0 {
		p.addf(where, "%s would have the API server collect garbage for ever: write about 90 %% of its memoryLimit, or leave it out", memory.String())
		return
	}
	if size.MemoryLimit != nil && memory.Cmp(*size.MemoryLimit) > 0 {
		p.addf(where, "%s is more than the API server's memoryLimit %s, above which it is killed: write about 90 %% of that", memory.String(), size.MemoryLimit.String())
	}
}

// requested amount must be more than 0, and its limit, if there is one, at least that.
func (p *problems) requested(where string, q resource.Quantity, limit *resource.Quantity, most int64) {
	p.quantity(where, q, most)
	if q.Sign() == 0 {
		p.addf(where, "0 sets nothing aside for it: write more, for example what an idle one takes")
	}
	if limit == nil {
		return
	}
	p.quantity(where+"Limit", *limit, most)
	if limit.Cmp(q) < 0 {
		p.addf(where+"Limit", "%s is less than the request %s: write at least that", limit.String(), q.String())
	}
}

// step from one gear to the next: nothing may become less, something must become more, and not too much.
func (p *problems) step(where string, lower, upper v1alpha1.Gear) {
	low, high := components(lower), components(upper)
	for i := range low {
		at := where + ".size." + low[i].name
		p.atLeast(at+".cpu", lower.Name, &low[i].size.CPU, &high[i].size.CPU)
		p.atLeast(at+".memory", lower.Name, &low[i].size.Memory, &high[i].size.Memory)
		p.atLeast(at+".cpuLimit", lower.Name, low[i].size.CPULimit, high[i].size.CPULimit)
		p.atLeast(at+".memoryLimit", lower.Name, low[i].size.MemoryLimit, high[i].size.MemoryLimit)
	}
	p.atLeast(where+".tuning.apiServerMemory", lower.Name, lower.Tuning.APIServerMemory, upper.Tuning.APIServerMemory)
	p.atLeast(where+".limits.databaseBytes", lower.Name, &lower.Limits.DatabaseBytes, &upper.Limits.DatabaseBytes)
	for _, n := range []struct {
		field     string
		low, high int64
	}{
		{"tuning.maxRequestsInFlight", int64(lower.Tuning.MaxRequestsInFlight), int64(upper.Tuning.MaxRequestsInFlight)},
		{"tuning.maxMutatingRequestsInFlight", int64(lower.Tuning.MaxMutatingRequestsInFlight), int64(upper.Tuning.MaxMutatingRequestsInFlight)},
		{"tuning.controllerRequestsPerSecond", int64(lower.Tuning.ControllerRequestsPerSecond), int64(upper.Tuning.ControllerRequestsPerSecond)},
		{"limits.nodes", lower.Limits.Nodes, upper.Limits.Nodes},
	} {
		if n.high < n.low {
			p.addf(where+"."+n.field, "%d is less than the %d of the smaller gear %s: write at least that, or exchange the gears", n.high, n.low, lower.Name)
		}
	}
	p.growth(where, lower.Name, Capacity(lower), Capacity(upper))
}

// growth of the capacity.
func (p *problems) growth(where, lower string, low, high Amount) {
	if high == low {
		p.addf(where, "it has no more CPU or memory than %s: take one of the two away, or make this one larger", lower)
	}
	if low.MilliCPU > 0 && high.MilliCPU/maxStep > low.MilliCPU || low.Memory > 0 && high.Memory/maxStep > low.Memory {
		p.addf(where, "there is a gap: it has more than %d times what %s has, which a guest that has just outgrown that would pay for; write a gear between", maxStep, lower)
	}
}

// atLeast compares what may be absent, which is the same as unlimited.
func (p *problems) atLeast(where, lower string, low, high *resource.Quantity) {
	if high == nil {
		return
	}
	if low == nil {
		p.addf(where, "%s is a limit, and the smaller gear %s has none: leave it out here or write one there", high.String(), lower)
		return
	}
	if high.Cmp(*low) < 0 {
		p.addf(where, "%s is less than the %s of the smaller gear %s: write at least that, or exchange the gears", high.String(), low.String(), lower)
	}
}
