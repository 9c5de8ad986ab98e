package sampling

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/pki"
)

// Serve the pages of a cell's guests until the context ends, and answer as its supervisor. Ready is called
// when all listen. Recorded is the directory of the pages.
func Serve(ctx context.Context, dir, recorded string, ready func()) error {
	c := open(dir)
	bodies := map[controlplane.Kind][][]byte{}
	for kind, of := range pages {
		for _, name := range of.files {
			body, err := unpack(filepath.Join(recorded, name+".prom.gz"))
			if err != nil {
				return err
			}
			bodies[kind] = append(bodies[kind], body)
		}
	}
	failed := make(chan error, 1)
	begin := func(listener net.Listener, handler http.Handler) {
		server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
		context.AfterFunc(ctx, func() { _ = server.Close() }) // the process ends
		go func() {
			select {
			case failed <- server.Serve(listener):
			default:
			}
		}()
	}
	for _, id := range c.IDs() {
		if err := c.serveGuest(id, bodies, begin); err != nil {
			return err
		}
	}
	if err := c.serveSupervisor(begin); err != nil {
		return err
	}
	ready()
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

func unpack(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	from, err := gzip.NewReader(file)
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", path, err)
	}
	return io.ReadAll(from)
}

func (c *cell) serveGuest(id string, bodies map[controlplane.Kind][][]byte, begin func(net.Listener, http.Handler)) error {
	identity, err := c.Load(id)
	if err != nil {
		return err
	}
	hosts := c.hosts(id)
	for _, instance := range controlplane.Instances(c.Get(id).Spec, controlplane.Guest) {
		of, has := pages[instance.Kind]
		if !has {
			continue
		}
		config, err := serving(identity, of.authority, hosts[instance.Name])
		if err != nil {
			return err
		}
		listener, err := tls.Listen("tcp", net.JoinHostPort(hosts[instance.Name], strconv.Itoa(of.port)), config)
		if err != nil {
			return err
		}
		begin(listener, answers(bodies[instance.Kind]))
	}
	return nil
}

// answers with one page after the other, and the last one from then on.
func answers(bodies [][]byte) http.HandlerFunc {
	var asked atomic.Int64
	return func(w http.ResponseWriter, _ *http.Request) {
		n := min(asked.Add(1), int64(len(bodies)))
		_, _ = w.Write(bodies[n-1]) // fails when the reader has gone
	}
}

// serving lets in those who have a certificate of the guest's authority, as the real servers do.
func serving(identity pki.Identity, name controlplane.Authority, host string) (*tls.Config, error) {
	authority, err := identity.Authority(string(name))
	if err != nil {
		return nil, err
	}
	certificate, key, err := authority.Issue(pki.Leaf{CommonName: "server", Names: []string{host}, Server: true, Lifetime: time.Hour}, time.Now())
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, err
	}
	clients := x509.NewCertPool()
	clients.AddCert(authority.Certificate)
	return &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13}, nil
}

// serveSupervisor answers how guests are: they run, all as this process.
func (c *cell) serveSupervisor(begin func(net.Listener, http.Handler)) error {
	listener, err := net.Listen("unix", filepath.Join(c.dir, "supervisor.sock"))
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /guests/{id}", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(c.observation(r.PathValue("id"), os.Getpid())) // fails when the asker has gone
	})
	begin(listener, mux)
	return nil
}
