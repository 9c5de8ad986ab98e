package load

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/agent/orders"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/load"
	"github.com/myriad-fleet/myriad/internal/pki"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

var zones = []string{"a", "b", "c"}

// fixture is the guests of a cell, whose components listen on loopback addresses of their own.
type fixture struct {
	t     *testing.T
	clock *clocktesting.FakeClock
	*Sampler
	changed chan string
	loads   atomic.Int32 // of identities

	mu         sync.Mutex
	orders     map[string]orders.Order
	hosts      map[string]map[string]string
	identities map[string]pki.Identity
	observed   map[string]runtime.Observation
	hub        map[string]*v1alpha1.ControlPlane
	young      map[string]bool // not bootstrapped
	pods       int             // on every API server's page
	posts      int             // so far
	status     int             // of every answer; 0: 200
	users      map[string]bool // who has asked
	asked      map[controlplane.Kind]int
}

func newFixture(t *testing.T) *fixture {
	f := &fixture{
		t: t, clock: clocktesting.NewFakeClock(time.Now()), changed: make(chan string, 100), orders: map[string]orders.Order{},
		hosts: map[string]map[string]string{}, identities: map[string]pki.Identity{}, observed: map[string]runtime.Observation{},
		hub: map[string]*v1alpha1.ControlPlane{}, young: map[string]bool{}, users: map[string]bool{}, pods: 100,
		asked: map[controlplane.Kind]int{},
	}
	f.restart()
	return f
}

// restart the agent.
func (f *fixture) restart() {
	f.Sampler = New(Options{
		Hub: f, Orders: f, Identities: identities{f}, Runtime: f, Hosts: f.addresses, Bootstrapped: f.bootstrapped,
		Changed: func(id string) { f.changed <- id }, Clock: f.clock, Log: slog.New(slog.DiscardHandler),
	})
	f.patience = 30 * time.Second // nothing hangs but what says so
}

func locked[T any](f *fixture, read func() T) T {
	f.mu.Lock()
	defer f.mu.Unlock()
	return read()
}

func (f *fixture) IDs() []string {
	return locked(f, func() []string { return slices.Sorted(maps.Keys(f.orders)) })
}

func (f *fixture) Get(id string) orders.Order {
	return locked(f, func() orders.Order { return f.orders[id] })
}

func (f *fixture) addresses(id string) map[string]string {
	return locked(f, func() map[string]string { return f.hosts[id] })
}

func (f *fixture) bootstrapped(id string) bool {
	return locked(f, func() bool { return !f.young[id] })
}

func (f *fixture) ControlPlane(id string) (*v1alpha1.ControlPlane, bool) {
	return locked(f, func() *v1alpha1.ControlPlane { return f.hub[id] }), true
}

func (f *fixture) Observe(_ context.Context, id string) (runtime.Observation, error) {
	seen := locked(f, func() runtime.Observation { return f.observed[id] })
	if !seen.Exists {
		return seen, errors.New("the supervisor is away")
	}
	return seen, nil
}

func (f *fixture) Usage(_ context.Context, id string, _ runtime.Observation) (map[string]runtime.Usage, error) {
	return map[string]runtime.Usage{"etcd-a": {Memory: 5 << 20, Start: "1"}}, nil
}

type identities struct{ f *fixture }

func (i identities) Load(id string) (pki.Identity, error) {
	i.f.loads.Add(1)
	return locked(i.f, func() pki.Identity { return i.f.identities[id] }), nil
}

