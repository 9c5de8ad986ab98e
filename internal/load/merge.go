package load

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/load/page"
)

const (
	// mostObjects and mostRequests are the lengths that v1alpha1.Load allows.
	mostObjects, mostRequests = 10, 12
)

// Names of all metrics in the order in which a Load has them.
func Names() []v1alpha1.LoadMetricName {
	return []v1alpha1.LoadMetricName{
		v1alpha1.LoadNodes, v1alpha1.LoadPods, v1alpha1.LoadObjects, v1alpha1.LoadCustomResources, v1alpha1.LoadWatches,
		v1alpha1.LoadGetsPerSecond, v1alpha1.LoadListsPerSecond, v1alpha1.LoadWritesPerSecond,
		v1alpha1.LoadExecutingSeats, v1alpha1.LoadQueuedSeats, v1alpha1.LoadScheduledPodsPerSecond,
		v1alpha1.LoadDatabaseBytes, v1alpha1.LoadDatabaseInUseBytes,
	}
}

// values of the metrics that are known.
type values map[v1alpha1.LoadMetricName]float64

// Take a sample and return the guest's load at its time. Every metric is in it, with a value or among
// those that are missing.
//
//   - What each API server counts for itself is added up: requests, watches, seats. One that runs and
//     could not be read has all of it missing, for what it carries is not known.
//   - What each API server counts of the whole guest is the largest of what they say: objects, and nodes
//     and pods among them. One that answers is enough.
//   - The database is that of the largest member of etcd that answers.
func (h *History) Take(s Sample) v1alpha1.Load {
	known := values{}
	out := v1alpha1.Load{SampledAt: metav1.NewTime(s.At).Rfc3339Copy()}
	out.Objects = known.objects(s)
	known.gauges(s)
	out.Requests = known.rates(s, h)
	known.databases(s)
	for _, name := range Names() {
		if value, ok := known[name]; ok && page.Sane(value) {
			out.Metrics = append(out.Metrics, v1alpha1.LoadMetric{Name: name, Value: quantity(name, value)})
		} else {
			out.Missing = append(out.Missing, name)
		}
	}
	h.take(s)
	out.Usage = h.usages(s)
	return out
}

// quantity of a value in the unit of its metric: rates to a thousandth, all else whole.
func quantity(name v1alpha1.LoadMetricName, value float64) resource.Quantity {
	switch name {
	case v1alpha1.LoadDatabaseBytes, v1alpha1.LoadDatabaseInUseBytes:
		return *resource.NewQuantity(int64(value), resource.BinarySI)
	case v1alpha1.LoadGetsPerSecond, v1alpha1.LoadListsPerSecond, v1alpha1.LoadWritesPerSecond, v1alpha1.LoadScheduledPodsPerSecond:
		return milli(value)
	default:
		return *resource.NewQuantity(int64(value), resource.DecimalSI)
	}
}

func milli(value float64) resource.Quantity {
	return *resource.NewMilliQuantity(int64(value*1000+0.5), resource.DecimalSI)
}

// objects counts by resource, and returns the resources that have the most.
func (v values) objects(s Sample) []v1alpha1.ResourceObjects {
	largest := map[objectsOf]count{}
	for _, server := range s.APIServers {
		if server == nil {
			continue
		}
		for of, seen := range server.objects {
			if best := largest[of]; !best.known || seen.known && seen.objects > best.objects {
				largest[of] = seen
			}
		}
	}
	if len(largest) == 0 {
		return nil // no API server answers, or none has counted yet
	}
	all, custom, unknown, unknownCustom := 0.0, 0.0, false, false
	list := make([]v1alpha1.ResourceObjects, 0, len(largest))
	for of, seen := range largest {
		unknown = unknown || !seen.known
		unknownCustom = unknownCustom || !seen.known && !of.builtIn()
		if !seen.known {
			continue
		}
		all += seen.objects
		if !of.builtIn() {
			custom += seen.objects
		}
		if seen.objects > 0 {
			list = append(list, v1alpha1.ResourceObjects{Resource: of.String(), Count: int64(seen.objects)})
		}
	}
	v.set(v1alpha1.LoadObjects, all, !unknown)
	v.set(v1alpha1.LoadCustomResources, custom, !unknownCustom)
	for name, of := range map[v1alpha1.LoadMetricName]objectsOf{v1alpha1.LoadNodes: {name: "nodes"}, v1alpha1.LoadPods: {name: "pods"}} {
		v.set(name, largest[of].objects, largest[of].known) // every API server counts these, none or not
	}
	slices.SortFunc(list, func(a, b v1alpha1.ResourceObjects) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Resource, b.Resource))
	})
	return slices.Clip(list[:min(len(list), mostObjects)])
}

