// Package certificates issues the leaf certificates that manifests ask for, and renews them before
// they expire.
package certificates

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/renameio/v2"
	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/pki"
)

const (
	fileMode = 0o600
	dirMode  = 0o700
)

// Store keeps leaf certificates on disk: <dir>/<guest>/<component>/<name>.pem, the certificate and
// its key in one file, so that they change together.
type Store struct {
	dir      string
	lifetime time.Duration
	clock    clock.Clock
}

// NewStore keeps under dir certificates that live for lifetime.
func NewStore(dir string, lifetime time.Duration, clk clock.Clock) *Store {
	return &Store{dir: dir, lifetime: lifetime, clock: clk}
}

// Set is the certificates of one manifest.
type Set struct {
	material map[string][]byte // PEM by component/File.From
	// RenewAt is when the first of them is due; zero when there are none.
	RenewAt time.Time
}

// Material returns the PEM that File.From names, and false when it names no certificate of the
// component.
func (s *Set) Material(component, from string) ([]byte, bool) {
	content, ok := s.material[component+"/"+from]
	return content, ok
}

func add(set *Set, component, name string, issued leaf, renewAt time.Time) {
	set.material[component+"/"+controlplane.CertificateFile(name)] = issued.certificate
	set.material[component+"/"+controlplane.CertificateKey(name)] = issued.key
	if set.RenewAt.IsZero() || renewAt.Before(set.RenewAt) {
		set.RenewAt = renewAt
	}
}

type leaf struct{ certificate, key []byte }

// Issue returns every certificate that the manifest asks for: those on disk that are still good, the
// others made anew.
func (s *Store) Issue(manifest controlplane.Manifest, identity pki.Identity) (Set, error) {
	set := Set{material: map[string][]byte{}}
	authorities := map[controlplane.Authority]*pki.Authority{}
	for _, component := range manifest.Components {
		for _, want := range component.Certificates {
			authority, err := authorityOf(authorities, identity, want.Authority)
			if err != nil {
				return Set{}, fmt.Errorf("guest %s: %s: certificate %s: %w", manifest.ID, component.Name, want.Name, err)
			}
			file := filepath.Join(s.dir, manifest.ID, component.Name, want.Name+".pem")
			issued, renewAt, err := s.ensure(file, want, authority)
			if err != nil {
				return Set{}, fmt.Errorf("guest %s: %s: certificate %s: %w", manifest.ID, component.Name, want.Name, err)
			}
			add(&set, component.Name, want.Name, issued, renewAt)
		}
	}
	return set, nil
}

// Remove removes all certificates of a guest. It may be called again.
func (s *Store) Remove(id string) error {
	if err := os.RemoveAll(filepath.Join(s.dir, id)); err != nil {
		return fmt.Errorf("guest %s: remove the certificates: %w", id, err)
	}
	return nil
}

// ensure returns the certificate of that file when it is good, or else a new one.
func (s *Store) ensure(file string, want controlplane.Certificate, authority *pki.Authority) (leaf, time.Time, error) {
	data, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return leaf{}, time.Time{}, fmt.Errorf("read it: %w", err)
	}
	if kept, ok := split(data); ok {
		if renewAt, ok := s.good(kept, want, authority); ok {
			return kept, renewAt, nil
		}
	}
	certificate, key, err := authority.Issue(pki.Leaf{
		CommonName: want.CommonName, Organizations: want.Organizations, Names: want.Names,
		Server: want.Server, Client: want.Client, Lifetime: s.lifetime,
	}, s.clock.Now())
	if err != nil {
		return leaf{}, time.Time{}, fmt.Errorf("issue it: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(file), dirMode); err != nil {
		return leaf{}, time.Time{}, fmt.Errorf("make its directory: %w", err)
	}
	if err := renameio.WriteFile(file, slices.Concat(certificate, key), fileMode, renameio.WithTempDir(filepath.Dir(file))); err != nil {
		return leaf{}, time.Time{}, fmt.Errorf("keep it: %w", err)
	}
	renewAt, err := pki.RenewAt(certificate)
	if err != nil {
		return leaf{}, time.Time{}, fmt.Errorf("find out when to renew it: %w", err)
	}
	return leaf{certificate: certificate, key: key}, renewAt, nil
}

// good tells whether a certificate is what is wanted, from that authority, whole, and not due. One
// from the future is not good either: the clock went back, and others would refuse it.
func (s *Store) good(kept leaf, want controlplane.Certificate, authority *pki.Authority) (time.Time, bool) {
	pair, err := tls.X509KeyPair(kept.certificate, kept.key)
	if err != nil {
		return time.Time{}, false
	}
	renewAt, err := pki.RenewAt(kept.certificate)
	if err != nil {
		return time.Time{}, false
	}
	now, certificate := s.clock.Now(), pair.Leaf
	ok := now.Before(renewAt) && !now.Before(certificate.NotBefore) &&
		certificate.CheckSignatureFrom(authority.Certificate) == nil && matches(certificate, want)
	return renewAt, ok
}

func matches(certificate *x509.Certificate, want controlplane.Certificate) bool {
	names := slices.Clone(certificate.DNSNames)
	for _, ip := range certificate.IPAddresses {
		names = append(names, ip.String())
	}
	return certificate.Subject.CommonName == want.CommonName &&
		sameSet(certificate.Subject.Organization, want.Organizations) &&
		sameSet(names, want.Names) &&
		slices.Contains(certificate.ExtKeyUsage, x509.ExtKeyUsageServerAuth) == want.Server &&
		slices.Contains(certificate.ExtKeyUsage, x509.ExtKeyUsageClientAuth) == want.Client
}

func sameSet(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}

// split takes the certificate and the key of one file apart.
func split(data []byte) (leaf, bool) {
	certificate, rest := pem.Decode(data)
	if certificate == nil || len(rest) == 0 {
		return leaf{}, false
	}
	return leaf{certificate: pem.EncodeToMemory(certificate), key: bytes.Clone(rest)}, true
}

func authorityOf(
	parsed map[controlplane.Authority]*pki.Authority, identity pki.Identity, name controlplane.Authority,
) (*pki.Authority, error) {
	if authority, ok := parsed[name]; ok {
		return authority, nil
	}
	authority, err := identity.Authority(string(name))
	if err != nil {
		return nil, err
	}
	parsed[name] = authority
	return authority, nil
}
