package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/myriad-fleet/myriad/internal/pki"
)

// TestLeafCertificatesRotate gives leaf certificates minutes to live, and sees each of them replaced
// and the new ones served before the old ones expire, without a failed request and without a restart.
//
// With MYRIAD_E2E_FULL it goes on until the first certificates have expired. That takes lifetimes of 16
// minutes: clients built on client-go look for a new certificate file every 5 minutes, and the last
// third of a lifetime must be longer than that.
func TestLeafCertificatesRotate(t *testing.T) {
	t.Parallel()                // it has its own fleet, and mostly waits
	lifetime := 4 * time.Minute // the last third is longer than a kubelet and an API server take to notice
	if full() {
		lifetime = 16 * time.Minute
	}
	s := ownFleet(t)
	s.mustUp(t, "--no-hello", "--leaf-lifetime", lifetime.String())
	g := s.create(t, "evergreen", "--region", "eu-frankfurt")
	first := g.leaves(t)
	if len(first) < 8 {
		t.Fatalf("only %d leaf certificates found: %v", len(first), first)
	}
	before := g.instances(t)
	run := g.patientLoad(t, 501)
	eventually(t, lifetime, "every leaf certificate to be replaced", func(context.Context) (string, bool) {
		var old []string
		for file, leaf := range g.leaves(t) {
			if leaf.SerialNumber.Cmp(first[file].SerialNumber) == 0 {
				old = append(old, file)
			}
		}
		return "still the first: " + strings.Join(old, ", "), len(old) == 0
	})
	g.servesNewCertificate(t, first, lifetime)
	if full() {
		eventually(t, lifetime, "the first certificates to expire", func(context.Context) (string, bool) {
			return "", time.Now().After(latest(first).Add(time.Minute))
		})
		g.healthy(t, nil)
	}
	quiet(t, run)
	if err := stop(t, run).Flawless(); err != nil {
		t.Error(err)
	}
	g.sameInstances(t, before, "the rotation")
}

// leaves of the guest by file, of those that its components are given.
func (g *guest) leaves(t *testing.T) map[string]*x509.Certificate {
	t.Helper()
	files, err := g.ground.files(t.Context(), g)
	if err != nil {
		t.Fatal(err)
	}
	leaves := map[string]*x509.Certificate{}
	for file, text := range files {
		if path.Ext(file) != ".crt" {
			continue
		}
		certificate, err := pki.ParseCertificate(text)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if !certificate.IsCA {
			leaves[file] = certificate
		}
	}
	return leaves
}

func latest(leaves map[string]*x509.Certificate) time.Time {
	var last time.Time
	for _, leaf := range leaves {
		if leaf.NotAfter.After(last) {
			last = leaf.NotAfter
		}
	}
	return last
}

// servesNewCertificate waits until the API server presents a certificate that is none of the first.
func (g *guest) servesNewCertificate(t *testing.T, first map[string]*x509.Certificate, budget time.Duration) {
	t.Helper()
	plane, err := g.controlPlane(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	endpoint := plane.Status.Endpoints[0]
	dialer := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} // only the serial number matters here
	eventually(t, budget, "the API server to serve its new certificate", func(ctx context.Context) (string, bool) {
		connection, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(endpoint.Address, fmt.Sprint(endpoint.Port)))
		if err != nil {
			return err.Error(), false
		}
		defer func() { _ = connection.Close() }()
		served := connection.(*tls.Conn).ConnectionState().PeerCertificates[0]
		for _, leaf := range first {
			if leaf.SerialNumber.Cmp(served.SerialNumber) == 0 {
				return "still the first, good until " + served.NotAfter.String(), false
			}
		}
		return "", true
	})
}
