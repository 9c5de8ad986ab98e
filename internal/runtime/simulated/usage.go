package simulated

import (
	"context"
	"strconv"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/gear"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// idle is what the components of an idle guest use: 34 thousandths of a core in all, and 201, 50, 23 and 24 MiB, as
// measured on 2026-11-22 (gear.Default says how).
var idle = map[controlplane.Kind]struct{ cores, memory float64 }{
	controlplane.Etcd:              {0.008, 23 << 20},
	controlplane.APIServer:         {0.018, 201 << 20},
	controlplane.ControllerManager: {0.006, 50 << 20},
	controlplane.Scheduler:         {0.002, 24 << 20},
}

// factors of the default Gearbox by metric: cores and bytes for each unit.
var factors = func() map[v1alpha1.LoadMetricName][2]float64 {
	all := map[v1alpha1.LoadMetricName][2]float64{}
	for _, f := range gear.Default().Factors {
		all[f.Metric] = [2]float64{f.CPU.AsApproximateFloat64(), f.Memory.AsApproximateFloat64()}
	}
	return all
}()

// Usage of the components that run: what an idle one takes, and its part of what the default Gearbox says that the
// load takes.
func (r *Runtime) Usage(_ context.Context, id string, _ runtime.Observation) (map[string]runtime.Usage, error) {
	now := r.lock()
	defer r.mu.Unlock()
	g := r.guests[id]
	if g == nil {
		return map[string]runtime.Usage{}, nil
	}
	c := characterOf(g.seed, r.options.Classes)
	load := c.gauges(r.tempo.loadAt(now))
	all := make(map[string]runtime.Usage, len(g.parts))
	for i := range g.parts {
		p, o := &g.parts[i], &g.shape.parts[i]
		if !p.alive() {
			continue
		}
		lived := r.tempo.over(&c, p.began, now)
		carried := lived
		if o.kind == controlplane.APIServer {
			carried = g.servedBy(i, now, &r.tempo, r.options.Classes)
		}
		rest := idle[o.kind]
		all[o.name] = runtime.Usage{
			CPUSeconds: rest.cores*lived.seconds + kindShare[o.kind]*c.coreSeconds(carried),
			Memory:     int64(rest.memory + kindShare[o.kind]*load.memory(max(1, count(g.carried.servers)))),
			Start:      strconv.FormatUint(uint64(p.starts), 10),
			At:         r.time(now),
		}
	}
	return all, nil
}

// coreSeconds that a share of the guest's time takes.
func (c *character) coreSeconds(s share) float64 {
	rates := c.rates()
	active := share{activity: s.activity} // what it takes at rest is counted as idle
	writes := rate{active: rates.writes.active + rates.leases.active + rates.bindings.active}
	return factors[v1alpha1.LoadNodes][0]*c.nodes*s.activity +
		factors[v1alpha1.LoadGetsPerSecond][0]*rates.gets.over(active) +
		factors[v1alpha1.LoadListsPerSecond][0]*rates.lists.over(active) +
		factors[v1alpha1.LoadWritesPerSecond][0]*writes.over(active) +
		factors[v1alpha1.LoadScheduledPodsPerSecond][0]*rates.bindings.over(active)
}

// memory in bytes that the load takes in one zone of so many.
func (g *gauges) memory(zones int) float64 {
	return factors[v1alpha1.LoadNodes][1]*g.nodes + factors[v1alpha1.LoadPods][1]*g.pods +
		factors[v1alpha1.LoadObjects][1]*(g.nodes+g.pods+g.leases+g.others+g.custom) +
		factors[v1alpha1.LoadCustomResources][1]*g.custom +
		factors[v1alpha1.LoadWatches][1]*g.watches/float64(zones) +
		factors[v1alpha1.LoadDatabaseBytes][1]*g.database
}
