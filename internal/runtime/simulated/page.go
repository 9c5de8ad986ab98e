package simulated

import (
	"fmt"
	"math"
	"strconv"

	"github.com/myriad-fleet/myriad/internal/controlplane"
)

// Page returns the metrics of an API server or a member of etcd in Prometheus' text format: those that
// package load reads, in the order of real pages. What an API server counts has grown since its process began by
// its part of the guest's requests, which all API servers that run share. It is an error when the component does not
// exist, does not run, or is neither.
func (r *Runtime) Page(id, component string) ([]byte, error) {
	now := r.lock()
	defer r.mu.Unlock()
	g, i, err := r.find(id, component)
	if err != nil {
		return nil, err
	}
	if p := &g.parts[i]; p.phase != up || p.frozen {
		return nil, fmt.Errorf("simulated runtime: %s of guest %s has no page: it is %s", component, id, stateOf[p.state])
	}
	c := characterOf(g.seed, r.options.Classes)
	load := c.gauges(r.tempo.loadAt(now))
	switch g.shape.parts[i].kind {
	case controlplane.Etcd:
		var p page
		p.add("etcd_mvcc_db_total_size_in_bytes", "", math.Floor(load.database))
		p.add("etcd_mvcc_db_total_size_in_use_in_bytes", "", math.Floor(load.inUse))
		return p, nil
	case controlplane.APIServer:
		rank, of := count(g.carried.servers&(1<<i-1)), max(1, count(g.carried.servers))
		return apiServerPage(&load, c.rates(), g.servedBy(i, now, &r.tempo, r.options.Classes), rank, of), nil
	default:
		return nil, fmt.Errorf("simulated runtime: %s of guest %s has no page: only %s and %s have one", component, id, controlplane.APIServer, controlplane.Etcd)
	}
}

// page in Prometheus' text format.
type page []byte

func (p *page) add(family, labels string, value float64) {
	*p = append(*p, family...)
	if labels != "" {
		*p = append(append(append(*p, '{'), labels...), '}')
	}
	*p = strconv.AppendFloat(append(*p, ' '), value, 'f', -1, 64)
	*p = append(*p, '\n')
}

// ownSeat is what reading a page takes while it is written (package load).
const ownSeat = 1

// apiServerPage is that of the API server of a rank among those that run.
func apiServerPage(load *gauges, of rates, served share, rank, servers int) page {
	part := func(all float64) float64 { // whole, and all of it together
		n, whole := float64(servers), math.Floor(all/float64(servers))
		if float64(rank) < all-whole*n {
			whole++
		}
		return whole
	}
	p := make(page, 0, 1500)
	seats, queued, long := "apiserver_flowcontrol_current_executing_seats", "apiserver_flowcontrol_current_inqueue_requests", "apiserver_longrunning_requests"
	p.add(seats, `priority_level="global-default"`, ownSeat)
	p.add(seats, `priority_level="workload-low"`, part(load.seats))
	p.add(queued, `priority_level="workload-low"`, 0)
	p.add(long, `verb="WATCH"`, part(load.watches))
	for _, r := range []struct {
		labels string
		rate   rate
	}{
		{`code="200",group="",resource="pods",subresource="",verb="GET"`, of.gets},
		{`code="200",group="",resource="pods",subresource="",verb="LIST"`, of.lists},
		{`code="200",group="coordination.k8s.io",resource="leases",subresource="",verb="PUT"`, of.leases},
		{`code="200",group="",resource="pods",subresource="status",verb="PATCH"`, of.writes},
		{`code="201",group="",resource="pods",subresource="binding",verb="POST"`, of.bindings},
	} {
		p.add("apiserver_request_total", r.labels, math.Floor(r.rate.over(served)))
	}
	for _, o := range []struct {
		labels string
		number float64
	}{
		{`group="",resource="configmaps"`, load.others},
		{`group="",resource="nodes"`, load.nodes},
		{`group="",resource="pods"`, load.pods},
		{`group="coordination.k8s.io",resource="leases"`, load.leases},
		{`group="example.com",resource="widgets"`, load.custom},
	} {
		p.add("apiserver_resource_objects", o.labels, o.number)
	}
	return p
}
