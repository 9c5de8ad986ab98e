package roundtrip

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/pki"
	"github.com/myriad-fleet/myriad/internal/roundtrip"
)

const (
	// user of the agent's certificate for guests' etcds.
	user = "myriad:agent"
	// lifetime of that certificate, which is made in memory for one round.
	lifetime = 10 * time.Minute
	// mostBytes of a page: one of etcd v3.6's has 170 kB.
	mostBytes = 8 << 20
)

// readGuest reads the metrics of all members of a guest at once. A member that does not answer in time
// is left out.
func (m *Measurer) readGuest(ctx context.Context, g guest) []roundtrip.Reading {
	identity, err := m.Identities.Load(g.id)
	if err != nil {
		m.Log.Debug("a guest's etcd cannot be asked for round-trip times", "guest", g.id, "error", err)
		return nil
	}
	client, err := m.client(identity)
	if err != nil {
		m.Log.Debug("a guest's etcd cannot be asked for round-trip times", "guest", g.id, "error", err)
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, m.patience)
	defer cancel()
	readings := make([]roundtrip.Reading, len(g.zones))
	var all sync.WaitGroup
	for i, zone := range g.zones {
		all.Go(func() {
			page, err := readPage(ctx, client, g.hosts[controlplane.InstanceName(controlplane.Etcd, zone)])
			if err != nil {
				m.Log.Debug("a member cannot be asked for round-trip times", "guest", g.id, "zone", zone, "error", err)
				return
			}
			readings[i] = roundtrip.Reading{Guest: g.id, Zone: zone, Page: page}
		})
	}
	all.Wait()
	return slices.DeleteFunc(readings, func(r roundtrip.Reading) bool { return r.Zone == "" })
}

// client that the guest's etcd lets in. It keeps no connections.
func (m *Measurer) client(identity pki.Identity) (*http.Client, error) {
	authority, err := identity.Authority(string(controlplane.EtcdCA))
	if err != nil {
		return nil, err
	}
	certificate, key, err := authority.Issue(pki.Leaf{CommonName: user, Client: true, Lifetime: lifetime}, m.Clock.Now())
	if err != nil {
		return nil, fmt.Errorf("issue the agent's certificate: %w", err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("read the agent's certificate: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(authority.Certificate)
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, MinVersion: tls.VersionTLS13},
		DisableKeepAlives: true,
	}}, nil
}

func readPage(ctx context.Context, client *http.Client, host string) (roundtrip.Page, error) {
	url := "https://" + net.JoinHostPort(host, strconv.Itoa(controlplane.EtcdMetricsPort)) + "/metrics"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return roundtrip.Page{}, fmt.Errorf("ask %s: %w", url, err)
	}
	response, err := client.Do(request)
	if err != nil {
		return roundtrip.Page{}, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return roundtrip.Page{}, fmt.Errorf("ask %s: %s", url, response.Status)
	}
	return roundtrip.ReadPage(io.LimitReader(response.Body, mostBytes))
}

// connect to an API server and hang up: opening a connection takes one round trip. A Service's address
// is translated by the kernel, so that the answer comes from the pod's node.
func (m *Measurer) connect(ctx context.Context, host string) (time.Duration, error) {
	dialer := net.Dialer{Timeout: m.patience}
	begun := m.Clock.Now()
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(controlplane.APIServerPort)))
	if err != nil {
		return 0, err
	}
	took := m.Clock.Since(begun)
	return took, conn.Close()
}
