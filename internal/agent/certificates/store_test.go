package certificates

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/pki"
)

const (
	id        = "abcdefghij"
	component = "kube-apiserver-a"
	lifetime  = 30 * time.Minute
)

type fixture struct {
	dir      string
	clock    *clocktesting.FakeClock
	store    *Store
	identity pki.Identity
	manifest controlplane.Manifest
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{dir: t.TempDir(), clock: clocktesting.NewFakeClock(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))}
	f.store = NewStore(f.dir, lifetime, f.clock)
	f.newIdentity(t)
	f.manifest = controlplane.Manifest{ID: id, Components: []controlplane.Component{{
		Name: component, Certificates: []controlplane.Certificate{
			{Name: "serving", Authority: controlplane.ClusterCA, CommonName: "kube-apiserver", Names: []string{"127.9.1.2", "kubernetes"}, Server: true},
			{Name: "client", Authority: controlplane.EtcdCA, CommonName: "kube-apiserver", Organizations: []string{"o"}, Client: true},
		},
	}}}
	return f
}

func (f *fixture) newIdentity(t *testing.T) {
	t.Helper()
	made, err := pki.NewIdentity(id, f.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	f.identity = made
}

func (f *fixture) serving() *controlplane.Certificate {
	return &f.manifest.Components[0].Certificates[0]
}

// issue returns the serving certificate and its key.
func (f *fixture) issue(t *testing.T) (string, Set) {
	t.Helper()
	set, err := f.store.Issue(f.manifest, f.identity)
	if err != nil {
		t.Fatal(err)
	}
	certificate, ok := set.Material(component, controlplane.CertificateFile("serving"))
	key, hasKey := set.Material(component, controlplane.CertificateKey("serving"))
	if _, err := tls.X509KeyPair(certificate, key); !ok || !hasKey || err != nil {
		t.Fatalf("no certificate with its key: %v", err)
	}
	if _, ok := set.Material("etcd-a", controlplane.CertificateFile("serving")); ok {
		t.Error("another component gets this one's certificate")
	}
	return string(certificate), set
}

func TestIssue(t *testing.T) {
	file := func(f *fixture) string { return filepath.Join(f.dir, id, component, "serving.pem") }
	cases := map[string]struct {
		reason string
		change func(t *testing.T, f *fixture)
		anew   bool
	}{
		"Nothing":     {"a good certificate is kept", func(*testing.T, *fixture) {}, false},
		"Restart":     {"also by the next agent", func(_ *testing.T, f *fixture) { f.store = NewStore(f.dir, lifetime, f.clock) }, false},
		"NotDue":      {"half of its life is no reason", func(_ *testing.T, f *fixture) { f.clock.Step(lifetime / 2) }, false},
		"SameNames":   {"the order of names means nothing", func(_ *testing.T, f *fixture) { f.serving().Names = []string{"kubernetes", "127.9.1.2"} }, false},
		"Due":         {"after two thirds of its life it is due", func(_ *testing.T, f *fixture) { f.clock.Step(lifetime * 3 / 4) }, true},
		"ClockBack":   {"one from the future would be refused", func(_ *testing.T, f *fixture) { f.clock.Step(-2 * pki.Backdate) }, true},
		"Names":       {"its address has changed", func(_ *testing.T, f *fixture) { f.serving().Names = []string{"127.9.1.3", "kubernetes"} }, true},
		"CommonName":  {"its user has changed", func(_ *testing.T, f *fixture) { f.serving().CommonName = "x" }, true},
		"Groups":      {"its groups have changed", func(_ *testing.T, f *fixture) { f.serving().Organizations = []string{"x"} }, true},
		"Usage":       {"its use has changed", func(_ *testing.T, f *fixture) { f.serving().Client = true }, true},
		"Authority":   {"another authority signs", func(_ *testing.T, f *fixture) { f.serving().Authority = controlplane.EtcdCA }, true},
		"NewIdentity": {"the authority was made anew", func(t *testing.T, f *fixture) { t.Helper(); f.newIdentity(t) }, true},
		"HalfWritten": {"half a file is none", func(t *testing.T, f *fixture) { t.Helper(); truncate(t, file(f)) }, true},
		"Missing":     {"a cache may be lost", func(t *testing.T, f *fixture) { t.Helper(); remove(t, file(f)) }, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			before, _ := f.issue(t)
			c.change(t, f)
			after, set := f.issue(t)
			if (before != after) != c.anew {
				t.Errorf("%s: issued anew is %t", c.reason, before != after)
			}
			if until := set.RenewAt.Sub(f.clock.Now()); until <= 0 || until > lifetime*3/4 {
				t.Errorf("to be renewed in %s", until)
			}
		})
	}
}

func TestRemove(t *testing.T) {
	f := newFixture(t)
	f.issue(t)
	for range 2 {
		if err := f.store.Remove(id); err != nil {
			t.Fatal(err)
		}
	}
	if entries, err := os.ReadDir(f.dir); err != nil || len(entries) > 0 {
		t.Errorf("left over: %v, %v", entries, err)
	}
}

func truncate(t *testing.T, file string) {
	t.Helper()
	if err := os.Truncate(file, 700); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}
