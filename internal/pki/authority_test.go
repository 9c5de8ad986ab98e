package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var testNow = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func newTestAuthority(t testing.TB) *Authority {
	t.Helper()
	authority, err := NewAuthority("test", testNow, 10*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

func TestNewAuthority(t *testing.T) {
	certificate := newTestAuthority(t).Certificate
	if key, ok := certificate.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
		t.Errorf("public key is %T, want ECDSA P-256", certificate.PublicKey)
	}
	if !certificate.IsCA || certificate.MaxPathLen != 0 || !certificate.MaxPathLenZero {
		t.Errorf("IsCA %t, MaxPathLen %d: want an authority that signs leaves only", certificate.IsCA, certificate.MaxPathLen)
	}
	if len(certificate.SubjectKeyId) == 0 {
		t.Error("has no SubjectKeyId")
	}
	if want := testNow.Add(-time.Hour); !certificate.NotBefore.Equal(want) {
		t.Errorf("NotBefore is %s, want %s: clocks differ", certificate.NotBefore, want)
	}
	if want := testNow.Add(10 * time.Hour); !certificate.NotAfter.Equal(want) {
		t.Errorf("NotAfter is %s, want %s", certificate.NotAfter, want)
	}
	if _, err := NewAuthority("test", testNow, 0); err == nil {
		t.Error("took a lifetime of 0")
	}
}

func TestIssue(t *testing.T) {
	authority := newTestAuthority(t)
	certPEM, keyPEM, err := authority.Issue(Leaf{
		CommonName: "user", Organizations: []string{"group"}, Names: []string{"127.0.0.1", "a.example", "::1"},
		Server: true, Client: true, Lifetime: time.Hour,
	}, testNow)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tls.X509KeyPair(certPEM, keyPEM); err != nil {
		t.Fatalf("certificate and key do not belong together: %v", err)
	}
	leaf, err := ParseCertificate(certPEM)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(authority.Certificate)
	for _, name := range []string{"127.0.0.1", "a.example", "::1"} {
		for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
			options := x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: testNow.Add(-59 * time.Minute), KeyUsages: []x509.ExtKeyUsage{usage}}
			if _, err := leaf.Verify(options); err != nil {
				t.Errorf("%s, usage %d, on a host whose clock is 59 minutes behind: %v", name, usage, err)
			}
		}
	}
	if diff := cmp.Diff(authority.Certificate.SubjectKeyId, leaf.AuthorityKeyId); diff != "" {
		t.Errorf("AuthorityKeyId differs from the authority's SubjectKeyId: %s", diff)
	}
	if len(leaf.SubjectKeyId) == 0 || leaf.IsCA {
		t.Errorf("SubjectKeyId %x, IsCA %t: want an id and no authority", leaf.SubjectKeyId, leaf.IsCA)
	}
	if diff := cmp.Diff([]string{"group"}, leaf.Subject.Organization); diff != "" {
		t.Error(diff)
	}
	if want := testNow.Add(time.Hour); !leaf.NotAfter.Equal(want) {
		t.Errorf("NotAfter is %s, want %s", leaf.NotAfter, want)
	}
}

func TestSignRefuses(t *testing.T) {
	good := Leaf{CommonName: "user", Client: true, Lifetime: time.Hour}
	cases := map[string]struct {
		reason string
		change func(*Leaf)
		now    time.Time
		want   string
	}{
		"NoName":         {"a certificate without a user is nobody's", func(l *Leaf) { l.CommonName = "" }, testNow, "no common name"},
		"NoUse":          {"a certificate for nothing hides a mistake", func(l *Leaf) { l.Client = false }, testNow, "neither a server nor a client"},
		"NoLifetime":     {"it would be expired when made", func(l *Leaf) { l.Lifetime = 0 }, testNow, "lifetime"},
		"NamelessServer": {"no client could verify it", func(l *Leaf) { l.Server = true }, testNow, "has no names"},
		"BadName":        {"a name that no client can ask for", func(l *Leaf) { l.Names = []string{"A B"} }, testNow, `"A B"`},
		"DeadAuthority":  {"nobody trusts an expired authority", func(*Leaf) {}, testNow.Add(10 * time.Hour), "expired"},
	}
	authority := newTestAuthority(t)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			leaf := good
			tc.change(&leaf)
			if _, _, err := authority.Issue(leaf, tc.now); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: got %v, want an error with %q", tc.reason, err, tc.want)
			}
		})
	}
}

