package roundtrip

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/agent/orders"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/pki"
	"github.com/myriad-fleet/myriad/internal/roundtrip"
)

var zones = []string{"a", "b", "c"}

// fixture is the guests of a cell, whose components listen on loopback addresses of their own.
type fixture struct {
	t          *testing.T
	orders     map[string]orders.Order
	hosts      map[string]map[string]string
	identities map[string]pki.Identity
	clock      *clocktesting.FakeClock
	later      atomic.Bool // members have counted on
}

func newFixture(t *testing.T) *fixture {
	return &fixture{
		t: t, orders: map[string]orders.Order{}, hosts: map[string]map[string]string{}, identities: map[string]pki.Identity{},
		clock: clocktesting.NewFakeClock(time.Now()),
	}
}

func (f *fixture) IDs() []string                         { return slices.Sorted(maps.Keys(f.orders)) }
func (f *fixture) Get(id string) orders.Order            { return f.orders[id] }
func (f *fixture) Load(id string) (pki.Identity, error)  { return f.identities[id], nil }
func (f *fixture) addresses(id string) map[string]string { return f.hosts[id] }
func (f *fixture) Cell() *v1alpha1.Cell                  { return &v1alpha1.Cell{Spec: v1alpha1.CellSpec{Zones: zones}} }

func (f *fixture) round(m *Measurer) []v1alpha1.RoundTrip {
	m.Round(f.t.Context(), zones)
	return m.RoundTrips()
}

func (f *fixture) measurer() *Measurer {
	m := New(Options{
		Hub: f, Orders: f, Identities: f, Hosts: f.addresses, Changed: func() {}, Clock: f.clock, Log: slog.New(slog.DiscardHandler),
	})
	m.patience = 30 * time.Second // nothing hangs but what says so
	return m
}

// guest whose components have the addresses 127.78.<n>.1 and so on; nothing listens on them yet.
func (f *fixture) guest(id string, n int, availability v1alpha1.Availability) {
	f.t.Helper()
	identity, err := pki.NewIdentity(id, time.Now())
	if err != nil {
		f.t.Fatal(err)
	}
	spec := &v1alpha1.ControlPlaneSpec{ID: id, Zones: zones, Availability: availability}
	f.orders[id], f.identities[id], f.hosts[id] = orders.Order{Spec: spec}, identity, map[string]string{}
	for i, instance := range controlplane.Instances(spec, controlplane.Guest) {
		f.hosts[id][instance.Name] = "127.78." + strconv.Itoa(n) + "." + strconv.Itoa(i+1)
	}
}

// member serves the recorded pages of etcd on a guest's member, to those who hold a certificate of the
// guest's etcd authority.
func (f *fixture) member(id, zone string) {
	f.t.Helper()
	host := f.hosts[id][controlplane.InstanceName(controlplane.Etcd, zone)]
	authority, err := f.identities[id].Authority(string(controlplane.EtcdCA))
	if err != nil {
		f.t.Fatal(err)
	}
	certificate, key, err := authority.Issue(pki.Leaf{CommonName: "etcd", Names: []string{host}, Server: true, Lifetime: time.Hour}, time.Now())
	if err != nil {
		f.t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		f.t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AddCert(authority.Certificate)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { f.page(w, zone) }))
	server.Listener = f.listen(host, controlplane.EtcdMetricsPort)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13}
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	f.t.Cleanup(server.Close)
}

