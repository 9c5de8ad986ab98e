package credential

import (
	"strings"
	"testing"
	"time"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/pki"
)

var now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestVerify(t *testing.T) {
	guest, err := pki.NewAuthority("guest", now, 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := pki.NewAuthority("guest", now, 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	requestPEM, _, err := pki.NewRequest("whatever")
	if err != nil {
		t.Fatal(err)
	}
	otherPEM, _, err := pki.NewRequest("whatever")
	if err != nil {
		t.Fatal(err)
	}
	asked := v1alpha1.ClusterCredentialSpec{User: "alice", Role: v1alpha1.CredentialViewer, Request: string(requestPEM), ExpirationSeconds: 600}
	good := pki.Leaf{CommonName: "alice", Organizations: []string{v1alpha1.GroupViewers}, Client: true, Lifetime: 10 * time.Minute}
	cases := map[string]struct {
		reason    string
		authority *pki.Authority
		request   []byte
		change    func(*pki.Leaf)
		refusal   string // empty: accepted
	}{
		"Good":     {reason: "what was asked for"},
		"Shorter":  {reason: "a cell may give less time", change: func(l *pki.Leaf) { l.Lifetime = 6 * time.Minute }},
		"Stranger": {reason: "another CA of the same name", authority: stranger, refusal: "not signed by the guest's CA"},
		"Key":      {reason: "somebody else holds that key", request: otherPEM, refusal: "another public key"},
		"User":     {reason: "audit logs would lie", change: func(l *pki.Leaf) { l.CommonName = "bob" }, refusal: `user "bob"`},
		"Group":    {reason: "more rights than asked for", change: func(l *pki.Leaf) { l.Organizations = []string{v1alpha1.GroupAdmins} }, refusal: "groups"},
		"Masters":  {reason: "more groups than asked for", change: func(l *pki.Leaf) { l.Organizations = append(l.Organizations, "system:masters") }, refusal: "groups"},
		"Longer":   {reason: "lives longer than asked for", change: func(l *pki.Leaf) { l.Lifetime = time.Hour }, refusal: "longer than 600 s"},
		"Server":   {reason: "it could pose as the guest", change: func(l *pki.Leaf) { l.Client, l.Server, l.Names = false, true, []string{"x"} }, refusal: "not signed by the guest's CA"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			leaf, authority, source := good, guest, requestPEM
			if tc.change != nil {
				tc.change(&leaf)
			}
			if tc.authority != nil {
				authority = tc.authority
			}
			if tc.request != nil {
				source = tc.request
			}
			request, err := pki.ParseRequest(source)
			if err != nil {
				t.Fatal(err)
			}
			certificate, err := authority.Sign(leaf, request.PublicKey, now)
			if err != nil {
				t.Fatal(err)
			}
			_, err = verify(string(certificate), string(guest.CertificatePEM()), asked, now)
			if tc.refusal == "" && err != nil {
				t.Errorf("%s: %v", tc.reason, err)
			}
			if tc.refusal != "" && (err == nil || !strings.Contains(err.Error(), tc.refusal)) {
				t.Errorf("%s: got %v, want a refusal with %q", tc.reason, err, tc.refusal)
			}
		})
	}
}
