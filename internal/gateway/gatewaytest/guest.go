// Package gatewaytest has guests for the gateway's tests: API servers on loopback that are ready, drain,
// die or hang when they are told to, and clients that hold a watch to them.
package gatewaytest

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/myriad-fleet/myriad/internal/gateway/routing"
	"github.com/myriad-fleet/myriad/internal/pki"
)

// Guest with a CA of its own.
type Guest struct {
	// ID of the guest.
	ID string
	// ServerName that its API servers have certificates for.
	ServerName string
	// CABundle (PEM) that they are verified by.
	CABundle string

	certificate tls.Certificate
}

// NewGuest makes a guest without API servers.
func NewGuest(t *testing.T, id string) *Guest {
	t.Helper()
	authority, err := pki.NewAuthority(id, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	name := id + ".test.example"
	certificate, key, err := authority.Issue(
		pki.Leaf{CommonName: name, Names: []string{name}, Server: true, Lifetime: time.Hour}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	return &Guest{ID: id, ServerName: name, CABundle: string(authority.CertificatePEM()), certificate: pair}
}

// Route to API servers of the guest.
func (g *Guest) Route(epoch int64, servers ...*APIServer) routing.Route {
	route := routing.Route{ID: g.ID, Cell: "cell", Epoch: epoch, ServerName: g.ServerName, CABundle: g.CABundle}
	for _, server := range servers {
		route.Backends = append(route.Backends, server.Backend)
	}
	return route
}

// Client configuration that verifies the guest and sends its server name.
func (g *Guest) Client() *tls.Config {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(g.CABundle))
	return &tls.Config{RootCAs: roots, ServerName: g.ServerName, MinVersion: tls.VersionTLS12}
}

// NamelessClient configuration that verifies the guest's CA and sends no server name, as a node's client
// that dials an IP does.
func (g *Guest) NamelessClient() *tls.Config {
	config := g.Client()
	config.ServerName = ""
	config.InsecureSkipVerify = true
	config.VerifyConnection = func(state tls.ConnectionState) error {
		_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: config.RootCAs, DNSName: g.ServerName})
		return err
	}
	return config
}

// APIServer of a guest in a zone.
type APIServer struct {
	// Backend that the server is reached by.
	Backend routing.Backend
	// Readyz answers GET /readyz.
	Readyz atomic.Pointer[Answer]
	// Accepted connections so far.
	Accepted atomic.Int64

	server *httptest.Server
	gate   *gate
}

// Answer of GET /readyz.
type Answer struct {
	Status int
	Body   string
}

// Draining is what a kube-apiserver answers that is about to stop.
func Draining() *Answer {
	return &Answer{Status: http.StatusInternalServerError, Body: "[+]ping ok\n[-]shutdown failed: reason withheld\n"}
}

// Start an API server that is ready. The test's end stops it.
func (g *Guest) Start(t *testing.T, zone string) *APIServer {
	t.Helper()
	api := &APIServer{gate: newGate()}
	api.Readyz.Store(&Answer{Status: http.StatusOK, Body: "ok"})
	api.server = httptest.NewUnstartedServer(api)
	api.server.Listener = gatedListener{Listener: api.server.Listener, server: api}
	api.server.TLS = &tls.Config{Certificates: []tls.Certificate{g.certificate}, MinVersion: tls.VersionTLS12}
	api.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	address := netip.MustParseAddrPort(api.server.Listener.Addr().String())
	api.Backend = routing.Backend{Zone: zone, Address: address.Addr().String(), Port: int32(address.Port())}
	api.server.StartTLS()
	t.Cleanup(api.Kill)
	return api
}

// ServeHTTP answers GET /readyz, and GET /watch with a line that names the zone and then every line that it
// is sent.
func (a *APIServer) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	if request.URL.Path == "/readyz" {
		answer := a.Readyz.Load()
		writer.WriteHeader(answer.Status)
		_, _ = io.WriteString(writer, answer.Body)
		return
	}
	connection, buffered, err := http.NewResponseController(writer).Hijack()
	if err != nil {
		return
	}
	defer connection.Close()
	if _, err := fmt.Fprintf(connection, "%s\n", a.Backend.Zone); err == nil {
		_, _ = io.Copy(connection, buffered)
	}
}

// Kill the server: its connections end and its port refuses.
func (a *APIServer) Kill() {
	a.gate.open()
	a.server.CloseClientConnections()
	_ = a.server.Config.Close() // its listener may be closed already
}

// Hang the server as SIGSTOP does: the kernel goes on to accept connections, nothing answers.
func (a *APIServer) Hang() { a.gate.shut() }

// Resume after Hang.
func (a *APIServer) Resume() { a.gate.open() }

// gatedListener accepts nothing while its server hangs.
type gatedListener struct {
	net.Listener
	server *APIServer
}

// Accept implements net.Listener.
func (l gatedListener) Accept() (net.Conn, error) {
	connection, err := l.Listener.Accept()
	l.server.gate.pass()
	if err != nil {
		return nil, err
	}
	l.server.Accepted.Add(1)
	return gatedConnection{Conn: connection, gate: l.server.gate}, nil
}

// gatedConnection moves nothing while its server hangs.
type gatedConnection struct {
	net.Conn
	gate *gate
}

// Read implements net.Conn.
func (c gatedConnection) Read(into []byte) (int, error) {
	count, err := c.Conn.Read(into)
	c.gate.pass()
	return count, err
}

// Write implements net.Conn.
func (c gatedConnection) Write(from []byte) (int, error) {
	c.gate.pass()
	return c.Conn.Write(from)
}
