package load

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"time"

	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/pki"
)

// lifetime of a certificate, which is kept in memory and made anew at half of it.
const lifetime = time.Hour

// access to the pages of one guest. An API server lets the certificate read metrics and nothing else;
// etcd, which has no users of its own here, would let it do anything. It is made by who holds the
// authority anyway, and never leaves the process.
type access struct {
	apiServers, members *http.Client
	until               time.Time
}

// accessTo a guest, kept from sample to sample: a certificate costs signatures.
func (s *Sampler) accessTo(g *guest) (*access, error) {
	now := s.Clock.Now()
	if g.access != nil && now.Before(g.access.until) {
		return g.access, nil
	}
	identity, err := s.Identities.Load(g.id)
	if err != nil {
		return nil, err
	}
	if identity == nil {
		return nil, fmt.Errorf("guest %s has no identity yet", g.id)
	}
	made := &access{until: now.Add(lifetime / 2)}
	reader := pki.Leaf{CommonName: controlplane.MonitoringGroup, Organizations: []string{controlplane.MonitoringGroup}, Client: true, Lifetime: lifetime}
	for _, of := range []struct {
		authority controlplane.Authority
		client    **http.Client
	}{{controlplane.ClusterCA, &made.apiServers}, {controlplane.EtcdCA, &made.members}} {
		if *of.client, err = newClient(identity, of.authority, reader, now); err != nil {
			return nil, err
		}
	}
	g.access = made
	return made, nil
}

// newClient of servers of one of the guest's authorities.
func newClient(identity pki.Identity, name controlplane.Authority, reader pki.Leaf, now time.Time) (*http.Client, error) {
	authority, err := identity.Authority(string(name))
	if err != nil {
		return nil, err
	}
	certificate, key, err := authority.Issue(reader, now)
	if err != nil {
		return nil, fmt.Errorf("issue a certificate to read metrics: %w", err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("read the certificate to read metrics: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(authority.Certificate)
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{
			Certificates: []tls.Certificate{pair}, RootCAs: roots, MinVersion: tls.VersionTLS13,
			// A guest is read again soon: another handshake costs it, and us, no signatures.
			ClientSessionCache: tls.NewLRUClientSessionCache(mostZones),
		},
		// Connections are not kept: hundreds of them cost the agent more memory than it has beside, and
		// each would have to be drained with its API server.
		DisableKeepAlives: true,
		// A page is compressed to a twentieth, and never leaves the cell's network. Undoing that takes the
		// agent several times the CPU of reading the page as it is, and doing it takes the guest's.
		DisableCompression: true,
	}}, nil
}
