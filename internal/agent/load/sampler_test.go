package load

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
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
}

func newFixture(t *testing.T) *fixture {
	f := &fixture{
		t: t, clock: clocktesting.NewFakeClock(time.Now()), changed: make(chan string, 100), orders: map[string]orders.Order{},
		hosts: map[string]map[string]string{}, identities: map[string]pki.Identity{}, observed: map[string]runtime.Observation{},
		hub: map[string]*v1alpha1.ControlPlane{}, young: map[string]bool{}, users: map[string]bool{}, pods: 100,
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
	f.patience = 500 * time.Millisecond
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
process_start_time_seconds 1
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
func (f *fixture) round() {
	for turn := range turns {
		f.Turn(f.t.Context(), turn)
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

// TestSample: all instances are read, as nobody but a reader of metrics and without compression; the
// first sample waits for the second.
func TestSample(t *testing.T) {
	f := newFixture(t)
	f.guest("aaaaaaaaaa", 1, v1alpha1.Zonal)
	f.serve("aaaaaaaaaa")
	f.round()
	if got := f.told(); got != nil {
		t.Errorf("a load without rates was told: %v", got)
	}
	f.posts = 45
	f.round()
	if got := f.told(); !slices.Equal(got, []string{"aaaaaaaaaa"}) {
		t.Errorf("told: %v", got)
	}
	for name, want := range map[v1alpha1.LoadMetricName]string{
		v1alpha1.LoadNodes: "3", v1alpha1.LoadWatches: "30", v1alpha1.LoadWritesPerSecond: "9", v1alpha1.LoadDatabaseBytes: "1000000", v1alpha1.LoadExecutingSeats: "0",
	} {
		if got := f.value("aaaaaaaaaa", name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if told := f.Load("aaaaaaaaaa"); len(told.Missing) != 0 || len(told.Usage) != 1 {
		t.Errorf("missing %v, usage %v", told.Missing, told.Usage)
	}
	if want := map[string]bool{"myriad:monitoring[myriad:monitoring]": true}; !maps.Equal(f.users, want) {
		t.Errorf("came as %v", f.users)
	}
}

// TestWrites: a load that does not change much is told every ten minutes, one that does at once, and a
// metric that is missing once is waited for.
func TestWrites(t *testing.T) {
	f := newFixture(t)
	f.guest("aaaaaaaaaa", 2, v1alpha1.Single)
	f.serve("aaaaaaaaaa")
	count := 0
	for range 4 * 30 { // half an hour
		f.pods = 100 + count%5
		f.round()
		count += len(f.told())
	}
	if count != 3 {
		t.Errorf("in half an hour without news there were %d", count)
	}
	f.pods = 200
	f.round()
	if got := f.told(); len(got) != 1 || f.value("aaaaaaaaaa", v1alpha1.LoadPods) != "200" {
		t.Errorf("twice as many pods: told %v", got)
	}
	f.observed["aaaaaaaaaa"].Components[0].State = runtime.BackOff // etcd
	f.round()
	if got := f.told(); got != nil {
		t.Errorf("missing for one sample: told %v", got)
	}
	f.round()
	if got := f.told(); len(got) != 1 || f.value("aaaaaaaaaa", v1alpha1.LoadDatabaseBytes) != "missing" {
		t.Errorf("missing for two samples: told %v", got)
	}
	f.observed["aaaaaaaaaa"].Components[0].State = runtime.Running
	f.round()
	if got := f.told(); len(got) != 1 || f.value("aaaaaaaaaa", v1alpha1.LoadDatabaseBytes) != "1000000" {
		t.Errorf("there again: told %v", got)
	}
}

// TestRestart: an agent that has just started knows from the hub what was told, and tells nothing new
// where nothing is.
func TestRestart(t *testing.T) {
	f := newFixture(t)
	f.guest("aaaaaaaaaa", 3, v1alpha1.Single)
	f.serve("aaaaaaaaaa")
	f.round()
	f.round()
	f.hub["aaaaaaaaaa"] = &v1alpha1.ControlPlane{Status: v1alpha1.ControlPlaneStatus{Load: f.Load("aaaaaaaaaa")}}
	f.told()
	f.restart()
	f.round()
	f.round()
	f.round()
	if got := f.told(); got != nil {
		t.Errorf("told %v after a restart", got)
	}
	f.pods = 1000
	f.round()
	if got := f.told(); len(got) != 1 {
		t.Errorf("ten times the pods: told %v", got)
	}
	f.restart()
	f.clock.Step(-time.Hour) // the clock was put back
	f.round()
	f.round()
	if got := f.told(); len(got) != 1 {
		t.Errorf("with the clock put back: told %v", got)
	}
}

// TestDown: a guest that is down keeps the load that it had; one that is gone, or frozen, or not set up
// yet has none.
func TestDown(t *testing.T) {
	f := newFixture(t)
	for n, id := range []string{"aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc", "dddddddddd"} {
		f.guest(id, 4+n, v1alpha1.Single)
		f.serve(id)
	}
	f.orders["bbbbbbbbbb"].Spec.SupersededBy = 2
	f.young["cccccccccc"] = true
	f.hosts["dddddddddd"] = nil
	f.round()
	f.round()
	if got := f.told(); !slices.Equal(got, []string{"aaaaaaaaaa"}) {
		t.Errorf("told %v", got)
	}
	before := f.Load("aaaaaaaaaa")
	for i := range f.observed["aaaaaaaaaa"].Components {
		f.observed["aaaaaaaaaa"].Components[i].State = runtime.BackOff
	}
	for range 50 {
		f.round()
	}
	f.observed["aaaaaaaaaa"] = runtime.Observation{} // the runtime is away: all are asked, and refuse
	f.status = http.StatusForbidden
	f.round()
	if got := f.told(); got != nil || f.Load("aaaaaaaaaa") != before {
		t.Errorf("told %v while the guest was down", got)
	}
	f.status = 0
	f.round()
	f.round()
	if got := f.told(); len(got) != 1 {
		t.Errorf("told %v when it was back", got)
	}
	entombed := f.orders["aaaaaaaaaa"]
	entombed.Entombed = true
	f.orders["aaaaaaaaaa"] = entombed
	delete(f.orders, "bbbbbbbbbb")
	delete(f.orders, "dddddddddd")
	f.round()
	if f.Load("aaaaaaaaaa") != nil || len(f.guests) != 0 {
		t.Errorf("guests that are gone are remembered: %v", f.guests)
	}
}

// TestSlow: guests that hang or are dead take nothing from the others, however many they are, and none
// is asked again while it still is.
func TestSlow(t *testing.T) {
	f := newFixture(t)
	f.patience = time.Minute
	for n := range 2 * quickAtOnce {
		id := fmt.Sprintf("hung%06d", n)
		f.guest(id, 20+n, v1alpha1.Single)
		f.hang(id, "kube-apiserver-a", controlplane.APIServerPort)
		f.hang(id, "etcd-a", controlplane.EtcdMetricsPort)
		f.guests[id] = &guest{id: id, limped: true}
	}
	f.guest("aaaaaaaaaa", 10, v1alpha1.Zonal)
	f.serve("aaaaaaaaaa")
	f.guest("bbbbbbbbbb", 11, v1alpha1.Zonal) // dead in zone c
	f.serve("bbbbbbbbbb", "kube-apiserver-c", "etcd-c")
	ctx, cancel := context.WithCancel(t.Context())
	for range 4 {
		for turn := range turns {
			f.Turn(ctx, turn)
		}
		for _, id := range []string{"aaaaaaaaaa", "bbbbbbbbbb"} {
			f.until(func() bool { return !f.busy(id) })
		}
		f.clock.Step(period)
	}
	if got := slices.Compact(f.told()); !slices.Equal(got, []string{"aaaaaaaaaa", "bbbbbbbbbb"}) {
		t.Errorf("told %v beside guests that hang", got)
	}
	if got := f.value("bbbbbbbbbb", v1alpha1.LoadWatches) + " " + f.value("bbbbbbbbbb", v1alpha1.LoadPods); got != "missing 100" {
		t.Errorf("without one of three API servers watches and pods are %s", got)
	}
	if got := len(f.slow); got != 2*quickAtOnce {
		t.Errorf("%d samples wait, want one for each guest that hangs", got)
	}
	cancel()
	f.samples.Wait()
}

// TestRefused: a page that is too long, and a guest whose certificate is another's, are not read.
func TestRefused(t *testing.T) {
	f := newFixture(t)
	f.guest("aaaaaaaaaa", 12, v1alpha1.Single)
	f.serve("aaaaaaaaaa")
	other, err := pki.NewIdentity("bbbbbbbbbb", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	access := func() *http.Client {
		g := &guest{id: "aaaaaaaaaa"}
		made, err := f.accessTo(g)
		if err != nil {
			t.Fatal(err)
		}
		return made.apiServers
	}
	whole := func(page io.Reader) error { _, err := io.Copy(io.Discard, page); return err }
	host := f.hosts["aaaaaaaaaa"]["kube-apiserver-a"]
	if err := get(t.Context(), access(), host, controlplane.APIServerPort, 1000, whole); err != nil {
		t.Errorf("a page: %v", err)
	}
	if err := get(t.Context(), access(), host, controlplane.APIServerPort, 100, whole); err == nil {
		t.Error("a page that is too long was read")
	}
	f.identities["aaaaaaaaaa"] = other
	if err := get(t.Context(), access(), host, controlplane.APIServerPort, 1000, whole); err == nil {
		t.Error("somebody else's page was read")
	}
	f.identities["aaaaaaaaaa"] = nil
	if _, err := f.accessTo(&guest{id: "aaaaaaaaaa"}); err == nil {
		t.Error("there is access without an identity")
	}
}

// TestAccess: certificates are made once, and anew before they end.
func TestAccess(t *testing.T) {
	f := newFixture(t)
	f.guest("aaaaaaaaaa", 13, v1alpha1.Single)
	f.serve("aaaaaaaaaa")
	for range 100 { // 25 minutes
		f.round()
	}
	if got := f.loads.Load(); got != 1 {
		t.Errorf("the identity was read %d times in 25 minutes", got)
	}
	for range 40 {
		f.round()
	}
	if got := f.loads.Load(); got != 2 {
		t.Errorf("the identity was read %d times in 35 minutes", got)
	}
}

// TestRun: turns come one after the other until the context ends.
func TestRun(t *testing.T) {
	f := newFixture(t)
	f.guest("aaaaaaaaaa", 14, v1alpha1.Single)
	f.serve("aaaaaaaaaa")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.Run(ctx)
	}()
	f.until(func() bool {
		if f.clock.HasWaiters() {
			f.clock.Step(period / turns)
		}
		return f.Load("aaaaaaaaaa") != nil
	})
	cancel()
	<-done
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
