package simulated

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

type Options struct {
	Cell          string
	Seed          uint64
	Capacity      runtime.Capacity
	Slots         int
	DeathsPerYear float64
	Clock         clock.WithTicker
}
type comp struct {
	name, zone string
	kind       controlplane.Kind
	hash       uint64
	ready      time.Time
}
type guest struct {
	comps   []comp
	first   time.Time
	took    time.Duration
	updates int
}
type Runtime struct {
	o        Options
	mu       sync.Mutex
	guests   map[string]*guest
	watchers map[chan string]map[string]bool
	wake     map[chan string]chan struct{}
	held     map[string]bool
	pace     float64
	base     float64
	since    time.Time
}

func New(o Options) (*Runtime, error) {
	return &Runtime{o: o, guests: map[string]*guest{}, watchers: map[chan string]map[string]bool{}, wake: map[chan string]chan struct{}{}, held: map[string]bool{}, since: time.Now()}, nil
}
func (r *Runtime) Run(ctx context.Context) { <-ctx.Done() }
func (r *Runtime) Reserve(_ context.Context, id string, names []string) (map[string]string, error) {
	out := map[string]string{}
	for _, n := range names {
		h := fnv.New32a()
		_, _ = h.Write([]byte(id + n))
		v := h.Sum32()
		out[n] = fmt.Sprintf("10.%d.%d.%d", v>>16&255, v>>8&255, v&255)
	}
	return out, nil
}
func hashOf(c controlplane.Component) uint64 {
	c.Size = v1alpha1.ComponentSize{}
	c.FirstArgs = nil
	b, _ := json.Marshal(c)
	h := fnv.New64a()
	_, _ = h.Write(b)
	return h.Sum64()
}
func (r *Runtime) Apply(_ context.Context, m controlplane.Manifest) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	g := r.guests[m.ID]
	h := fnv.New64a()
	_, _ = h.Write([]byte(m.ID))
	rnd := rand.New(rand.NewPCG(r.o.Seed, h.Sum64()))
	if g == nil {
		g = &guest{first: now}
		r.guests[m.ID] = g
		etcd := time.Duration(float64(time.Second) * 1.2 * math.Exp(0.3*rnd.NormFloat64()))
		api := etcd + time.Duration(float64(time.Second)*2*math.Exp(0.3*rnd.NormFloat64()))
		all := api + time.Duration(float64(time.Second)*1*math.Exp(0.3*rnd.NormFloat64()))
		for _, c := range m.Components {
			d := all
			switch c.Kind {
			case controlplane.Etcd:
				d = etcd
			case controlplane.APIServer:
				d = api
			}
			g.comps = append(g.comps, comp{name: c.Name, zone: c.Zone, kind: c.Kind, hash: hashOf(c), ready: now.Add(d)})
		}
		g.took = all
		for _, d := range []time.Duration{etcd, api, all} {
			r.later(m.ID, d)
		}
		r.tell(m.ID)
		return nil
	}
	at := now
	for i, c := range m.Components {
		if x := hashOf(c); i < len(g.comps) && g.comps[i].hash != x {
			g.comps[i].hash = x
			at = at.Add(2 * time.Second)
			g.comps[i].ready = at
			r.later(m.ID, at.Sub(now))
		}
	}
	r.tell(m.ID)
	return nil
}
func (r *Runtime) later(id string, d time.Duration) {
	time.AfterFunc(d+time.Millisecond, func() { r.mu.Lock(); defer r.mu.Unlock(); r.tell(id) })
}
func (r *Runtime) tell(id string) {
	for w, set := range r.watchers {
		set[id] = true
		select {
		case r.wake[w] <- struct{}{}:
		default:
		}
	}
}
func (r *Runtime) Observe(_ context.Context, id string) (runtime.Observation, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.guests[id]
	if g == nil {
		return runtime.Observation{}, nil
	}
	now := time.Now()
	o := runtime.Observation{Exists: true}
	for _, c := range g.comps {
		x := runtime.Component{Name: c.name, State: runtime.Running, Ready: true, Since: c.ready}
		switch {
		case r.held[c.zone]:
			x.State, x.Ready = runtime.Held, false
		case now.Before(c.ready):
			x.State, x.Ready, x.Since = runtime.Starting, false, g.first
		}
		o.Components = append(o.Components, x)
	}
	return o, nil
}
func (r *Runtime) Delete(_ context.Context, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.guests, id)
	r.tell(id)
	return nil
}
func (r *Runtime) Watch(ctx context.Context) (<-chan string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ch, wake := make(chan string), make(chan struct{}, 1)
	set := map[string]bool{}
	r.watchers[ch], r.wake[ch] = set, wake
	go func() {
		defer close(ch)
		defer func() { r.mu.Lock(); delete(r.watchers, ch); delete(r.wake, ch); r.mu.Unlock() }()
		for {
			select {
			case <-ctx.Done():
				return
			case <-wake:
			}
			r.mu.Lock()
			var ids []string
			for id := range set {
				ids = append(ids, id)
			}
			clear(set)
			r.mu.Unlock()
			for _, id := range ids {
				select {
				case ch <- id:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return ch, nil
}
func (r *Runtime) Hold(_ context.Context, drills []v1alpha1.Drill) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = map[string]bool{}
	for _, d := range drills {
		r.held[d.Zone] = true
	}
	for id := range r.guests {
		r.tell(id)
	}
	return nil
}
func (r *Runtime) Discard(context.Context, string, string) error { return nil }
func (r *Runtime) Capacity(context.Context) (runtime.Capacity, error) {
	return r.o.Capacity, nil
}
func (r *Runtime) SetPace(p float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	r.base += r.pace * now.Sub(r.since).Seconds()
	r.since, r.pace = now, p
}
func (r *Runtime) Started(id string) (time.Duration, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.guests[id]
	if g == nil {
		return 0, false
	}
	return g.took, true
}
func (r *Runtime) IDs() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ids []string
	for id := range r.guests {
		ids = append(ids, id)
	}
	return ids
}
func (r *Runtime) Page(id, component string) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.guests[id]
	if g == nil {
		return nil, fmt.Errorf("no guest %s", id)
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(id))
	rnd := rand.New(rand.NewPCG(r.o.Seed, h.Sum64()))
	nodes := 3 * math.Exp(0.9*math.Abs(rnd.NormFloat64()))
	t := r.base + r.pace*time.Since(r.since).Seconds()
	level := 1 + 0.4*math.Sin(2*math.Pi*(t/86400+rnd.Float64()))
	elapsed := time.Since(g.first).Seconds()
	n := nodes * level
	if component[:4] == "etcd" {
		return []byte(fmt.Sprintf("etcd_mvcc_db_total_size_in_bytes %d\netcd_mvcc_db_total_size_in_use_in_bytes %d\n", int(1e6+n*1e5), int(1e6+n*1e5))), nil
	}
	return []byte(fmt.Sprintf(`apiserver_resource_objects{group="",resource="nodes"} %d
apiserver_resource_objects{group="",resource="pods"} %d
apiserver_longrunning_requests{verb="WATCH"} %d
apiserver_flowcontrol_current_executing_seats{flow_schema="x"} 1
apiserver_flowcontrol_current_inqueue_requests{flow_schema="x"} 0
apiserver_request_total{verb="GET",group="",resource="pods",subresource="",code="200"} %d
apiserver_request_total{verb="PUT",group="coordination.k8s.io",resource="leases",subresource="",code="200"} %d
`, int(n), int(n*20), int(n*6+50), int(elapsed*nodes*0.5), int(elapsed*nodes*0.1))), nil
}
