package credentials

import (
	"context"
	"io/fs"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/agent/orders"
	"github.com/myriad-fleet/myriad/internal/pki"
)

const id = "abcdefghij"

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func request(t *testing.T, commonName string) string {
	t.Helper()
	made, _, err := pki.NewRequest(commonName)
	if err != nil {
		t.Fatal(err)
	}
	return string(made)
}

func newIdentity(t *testing.T) pki.Identity {
	t.Helper()
	made, err := pki.NewIdentity(id, now)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestDecide(t *testing.T) {
	identity := newIdentity(t)
	good := v1alpha1.ClusterCredentialSpec{
		Cluster: id, Role: v1alpha1.CredentialAdmin, User: "alice", Request: request(t, "whatever"), ExpirationSeconds: 3600,
	}
	cases := map[string]struct {
		reason  string
		change  func(*v1alpha1.ClusterCredentialSpec)
		group   string
		expires time.Duration
		refused string
	}{
		"Admin":        {"an admin", func(*v1alpha1.ClusterCredentialSpec) {}, v1alpha1.GroupAdmins, time.Hour, ""},
		"Viewer":       {"a viewer", func(s *v1alpha1.ClusterCredentialSpec) { s.Role = v1alpha1.CredentialViewer }, v1alpha1.GroupViewers, time.Hour, ""},
		"TooLong":      {"a lifetime is cut to 7 days", func(s *v1alpha1.ClusterCredentialSpec) { s.ExpirationSeconds = 1 << 30 }, v1alpha1.GroupAdmins, maxLifetime, ""},
		"TooShort":     {"a lifetime is raised to 10 minutes", func(s *v1alpha1.ClusterCredentialSpec) { s.ExpirationSeconds = 1 }, v1alpha1.GroupAdmins, minLifetime, ""},
		"Default":      {"a day unless said otherwise", func(s *v1alpha1.ClusterCredentialSpec) { s.ExpirationSeconds = 0 }, v1alpha1.GroupAdmins, defaultLifetime, ""},
		"Masters":      {"the request's own subject counts for nothing", func(s *v1alpha1.ClusterCredentialSpec) { s.Request = request(t, "system:masters") }, v1alpha1.GroupAdmins, time.Hour, ""},
		"Role":         {"roles are a fixed list", func(s *v1alpha1.ClusterCredentialSpec) { s.Role = "system:masters" }, "", 0, "role"},
		"NoRole":       {"no role is no admin", func(s *v1alpha1.ClusterCredentialSpec) { s.Role = "" }, "", 0, "role"},
		"SystemUser":   {"Kubernetes' own names", func(s *v1alpha1.ClusterCredentialSpec) { s.User = "system:kube-scheduler" }, "", 0, "system:"},
		"AgentUser":    {"the fleet's own names", func(s *v1alpha1.ClusterCredentialSpec) { s.User = "myriad:agent" }, "", 0, "myriad:"},
		"Disguised":    {"spaces and capitals do not hide a name", func(s *v1alpha1.ClusterCredentialSpec) { s.User = " System:admin" }, "", 0, "system:"},
		"NoUser":       {"nobody", func(s *v1alpha1.ClusterCredentialSpec) { s.User = "" }, "", 0, "common name"},
		"Garbage":      {"no request", func(s *v1alpha1.ClusterCredentialSpec) { s.Request = "hello" }, "", 0, "request"},
		"BadSignature": {"whoever asks must hold the key", func(s *v1alpha1.ClusterCredentialSpec) { s.Request = tamper(s.Request) }, "", 0, "request"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			spec := good
			c.change(&spec)
			status := Decide(spec, identity, now)
			condition := status.Conditions[0]
			if c.refused != "" {
				if status.Certificate != "" || condition.Reason != v1alpha1.ReasonRefused || !strings.Contains(condition.Message, c.refused) {
					t.Errorf("%s: got %+v, certificate %q", c.reason, condition, status.Certificate)
				}
				return
			}
			certificate, err := pki.ParseCertificate([]byte(status.Certificate))
			if err != nil {
				t.Fatalf("%s: %v: %+v", c.reason, err, condition)
			}
			if diff := cmp.Diff([]string{c.group}, certificate.Subject.Organization); diff != "" || certificate.Subject.CommonName != "alice" {
				t.Errorf("%s: user %q, groups (-want +got):\n%s", c.reason, certificate.Subject.CommonName, diff)
			}
			if got := status.Expires.Sub(now); got != c.expires || !certificate.NotAfter.Equal(status.Expires.Time) {
				t.Errorf("%s: expires after %s, want %s", c.reason, got, c.expires)
			}
			if len(certificate.DNSNames)+len(certificate.IPAddresses) > 0 || certificate.IsCA || status.CABundle == "" {
				t.Errorf("%s: certificate %+v", c.reason, certificate)
			}
		})
	}
}

