package backend

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/myriad-fleet/myriad/internal/gateway/health"
	"github.com/myriad-fleet/myriad/internal/gateway/routing"
)

// probeJitter spreads the probes of many back ends over the interval.
const probeJitter = 0.1

// startProbe of a back end whose CA is known. Without a CA nothing can be told about who answers, so the
// back end stays Unknown, which is usable. The mutex is held.
func (s *Set) startProbe(backend *Backend) {
	route := backend.guest.route
	if route.CABundle == "" {
		return
	}
	prober, err := s.options.NewProber(route, backend.target)
	if err != nil {
		s.options.Log.Error("back end cannot be probed and counts as usable",
			"id", route.ID, "zone", backend.target.Zone, "address", backend.target.HostPort(), "error", err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	backend.stopProbe = cancel
	s.probes.Go(func() {
		defer prober.Close()
		s.probe(ctx, backend, prober)
	})
}

// probe a back end until ctx is done.
func (s *Set) probe(ctx context.Context, backend *Backend, prober Prober) {
	timer := s.options.Clock.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C():
		}
		start := s.options.Clock.Now()
		outcome := prober.Probe(ctx)
		if ctx.Err() != nil {
			return
		}
		s.observe(backend, outcome)
		pause := wait.Jitter(s.options.ProbeInterval, probeJitter) - s.options.Clock.Since(start)
		timer.Reset(max(0, pause))
	}
}

// observe the outcome of a probe. A back end that is proven stuck loses its connections if the guest has
// one that is ready; otherwise they have nowhere better to go and may yet be answered. This is decided at
// the back end's own probes and not when another one turns ready, so that after a pause of them all
// (etcd electing a leader) each gets its own chance to recover first.
func (s *Set) observe(backend *Backend, outcome health.Outcome) {
	s.mutex.Lock()
	before := backend.state
	backend.state = before.Next(outcome)
	route, target, verdict := backend.guest.route, backend.target, backend.state.Verdict
	var stuck []Connection
	if backend.state.Cut() && backend.guest.hasReady() {
		stuck = slices.Collect(maps.Keys(backend.connections))
	}
	s.mutex.Unlock()
	if before.Verdict != verdict || len(stuck) > 0 {
		s.options.Log.Info("back end", "id", route.ID, "zone", target.Zone, "address", target.HostPort(),
			"verdict", verdict, "before", before.Verdict, "outcome", outcome, "cut", len(stuck))
	}
	s.cut(stuck, CutStuck)
}

// hasReady says that a back end of the route is ready. The mutex is held.
func (g *guest) hasReady() bool {
	return slices.ContainsFunc(g.backends, func(b *Backend) bool { return b.state.Verdict == health.Ready && !b.state.Suspect })
}

const (
	// freshProbes: every so many probes the connection is made anew. Probes share one kept-alive connection,
	// because a TLS handshake a second would cost ten times the CPU at both ends; but a server that has run
	// out of file descriptors answers old connections and accepts no new ones.
	freshProbes = 30
	// maxAnswer bytes of /readyz are read; kube-apiserver's is about 2 KiB.
	maxAnswer = 64 << 10
)

// readyzProber asks GET /readyz, which needs no credentials. It does not ask for the verbose form: a failed
// answer lists its checks anyway, and a good one costs less without.
type readyzProber struct {
	client *http.Client
	url    string
	count  int
}

// NewReadyzProber makes the prober of a kube-apiserver that is verified by the route's server name and CA.
// A probe takes at most timeout.
func NewReadyzProber(route routing.Route, backend routing.Backend, timeout time.Duration) (Prober, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(route.CABundle)) {
		return nil, errors.New("status.caBundle of its ControlPlane holds no PEM certificate; the cell's agent must report it")
	}
	transport := &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: roots, ServerName: route.ServerName, MinVersion: tls.VersionTLS12},
		MaxIdleConns:        1,
		MaxIdleConnsPerHost: 1,
		DisableCompression:  true,
		ReadBufferSize:      4 << 10,
		WriteBufferSize:     1 << 10,
	}
	return &readyzProber{
		client: &http.Client{
			Transport:     transport,
			Timeout:       timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		url: "https://" + backend.HostPort() + "/readyz",
	}, nil
}

// Probe implements Prober.
func (p *readyzProber) Probe(ctx context.Context) health.Outcome {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return health.Broken
	}
	p.count++
	request.Close = p.count%freshProbes == 0
	response, err := p.client.Do(request)
	if err != nil {
		return health.ClassifyError(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return health.ClassifyError(err)
	}
	return health.Classify(response.StatusCode, body)
}

// Close implements Prober.
func (p *readyzProber) Close() { p.client.CloseIdleConnections() }