func TestLeafEndsWithItsAuthority(t *testing.T) {
	authority := newTestAuthority(t)
	certPEM, _, err := authority.Issue(Leaf{CommonName: "user", Client: true, Lifetime: 100 * time.Hour}, testNow)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ParseCertificate(certPEM)
	if err != nil {
		t.Fatal(err)
	}
	if !leaf.NotAfter.Equal(authority.Certificate.NotAfter) {
		t.Errorf("NotAfter is %s, want the authority's %s", leaf.NotAfter, authority.Certificate.NotAfter)
	}
}

func TestParseAuthority(t *testing.T) {
	one, other := newTestAuthority(t), newTestAuthority(t)
	oneKey, err := one.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	leafPEM, leafKey, err := one.Issue(Leaf{CommonName: "user", Client: true, Lifetime: time.Hour}, testNow)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		reason    string
		cert, key []byte
		want      string
	}{
		"Own":      {"what is written can be read", one.CertificatePEM(), oneKey, ""},
		"OtherKey": {"what it signs would not verify", other.CertificatePEM(), oneKey, "does not belong"},
		"Leaf":     {"a leaf must not sign", leafPEM, leafKey, "no certificate authority"},
		"NoPEM":    {"a truncated file", []byte("-----BEGIN"), oneKey, "no PEM"},
		"NoKey":    {"a missing file", one.CertificatePEM(), nil, "no PEM"},
		"Two":      {"which of the two is meant?", append(one.CertificatePEM(), other.CertificatePEM()...), oneKey, "something after"},
		"Swapped":  {"key and certificate mixed up", oneKey, one.CertificatePEM(), `"PRIVATE KEY" block`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := ParseAuthority(tc.cert, tc.key)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("%s: got %v, want an error with %q", tc.reason, err, tc.want)
			}
		})
	}
}

func TestRenewAt(t *testing.T) {
	authority, err := NewAuthority("test", testNow, 20*365*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		lifetime := time.Duration(rapid.Int64Range(60, 365*24*3600).Draw(t, "seconds")) * time.Second
		certPEM, _, err := authority.Issue(Leaf{CommonName: "user", Client: true, Lifetime: lifetime}, testNow)
		if err != nil {
			t.Fatal(err)
		}
		at, err := RenewAt(certPEM)
		if err != nil {
			t.Fatal(err)
		}
		share := float64(at.Sub(testNow)) / float64(lifetime)
		if share < 0.616 || share > 0.717 {
			t.Errorf("renewed after %.3f of %s, want 2/3 ± 0.05", share, lifetime)
		}
		if again, err := RenewAt(certPEM); err != nil || !again.Equal(at) {
			t.Errorf("a second call says %s (%v), the first %s", again, err, at)
		}
	})
}

func TestRenewAtSpreads(t *testing.T) {
	authority := newTestAuthority(t)
	seen := map[time.Time]bool{}
	for range 20 {
		certPEM, _, err := authority.Issue(Leaf{CommonName: "user", Client: true, Lifetime: time.Hour}, testNow)
		if err != nil {
			t.Fatal(err)
		}
		at, err := RenewAt(certPEM)
		if err != nil {
			t.Fatal(err)
		}
		seen[at.Truncate(time.Second)] = true
	}
	if len(seen) < 10 {
		t.Errorf("20 certificates are renewed at %d different times", len(seen))
	}
}