// tamper changes one byte in the middle of a PEM block.
func tamper(request string) string {
	lines := strings.Split(request, "\n")
	middle := []byte(lines[2])
	if middle[10]++; middle[10] > 'z' || middle[10] < '0' {
		middle[10] = 'A'
	}
	lines[2] = string(middle)
	return strings.Join(lines, "\n")
}

type fakeHub struct {
	credential *v1alpha1.ClusterCredential
	answers    int
}

func (f *fakeHub) Credential(string) *v1alpha1.ClusterCredential { return f.credential }

func (f *fakeHub) ApplyCredential(_ context.Context, _ string, status v1alpha1.ClusterCredentialStatus) error {
	f.answers++
	f.credential.Status = status
	return nil
}

type fakeOrders struct{ order orders.Order }

func (f fakeOrders) Get(string) orders.Order { return f.order }

type fakeIdentities struct{ identity pki.Identity }

func (f fakeIdentities) Load(string) (pki.Identity, error) {
	if f.identity == nil {
		return nil, fs.ErrNotExist
	}
	return f.identity, nil
}

func TestAnswer(t *testing.T) {
	known := &v1alpha1.ControlPlaneSpec{ID: id, Epoch: 1}
	superseded := &v1alpha1.ControlPlaneSpec{ID: id, Epoch: 1, SupersededBy: 2}
	refused := []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonRefused}}
	identity := newIdentity(t)
	cases := map[string]struct {
		reason   string
		order    orders.Order
		identity pki.Identity
		status   v1alpha1.ClusterCredentialStatus
		answers  int
		waits    bool
	}{
		"Known":      {"a guest of the cell", orders.Order{Spec: known}, identity, v1alpha1.ClusterCredentialStatus{}, 1, false},
		"Unknown":    {"no guest of the cell yet", orders.Order{}, identity, v1alpha1.ClusterCredentialStatus{}, 0, true},
		"Entombed":   {"a guest that is being removed", orders.Order{Spec: known, Entombed: true}, identity, v1alpha1.ClusterCredentialStatus{}, 0, true},
		"Superseded": {"a guest that lives elsewhere", orders.Order{Spec: superseded}, identity, v1alpha1.ClusterCredentialStatus{}, 0, true},
		"TooEarly":   {"a guest that is being made", orders.Order{Spec: known}, nil, v1alpha1.ClusterCredentialStatus{}, 0, true},
		"Signed":     {"one answer is enough", orders.Order{Spec: known}, identity, v1alpha1.ClusterCredentialStatus{Certificate: "x"}, 0, false},
		"Refused":    {"also when it is no", orders.Order{Spec: known}, identity, v1alpha1.ClusterCredentialStatus{Conditions: refused}, 0, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			credential := &v1alpha1.ClusterCredential{Status: c.status, Spec: v1alpha1.ClusterCredentialSpec{
				Cluster: id, Role: v1alpha1.CredentialAdmin, User: "alice", Request: request(t, "alice"),
			}}
			hub := &fakeHub{credential: credential}
			signer := New(Options{
				Hub: hub, Orders: fakeOrders{c.order}, Identities: fakeIdentities{c.identity},
				Clock: clocktesting.NewFakeClock(now), Log: slog.New(slog.DiscardHandler),
			})
			err := signer.Answer(t.Context(), "x")
			if hub.answers != c.answers || (err != nil) != c.waits {
				t.Errorf("%s: %d answers, error %v", c.reason, hub.answers, err)
			}
		})
	}
}