// guest whose components have the addresses 127.79.<n>.1 and so on; nothing listens on them yet.
func (f *fixture) guest(id string, n int, availability v1alpha1.Availability) {
	f.t.Helper()
	identity, err := pki.NewIdentity(id, time.Now())
	if err != nil {
		f.t.Fatal(err)
	}
	spec := &v1alpha1.ControlPlaneSpec{ID: id, Zones: zones, Availability: availability, Epoch: 1}
	hosts, seen := map[string]string{}, runtime.Observation{Exists: true}
	for i, instance := range controlplane.Instances(spec, controlplane.Guest) {
		hosts[instance.Name] = "127.79." + strconv.Itoa(n) + "." + strconv.Itoa(i+1)
		seen.Components = append(seen.Components, runtime.Component{Name: instance.Name, State: runtime.Running, Ready: true})
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.orders[id], f.identities[id], f.hosts[id], f.observed[id] = orders.Order{Spec: spec}, identity, hosts, seen
}

// serve pages of all components of a guest but those that are left out.
func (f *fixture) serve(id string, without ...string) {
	f.t.Helper()
	for _, instance := range controlplane.Instances(f.Get(id).Spec, controlplane.Guest) {
		port := map[controlplane.Kind]int{controlplane.APIServer: controlplane.APIServerPort, controlplane.Etcd: controlplane.EtcdMetricsPort}[instance.Kind]
		if port != 0 && !slices.Contains(without, instance.Name) {
			f.serveOne(id, instance, port)
		}
	}
}

func (f *fixture) serveOne(id string, instance controlplane.Instance, port int) {
	f.t.Helper()
	name := map[controlplane.Kind]controlplane.Authority{controlplane.APIServer: controlplane.ClusterCA, controlplane.Etcd: controlplane.EtcdCA}[instance.Kind]
	host := f.hosts[id][instance.Name]
	authority, err := f.identities[id].Authority(string(name))
	if err != nil {
		f.t.Fatal(err)
	}
	certificate, key, err := authority.Issue(pki.Leaf{CommonName: "server", Names: []string{host}, Server: true, Lifetime: 24 * time.Hour}, time.Now())
	if err != nil {
		f.t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		f.t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AddCert(authority.Certificate)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.page(w, r, instance.Kind) }))
	server.Listener = f.listen(host, port)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13}
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	f.t.Cleanup(server.Close)
}

func (f *fixture) page(w http.ResponseWriter, r *http.Request, kind controlplane.Kind) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked[kind]++
	subject := r.TLS.PeerCertificates[0].Subject
	f.users[fmt.Sprint(subject.CommonName, subject.Organization, r.Header.Get("Accept-Encoding"))] = true
	if f.status != 0 {
		w.WriteHeader(f.status)
		return
	}
	if kind == controlplane.Etcd {
		fmt.Fprintln(w, "etcd_mvcc_db_total_size_in_bytes 1e6\netcd_mvcc_db_total_size_in_use_in_bytes 5e5")
		return
	}
	fmt.Fprintf(w, `apiserver_flowcontrol_current_executing_seats{flow_schema="global-default"} 1
apiserver_longrunning_requests{verb="WATCH"} 10
apiserver_request_total{verb="POST",resource="pods",code="201"} %d
apiserver_resource_objects{group="",resource="nodes"} 3
apiserver_resource_objects{group="",resource="pods"} %d
`, f.posts, f.pods)
}

func (f *fixture) listen(host string, port int) net.Listener {
	f.t.Helper()
	listener, err := new(net.ListenConfig).Listen(f.t.Context(), "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = listener.Close() })
	return listener
}

// hang accepts connections and says nothing.
func (f *fixture) hang(id, instance string, port int) { f.listen(f.hosts[id][instance], port) }

// round is one period: every guest has its turn, and all samples end.
func (f *fixture) round() { f.rounds(0) }

func (f *fixture) rounds(first int) {
	for turn := range turns {
		f.Turn(f.t.Context(), first+turn)
	}
	f.samples.Wait()
	f.clock.Step(period)
}

// told are the guests whose load has changed since this was last asked.
func (f *fixture) told() []string {
	var ids []string
	for {
		select {
		case id := <-f.changed:
			ids = append(ids, id)
		default:
			slices.Sort(ids)
			return ids
		}
	}
}

func (f *fixture) value(id string, name v1alpha1.LoadMetricName) string {
	told := f.Load(id)
	if told == nil {
		return "none"
	}
	if value, ok := load.Value(told, name); ok {
		return strconv.FormatFloat(value, 'f', -1, 64)
	}
	return "missing"
}

func (f *fixture) busy(id string) bool {
	f.Sampler.mu.Lock()
	defer f.Sampler.mu.Unlock()
	g := f.guests[id]
	return g != nil && g.busy
}

func (f *fixture) until(condition func() bool) {
	f.t.Helper()
	met := func(context.Context) (bool, error) { return condition(), nil }
	if err := wait.PollUntilContextTimeout(f.t.Context(), time.Millisecond, 30*time.Second, true, met); err != nil {
		f.t.Fatal(err)
	}
}