func (v values) set(name v1alpha1.LoadMetricName, value float64, known bool) {
	if known {
		v[name] = value
	}
}

// builtIn tells whether a resource is Kubernetes' own: its group has no dot (apps, batch) or ends in
// .k8s.io. Custom resources of the Kubernetes project whose groups end so as well, such as
// gateway.networking.k8s.io, count as built in; those in *.x-k8s.io do not.
func (r objectsOf) builtIn() bool {
	return !strings.Contains(r.group, ".") || strings.HasSuffix(r.group, ".k8s.io")
}

// String is the resource with its group, for example deployments.apps.
func (r objectsOf) String() string {
	if r.group == "" {
		return r.name
	}
	return r.name + "." + r.group
}

// gauges are what API servers carry at this moment.
func (v values) gauges(s Sample) {
	sums := map[v1alpha1.LoadMetricName]float64{}
	unknown := map[v1alpha1.LoadMetricName]bool{}
	for _, server := range s.APIServers {
		for name, read := range map[v1alpha1.LoadMetricName]func() (float64, bool){
			v1alpha1.LoadWatches: server.openWatches, v1alpha1.LoadExecutingSeats: server.executingSeats, v1alpha1.LoadQueuedSeats: server.queuedSeats,
		} {
			value, ok := read()
			unknown[name] = unknown[name] || !ok
			sums[name] += value
		}
	}
	for name, sum := range sums {
		v.set(name, sum, !unknown[name])
	}
}

func (a *APIServer) openWatches() (float64, bool) {
	if a == nil {
		return 0, false
	}
	return a.watches.get()
}

func (a *APIServer) executingSeats() (float64, bool) {
	if a == nil {
		return 0, false
	}
	seats, ok := a.executing.get()
	return max(0, seats-ownSeats), ok
}

// queuedSeats: where seats have been taken and nothing has ever been queued, nothing is.
func (a *APIServer) queuedSeats() (float64, bool) {
	if a == nil {
		return 0, false
	}
	if !a.queued.there && a.executing.there {
		return 0, true
	}
	return a.queued.get()
}

// rates are means since the sample before. It returns those by verb.
func (v values) rates(s Sample, h *History) []v1alpha1.VerbRequests {
	sum := rates{verbs: map[string]float64{}}
	for name, server := range s.APIServers {
		if server == nil {
			return nil
		}
		of, ok := h.ratesOf(name, server)
		if !ok {
			return nil
		}
		sum.add(of)
	}
	if len(s.APIServers) == 0 {
		return nil
	}
	v[v1alpha1.LoadGetsPerSecond], v[v1alpha1.LoadListsPerSecond], v[v1alpha1.LoadWritesPerSecond] = sum.gets, sum.lists, sum.writes
	v[v1alpha1.LoadScheduledPodsPerSecond] = sum.bindings
	var list []v1alpha1.VerbRequests
	for _, verb := range verbs(sum.verbs) {
		if rate := sum.verbs[verb]; page.Sane(rate) && rate >= 0.0005 {
			list = append(list, v1alpha1.VerbRequests{Verb: verb, PerSecond: milli(rate)})
		}
	}
	slices.SortStableFunc(list, func(a, b v1alpha1.VerbRequests) int { return b.PerSecond.Cmp(a.PerSecond) })
	return list[:min(len(list), mostRequests)]
}

// databases of the largest member.
func (v values) databases(s Sample) {
	for _, member := range s.Members {
		if member == nil {
			continue
		}
		if size, ok := member.database.get(); ok {
			v[v1alpha1.LoadDatabaseBytes] = max(v[v1alpha1.LoadDatabaseBytes], size)
		}
		if size, ok := member.inUse.get(); ok {
			v[v1alpha1.LoadDatabaseInUseBytes] = max(v[v1alpha1.LoadDatabaseInUseBytes], size)
		}
	}
}

// usages of the instances, once the sample has been taken.
func (h *History) usages(s Sample) []v1alpha1.ComponentUsage {
	var list []v1alpha1.ComponentUsage
	for _, name := range slices.Sorted(maps.Keys(s.Usage)) {
		now := s.Usage[name]
		one := v1alpha1.ComponentUsage{Name: name}
		if now.Memory > 0 {
			one.Memory = resource.NewQuantity(now.Memory, resource.BinarySI)
		}
		if of := h.usage[name]; of.known && page.Sane(of.cores) {
			cpu := milli(of.cores)
			one.CPU = &cpu
		}
		if one.CPU != nil || one.Memory != nil {
			list = append(list, one)
		}
	}
	return list
}
