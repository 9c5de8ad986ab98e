// Package load turns what a guest's API servers and etcd members tell of themselves into the guest's
// load. What is not known is missing, never zero.
//
// What counts as not known: an instance that runs and whose page could not be read as far as it matters; a family
// of gauges that a page lacks; a value that is NaN, infinite, negative or beyond 10^15; a rate without
// an earlier reading of the same instance. What counts as zero: an instance that does not run, which
// carries nothing; and a series that a page lacks although it has others of the same family, because
// Prometheus' libraries write a series down when it is first counted. A guest in which no pod was ever
// bound has no series of pods/binding, and no pods were bound.
package load

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/myriad-fleet/myriad/internal/load/page"
)

// The families that are read, as kube-apiserver v1.36 and etcd v3.6 name them. Test/integration/load
// compares them with real ones.
const (
	// requests counts requests by verb, group, resource and more. It counts a request when it is over, a
	// WATCH too.
	requests = "apiserver_request_total"
	// longRunning is how many requests that go on for long are open, by verb. Before v1.30 or so there
	// was apiserver_registered_watchers, which counted the same.
	longRunning = "apiserver_longrunning_requests"
	// objects counts the stored objects by group and resource, -1 where that failed. Each API server
	// counts every minute or two, guests of render revision 4 every 30 to 66 s
	// (--etcd-count-metric-poll-period and its jitter): the numbers are up to that old.
	objects = "apiserver_resource_objects"
	// executing and queued are API priority and fairness' gauges by flow schema and priority level. Both
	// come into being with the first request that goes through a queue.
	executing = "apiserver_flowcontrol_current_executing_seats"
	queued    = "apiserver_flowcontrol_current_inqueue_requests"
	// database and databaseInUse are etcd's: the file, and the part of it that holds data.
	database      = "etcd_mvcc_db_total_size_in_bytes"
	databaseInUse = "etcd_mvcc_db_total_size_in_use_in_bytes"
)

const (
	// ownSeats are the seats that reading a page takes while the page is written: the reader's own, by
	// the flow schema global-default.
	ownSeats = 1
	// mostResources of one API server; a hundred times what Kubernetes has itself.
	mostResources = 10000
	// mostVerbs: kube-apiserver v1.36 knows 14 and calls all others "other".
	mostVerbs = 20
)

// APIServerFamilies are those that ReadAPIServer needs, EtcdFamilies those of ReadEtcd.
var (
	APIServerFamilies = []string{requests, objects, longRunning, executing, queued}
	EtcdFamilies      = []string{database, databaseInUse}
)

// gauge is a sum of what a page says, if it says it.
type gauge struct {
	sum    float64
	there  bool
	absurd bool
}

func (g *gauge) add(s *page.Sample) {
	g.there = true
	g.absurd = g.absurd || !s.Sane()
	g.sum += s.Value
}

func (g *gauge) get() (float64, bool) { return g.sum, g.there && !g.absurd && page.Sane(g.sum) }

// APIServer is what one API server says of itself.
type APIServer struct {
	// At is when it said so; whoever reads the page knows.
	At time.Time
	// Counters since the process started.
	Counters Counters

	watches, executing, queued gauge
	// objects by group and resource; unknown where they are not sane. Nil: the page has none.
	objects map[objectsOf]count
}

// objectsOf names a resource of the API.
type objectsOf struct{ group, name string }

// count of objects, or none where it is not known.
type count struct {
	objects float64
	known   bool
}

// Counters of one process. They only grow, until another process starts with zero.
type Counters struct {
	// Known is false where the page has no counters of requests: an API server that has answered its
	// first has some, so that a page without is none of an API server that can be understood.
	Known bool
	// Verbs counts all requests by verb.
	Verbs map[string]float64
	// Gets, Lists and Writes count those that concern objects of the API; Bindings the pods that were
	// bound to nodes.
	Gets, Lists, Writes, Bindings float64
}

// ReadAPIServer reads a page of kube-apiserver as far as it matters. An error means that it could not be
// read so far: nothing of it is to be relied on.
func ReadAPIServer(from io.Reader) (*APIServer, error) {
	a := &APIServer{Counters: Counters{Known: true, Verbs: map[string]float64{}}}
	if err := page.Scan(from, APIServerFamilies, a.take); err != nil {
		return nil, fmt.Errorf("read kube-apiserver's metrics: %w", err)
	}
	a.Counters.Known = a.Counters.Known && len(a.Counters.Verbs) > 0
	return a, nil
}

func (a *APIServer) take(s *page.Sample) error {
	switch s.Family {
	case requests:
		return a.Counters.take(s)
	case objects:
		return a.takeObjects(s)
	case longRunning:
		a.watches.there = true
		if string(s.Label("verb")) == "WATCH" {
			a.watches.add(s)
		}
	case executing:
		a.executing.add(s)
	case queued:
		a.queued.add(s)
	}
	return nil
}

func (a *APIServer) takeObjects(s *page.Sample) error {
	if a.objects == nil {
		a.objects = map[objectsOf]count{}
	}
	if len(a.objects) == mostResources {
		return fmt.Errorf("there are objects of more than %d resources", mostResources)
	}
	of := objectsOf{group: string(s.Label("group")), name: string(s.Label("resource"))}
	a.objects[of] = count{objects: s.Value, known: s.Sane()}
	return nil
}

// take one series of apiserver_request_total.
func (c *Counters) take(s *page.Sample) error {
	if !s.Sane() {
		c.Known = false
		return nil
	}
	verb := s.Label("verb")
	if _, known := c.Verbs[string(verb)]; !known && len(c.Verbs) == mostVerbs {
		return fmt.Errorf("there are more than %d verbs", mostVerbs)
	}
	c.Verbs[string(verb)] += s.Value
	if len(s.Label("resource")) == 0 {
		return nil // probes, discovery and metrics: no object is concerned
	}
	switch string(verb) {
	case "GET":
		c.Gets += s.Value
	case "LIST":
		c.Lists += s.Value
	case "POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION":
		c.takeWrite(s)
	}
	return nil
}

// takeWrite counts a request that changes something: reviews of access and of tokens are POSTs that
// store nothing.
func (c *Counters) takeWrite(s *page.Sample) {
	group := string(s.Label("group"))
	if group == "authorization.k8s.io" || group == "authentication.k8s.io" {
		return
	}
	c.Writes += s.Value
	// The scheduler binds a pod by a POST to its binding. That is on this page already; the scheduler's
	// own counter (scheduler_schedule_attempts_total) would take a page of its own, from its leader.
	code := s.Label("code")
	if group == "" && string(s.Label("resource")) == "pods" && string(s.Label("subresource")) == "binding" && len(code) > 0 && code[0] == '2' {
		c.Bindings += s.Value
	}
}

// Etcd is what one member says of its database in bytes.
type Etcd struct{ database, inUse gauge }

// ReadEtcd reads a page of an etcd member as far as it matters. An error means that it could not be read so
// far.
func ReadEtcd(from io.Reader) (*Etcd, error) {
	e := &Etcd{}
	err := page.Scan(from, EtcdFamilies, func(s *page.Sample) error {
		if s.Family == database {
			e.database.add(s)
		} else {
			e.inUse.add(s)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read etcd's metrics: %w", err)
	}
	return e, nil
}

// verbs of several counters, sorted.
func verbs(of map[string]float64) []string { return slices.Sorted(maps.Keys(of)) }
