package renewal

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/pki"
)

const lifetime = 30 * time.Minute

type fixture struct {
	dir       string
	clock     *clocktesting.FakeClock
	authority *pki.Authority
	cell      *v1alpha1.Cell
	answer    map[string]string
	renewer   *Renewer
	renewed   int
}

func (f *fixture) Cell() *v1alpha1.Cell { return f.cell }

func (f *fixture) Answer(context.Context) (map[string]string, error) { return f.answer, nil }

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{dir: t.TempDir(), clock: clocktesting.NewFakeClock(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))}
	f.cell = &v1alpha1.Cell{Spec: v1alpha1.CellSpec{CredentialGeneration: 7}}
	var err error
	if f.authority, err = pki.NewAuthority("hub", f.clock.Now(), 24*time.Hour); err != nil {
		t.Fatal(err)
	}
	certificate, key, err := f.authority.Issue(f.leaf(), f.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	f.write(t, certificateFile, certificate)
	f.write(t, keyFile, key)
	f.restart()
	return f
}

func (f *fixture) leaf() pki.Leaf {
	return pki.Leaf{CommonName: "cell:hz-1:7", Client: true, Lifetime: lifetime}
}

func (f *fixture) restart() {
	f.renewer = New(Options{
		Dir: f.dir, Cell: "hz-1", Hub: f, RequestLifetime: time.Hour, Changed: func() {}, Renewed: func() { f.renewed++ },
		Clock: f.clock, Log: slog.New(slog.DiscardHandler),
	})
}

func (f *fixture) write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), content, fileMode); err != nil {
		t.Fatal(err)
	}
}

// renew runs one round and returns the request under way.
func (f *fixture) renew(t *testing.T) string {
	t.Helper()
	if err := f.renewer.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	return f.renewer.Request()
}

// sign answers a request as the hub does.
func (f *fixture) sign(t *testing.T, request string) []byte {
	t.Helper()
	parsed, err := pki.ParseRequest([]byte(request))
	if err != nil {
		t.Fatal(err)
	}
	if parsed.Subject.CommonName != "cell:hz-1:7" {
		t.Fatalf("asked for %q", parsed.Subject.CommonName)
	}
	certificate, err := f.authority.Sign(f.leaf(), parsed.PublicKey, f.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(request))
	f.answer = map[string]string{answeredRequest: hex.EncodeToString(sum[:]), answerCertificate: string(certificate)}
	return certificate
}

// current is the certificate on disk, which must belong to its key.
func (f *fixture) current(t *testing.T) string {
	t.Helper()
	if _, err := tls.LoadX509KeyPair(filepath.Join(f.dir, certificateFile), filepath.Join(f.dir, keyFile)); err != nil {
		t.Errorf("certificate and key: %v", err)
	}
	content, err := os.ReadFile(filepath.Join(f.dir, certificateFile))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestRenew(t *testing.T) {
	f := newFixture(t)
	first := f.current(t)
	if request := f.renew(t); request != "" {
		t.Error("a new certificate is renewed at once")
	}
	f.clock.Step(lifetime * 3 / 4)
	request := f.renew(t)
	if request == "" {
		t.Fatal("a certificate that is due is not renewed")
	}
	f.restart()
	if f.renew(t) != request {
		t.Error("a restart makes another request")
	}
	f.answer = map[string]string{answeredRequest: "somebody else's", answerCertificate: first}
	if f.renew(t) != request || f.current(t) != first {
		t.Error("an answer to another request was taken")
	}
	want := f.sign(t, request)
	if f.renew(t) != "" || f.current(t) != string(want) {
		t.Error("the answer was not installed")
	}
	if f.renewed != 1 {
		t.Errorf("a new certificate was told %d times", f.renewed)
	}
	if _, err := os.Stat(filepath.Join(f.dir, requestFile)); err == nil {
		t.Error("the answered request was left")
	}
}

func TestUselessAnswer(t *testing.T) {
	f := newFixture(t)
	first := f.current(t)
	f.clock.Step(lifetime * 3 / 4)
	request := f.renew(t)
	f.sign(t, request)
	f.answer[answerCertificate] = first // made for another key
	if again := f.renew(t); again == "" || again == request || f.current(t) != first {
		t.Error("a useless answer was installed, or no other request was made")
	}
}

func TestUnanswered(t *testing.T) {
	f := newFixture(t)
	f.clock.Step(lifetime * 3 / 4)
	request := f.renew(t)
	f.clock.Step(59 * time.Minute)
	if f.renew(t) != request {
		t.Error("the request was replaced before its time")
	}
	f.clock.Step(2 * time.Minute)
	if again := f.renew(t); again == "" || again == request {
		t.Error("a request that nobody answers was not replaced")
	}
}

// TestRepair: an agent killed between the two writes of an installation goes on where it was.
func TestRepair(t *testing.T) {
	f := newFixture(t)
	f.clock.Step(lifetime * 3 / 4)
	certificate := f.sign(t, f.renew(t))
	f.write(t, certificateFile, certificate) // the first of the two writes
	if err := Repair(f.dir); err != nil {
		t.Fatal(err)
	}
	if f.current(t) != string(certificate) {
		t.Error("the new certificate was lost")
	}
	if err := Repair(f.dir); err != nil {
		t.Errorf("nothing to repair: %v", err)
	}
	f.write(t, keyFile, []byte("x"))
	if Repair(f.dir) == nil {
		t.Error("a key that belongs to nothing was not noticed")
	}
}
