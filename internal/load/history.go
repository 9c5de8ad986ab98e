package load

import (
	"maps"
	"slices"
	"time"

	"github.com/myriad-fleet/myriad/internal/runtime"
)

// oldest reading that a rate is computed from. A mean over a longer time says little about now; an
// instance that could not be read for so long starts anew.
const oldest = 2 * time.Minute

// Sample is what the instances of a guest told at about the same time. Instances that do not run are
// not in it: they carry nothing.
type Sample struct {
	// At is the time of the sample.
	At time.Time
	// APIServers and Members of etcd by instance. Nil for one that runs and could not be read.
	APIServers map[string]*APIServer
	Members    map[string]*Etcd
	// Usage by instance, of those of which it is known.
	Usage map[string]runtime.Usage
}

// History holds the last counters of a guest's instances, which rates are computed from.
type History struct {
	counters map[string]mark
	usage    map[string]used
}

// used is what an instance was last known to use.
type used struct {
	runtime.Usage
	// seen is the time of the sample that had it: Usage.At is another machine's, in a cell of several.
	seen time.Time
	// cores that it took until then, if that is known.
	cores float64
	known bool
}

// mark is the state of counters at a time.
type mark struct {
	at       time.Time
	counters Counters
}

// take a sample into the history.
func (h *History) take(s Sample) {
	if h.counters == nil {
		h.counters, h.usage = map[string]mark{}, map[string]used{}
	}
	for name, read := range s.APIServers {
		if read != nil && read.Counters.Known {
			h.counters[name] = mark{at: read.At, counters: read.Counters}
		}
	}
	for name, now := range s.Usage {
		u := used{Usage: now, seen: s.At}
		u.cores, u.known = h.cores(name, now)
		h.usage[name] = u
	}
	maps.DeleteFunc(h.counters, func(_ string, m mark) bool { return s.At.Sub(m.at) > oldest })
	maps.DeleteFunc(h.usage, func(_ string, u used) bool { return s.At.Sub(u.seen) > oldest })
}

// rates of one API server, or of several together, per second.
type rates struct {
	verbs                         map[string]float64
	gets, lists, writes, bindings float64
}

func (r *rates) add(other rates) {
	for verb, rate := range other.verbs {
		r.verbs[verb] += rate
	}
	r.gets += other.gets
	r.lists += other.lists
	r.writes += other.writes
	r.bindings += other.bindings
}

// ratesOf an API server since its reading before; false when that is not known.
func (h *History) ratesOf(name string, now *APIServer) (rates, bool) {
	before, ok := h.counters[name]
	if !ok || !now.Counters.Known {
		return rates{}, false
	}
	seconds := now.At.Sub(before.at).Seconds()
	if seconds <= 0 || seconds > oldest.Seconds() {
		return rates{}, false
	}
	was, is := before.counters, now.Counters
	if restarted(was, is) {
		was = Counters{}
	}
	r := rates{
		verbs: map[string]float64{},
		gets:  (is.Gets - was.Gets) / seconds, lists: (is.Lists - was.Lists) / seconds,
		writes: (is.Writes - was.Writes) / seconds, bindings: (is.Bindings - was.Bindings) / seconds,
	}
	for verb, count := range is.Verbs {
		r.verbs[verb] = (count - was.Verbs[verb]) / seconds
	}
	return r, true
}

// restarted tells whether counters are those of another process than before: one fell. Then what they say
// was all counted since, as Prometheus' rate() holds it too: what the process before counted last is lost.
// (process_start_time_seconds would tell as well, at the cost of fetching twice as much of each page.)
func restarted(was, is Counters) bool {
	if is.Gets < was.Gets || is.Lists < was.Lists || is.Writes < was.Writes || is.Bindings < was.Bindings {
		return true
	}
	return slices.ContainsFunc(verbs(was.Verbs), func(verb string) bool { return is.Verbs[verb] < was.Verbs[verb] })
}

// cores that an instance took since its reading before; false when that is not known. Kubelets look at
// their containers by themselves: one that has not looked again since still says what it said.
func (h *History) cores(name string, now runtime.Usage) (float64, bool) {
	before, ok := h.usage[name]
	if !ok || before.Start != now.Start {
		return 0, false
	}
	if now.At.Equal(before.At) {
		return before.cores, before.known
	}
	seconds := now.At.Sub(before.At).Seconds()
	if seconds <= 0 || seconds > oldest.Seconds() || now.CPUSeconds < before.CPUSeconds {
		return 0, false
	}
	return (now.CPUSeconds - before.CPUSeconds) / seconds, true
}