// page of the member of a zone, as it was recorded.
func (f *fixture) page(w io.Writer, zone string) {
	suffix := "-1.prom"
	if f.later.Load() {
		suffix = map[string]string{"a": "-2.prom.gz"}[zone]
		if suffix == "" {
			suffix = "-2.prom"
		}
	}
	file, err := os.Open("../../roundtrip/testdata/etcd-v3.6.16-" + zone + suffix)
	if err != nil {
		f.t.Error(err)
		return
	}
	defer file.Close()
	from := io.Reader(file)
	if strings.HasSuffix(suffix, ".gz") {
		if from, err = gzip.NewReader(file); err != nil {
			f.t.Error(err)
			return
		}
	}
	if _, err := io.Copy(w, from); err != nil {
		f.t.Error(err)
	}
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

func sources(trips []v1alpha1.RoundTrip) string {
	var all []string
	for _, trip := range trips {
		all = append(all, trip.Between+" "+trip.Source)
	}
	return strings.Join(all, ", ")
}

// TestPeers: three members are asked with a certificate that their guest's own authority signed; what
// they counted between two rounds is measured.
func TestPeers(t *testing.T) {
	f := newFixture(t)
	f.guest("aaaaaaaaaa", 1, v1alpha1.Zonal)
	for _, zone := range zones {
		f.member("aaaaaaaaaa", zone)
	}
	m := f.measurer()
	if got := f.round(m); got != nil {
		t.Errorf("the first round says %v", got)
	}
	f.later.Store(true)
	f.clock.Step(period)
	if got := sources(f.round(m)); got != "a-b EtcdPeers, a-c EtcdPeers, b-c EtcdPeers" {
		t.Errorf("measured %s", got)
	}
	if _, ok := m.answered["aaaaaaaaaa"]; !ok {
		t.Error("it is not remembered that the guest answered")
	}
	entombed := f.orders["aaaaaaaaaa"]
	entombed.Entombed = true
	f.orders["aaaaaaaaaa"] = entombed
	f.round(m)
	if len(m.answered) != 0 {
		t.Errorf("guests that are gone are remembered: %v", m.answered)
	}
}

// TestSlowGuests: guests whose members hang or are dead take nothing from the others, and no round
// lasts much longer than the patience with one.
func TestSlowGuests(t *testing.T) {
	f := newFixture(t)
	f.guest("aaaaaaaaaa", 2, v1alpha1.Zonal) // hangs
	f.guest("bbbbbbbbbb", 3, v1alpha1.Zonal) // dead
	f.guest("cccccccccc", 4, v1alpha1.Zonal) // well, but for zone c, which hangs
	f.identities["dddddddddd"], f.orders["dddddddddd"] = nil, orders.Order{Spec: &v1alpha1.ControlPlaneSpec{Zones: zones}}
	f.hosts["dddddddddd"] = maps.Clone(f.hosts["bbbbbbbbbb"]) // no identity
	for _, zone := range zones {
		f.hang("aaaaaaaaaa", "etcd-"+zone, controlplane.EtcdMetricsPort)
	}
	f.member("cccccccccc", "a")
	f.member("cccccccccc", "b")
	f.hang("cccccccccc", "etcd-c", controlplane.EtcdMetricsPort)
	m := f.measurer()
	m.patience = 2 * time.Second
	begun := time.Now()
	f.round(m)
	f.later.Store(true)
	f.clock.Step(period)
	if got := sources(f.round(m)); got != "a-b EtcdPeers" {
		t.Errorf("measured %q", got)
	}
	if took := time.Since(begun); took > 20*m.patience {
		t.Errorf("two rounds took %s", took)
	}
	want := map[string]bool{"aaaaaaaaaa": false, "bbbbbbbbbb": false, "cccccccccc": true, "dddddddddd": false}
	if !maps.Equal(m.answered, want) {
		t.Errorf("answered: %v, want %v", m.answered, want)
	}
}

// TestProbe: without an etcd that spans zones the agent's own way to each zone is measured.
func TestProbe(t *testing.T) {
	f := newFixture(t)
	for i, zone := range zones[:2] {
		id := strings.Repeat(zone, 10)
		f.guest(id, 5+i, v1alpha1.Single)
		f.orders[id].Spec.Zones = []string{zone}
		f.hosts[id] = map[string]string{"etcd-" + zone: "127.78.5." + strconv.Itoa(2*i+1), "kube-apiserver-" + zone: "127.78.5." + strconv.Itoa(2*i+2)}
		f.hang(id, "kube-apiserver-"+zone, controlplane.APIServerPort)
	}
	m := f.measurer()
	if got := f.round(m); got != nil {
		t.Errorf("five connections say %v", got)
	}
	if got := sources(f.round(m)); got != "a-b Probe" {
		t.Errorf("measured %q", got)
	}
}

// TestRun: there is a round at once and each minute, and nothing is done while the Cell is not known.
func TestRun(t *testing.T) {
	f := newFixture(t)
	rounds := make(chan struct{})
	m := f.measurer()
	m.Changed = func() { rounds <- struct{}{} }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.Run(ctx)
	}()
	<-rounds
	waits := func(context.Context) (bool, error) { return f.clock.HasWaiters(), nil }
	if err := wait.PollUntilContextTimeout(ctx, time.Millisecond, 20*time.Second, true, waits); err != nil {
		t.Fatal(err)
	}
	f.clock.Step(period)
	<-rounds
	cancel()
	<-done
	if got := roundtrip.Measured(zones, m.window, m.probes); got != nil {
		t.Errorf("without guests: %v", got)
	}
}
