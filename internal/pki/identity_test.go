package pki

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func newTestIdentity(t testing.TB) Identity {
	t.Helper()
	identity, err := NewIdentity("abcdefghij", testNow)
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

func newTestRecoveryKey(t testing.TB) (secret, recipient string) {
	t.Helper()
	secret, recipient, err := NewRecoveryKey()
	if err != nil {
		t.Fatal(err)
	}
	return secret, recipient
}

func TestNewIdentity(t *testing.T) {
	identity := newTestIdentity(t)
	want := []string{
		"cluster-ca.crt", "cluster-ca.key", "encryption.key", "etcd-ca.crt", "etcd-ca.key",
		"front-proxy-ca.crt", "front-proxy-ca.key", "service-account.key", "service-account.pub",
	}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(identity))); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if err := identity.Validate(); err != nil {
		t.Error(err)
	}
	for _, name := range authorities {
		authority, err := identity.Authority(name)
		if err != nil {
			t.Fatal(err)
		}
		if want := testNow.AddDate(9, 11, 0); authority.Certificate.NotAfter.Before(want) {
			t.Errorf("%s ends at %s, want ten years", name, authority.Certificate.NotAfter)
		}
	}
	if _, err := identity.Authority("encryption"); err == nil {
		t.Error("gave an authority that does not exist")
	}
}

func TestValidate(t *testing.T) {
	other := newTestIdentity(t)
	cases := map[string]struct {
		reason string
		change func(Identity)
		want   []string
	}{
		"Whole":             {"nothing is wrong", func(Identity) {}, nil},
		"Empty":             {"everything missing is named", func(i Identity) { clear(i) }, []string{"cluster-ca", "front-proxy-ca", "etcd-ca", "service-account.key", "encryption.key"}},
		"NoCA":              {"a half-written directory", func(i Identity) { delete(i, "etcd-ca.crt") }, []string{"etcd-ca"}},
		"MixedCA":           {"files of two guests mixed", func(i Identity) { i["cluster-ca.key"] = other["cluster-ca.key"] }, []string{"cluster-ca"}},
		"MixedAccounts":     {"no token would verify", func(i Identity) { i[ServiceAccountPublic] = other[ServiceAccountPublic] }, []string{"service-account.pub"}},
		"BrokenAccounts":    {"a truncated file", func(i Identity) { i[ServiceAccountPublic] = nil }, []string{"service-account.pub"}},
		"ShortEncryption":   {"secretbox takes 32 bytes", func(i Identity) { i[EncryptionKey] = []byte("c2hvcnQ=") }, []string{"5 bytes"}},
		"BrokenEncryption":  {"a truncated file", func(i Identity) { i[EncryptionKey] = []byte("?") }, []string{"base64"}},
		"PathOutside":       {"names become paths", func(i Identity) { i["../../.ssh/authorized_keys"] = []byte("x") }, []string{"authorized_keys"}},
		"TwoThingsAreWrong": {"all is reported at once", func(i Identity) { delete(i, "etcd-ca.key"); delete(i, EncryptionKey) }, []string{"etcd-ca", "encryption.key"}},
	}
	whole := newTestIdentity(t)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			identity := maps.Clone(whole)
			tc.change(identity)
			err := identity.Validate()
			if (err == nil) != (len(tc.want) == 0) {
				t.Fatalf("%s: got %v", tc.reason, err)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %q is not named in: %v", tc.reason, want, err)
				}
			}
		})
	}
}

func TestSealOpen(t *testing.T) {
	identity := newTestIdentity(t)
	secret, recipient := newTestRecoveryKey(t)
	sealed, err := identity.Seal(recipient)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(sealed, "PRIVATE") || !strings.HasPrefix(sealed, armor.Header) {
		t.Errorf("want ASCII armour and nothing readable, got %.80s", sealed)
	}
	opened, err := OpenIdentity(sealed, secret+"\n")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(identity, opened); diff != "" {
		t.Errorf("opened differs (-sealed +opened):\n%s", diff)
	}
}

func TestSealRefuses(t *testing.T) {
	secret, recipient := newTestRecoveryKey(t)
	broken := newTestIdentity(t)
	delete(broken, EncryptionKey)
	if _, err := broken.Seal(recipient); err == nil || !strings.Contains(err.Error(), EncryptionKey) {
		t.Errorf("sealed a broken identity: %v", err)
	}
	if _, err := newTestIdentity(t).Seal("age1nonsense"); err == nil {
		t.Error("sealed to nobody")
	}
	if _, err := OpenIdentity("x", secret[:20]); err == nil || strings.Contains(err.Error(), secret[:20]) {
		t.Errorf("want an error that does not quote the secret, got %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	secret, recipient := newTestRecoveryKey(t)
	otherSecret, _ := newTestRecoveryKey(t)
	sealed, err := newTestIdentity(t).Seal(recipient)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenIdentity(sealed, otherSecret); err == nil {
		t.Error("opened with another area's key")
	}
	rapid.Check(t, func(t *rapid.T) {
		cut := rapid.IntRange(0, len(sealed)-40).Draw(t, "cut")
		if _, err := OpenIdentity(sealed[:cut], secret); err == nil {
			t.Errorf("opened what is cut after %d of %d bytes", cut, len(sealed))
		}
	})
}

func TestOpenRefusesForgery(t *testing.T) {
	secret, recipient := newTestRecoveryKey(t)
	sealed := sealBytes(t, recipient, []byte(`{"../../x":"eA=="}`))
	if _, err := OpenIdentity(sealed, secret); err == nil || !strings.Contains(err.Error(), "../../x") {
		t.Errorf("opened what somebody else sealed: %v", err)
	}
}

// TestOpenUncompressed: what was sealed before identities were compressed must open for as long as guests live.
func TestOpenUncompressed(t *testing.T) {
	secret, recipient := newTestRecoveryKey(t)
	identity := newTestIdentity(t)
	plain, err := json.Marshal(identity)
	if err != nil {
		t.Fatal(err)
	}
	before := sealBytes(t, recipient, plain)
	opened, err := OpenIdentity(before, secret)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(identity, opened); diff != "" {
		t.Errorf("opened differs (-sealed +opened):\n%s", diff)
	}
	now, err := identity.Seal(recipient)
	if err != nil {
		t.Fatal(err)
	}
	if len(now) > len(before)*3/4 {
		t.Errorf("compressed it takes %d bytes, uncompressed %d", len(now), len(before))
	}
}

// sealBytes to a recipient, whatever they are.
func sealBytes(t *testing.T, recipient string, plain []byte) string {
	t.Helper()
	to, err := age.ParseX25519Recipient(recipient)
	if err != nil {
		t.Fatal(err)
	}
	var sealed strings.Builder
	armored := armor.NewWriter(&sealed)
	sealer, err := age.Encrypt(armored, to)
	if err != nil {
		t.Fatal(err)
	}
	_, err = sealer.Write(plain)
	if err := errors.Join(err, sealer.Close(), armored.Close()); err != nil {
		t.Fatal(err)
	}
	return sealed.String()
}
