package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"
	"time"
)

func requestFor(t testing.TB, key crypto.Signer, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "user"}}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return encode(requestBlock, der)
}

func TestParseRequest(t *testing.T) {
	own, _, err := NewRequest("user")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := decode(own, requestBlock)
	block[len(block)-1] ^= 1
	forged := encode(requestBlock, block)
	p224, p224Err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	p384, p384Err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	p521, p521Err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	_, ed, edErr := ed25519.GenerateKey(rand.Reader)
	rsa2048, rsaErr := rsa.GenerateKey(rand.Reader, 2048)
	t.Setenv("GODEBUG", "rsa1024min=0") // Go itself refuses to make small keys
	rsa1024, rsaSmallErr := rsa.GenerateKey(rand.Reader, 1024)
	cases := map[string]struct {
		reason  string
		request []byte
		want    string
	}{
		"Own":      {"what NewRequest makes is taken", own, ""},
		"P384":     {"a good key", requestFor(t, p384, p384Err), ""},
		"Ed25519":  {"a good key", requestFor(t, ed, edErr), ""},
		"RSA2048":  {"a good key", requestFor(t, rsa2048, rsaErr), ""},
		"P224":     {"too weak", requestFor(t, p224, p224Err), "curve P-224"},
		"P521":     {"not on the list", requestFor(t, p521, p521Err), "curve P-521"},
		"RSA1024":  {"too weak", requestFor(t, rsa1024, rsaSmallErr), "RSA key of 1024 bits"},
		"Forged":   {"somebody else's public key", forged, "not signed by its own key"},
		"Empty":    {"nothing was sent", nil, "no PEM"},
		"Text":     {"something else was sent", []byte("hello"), "no PEM"},
		"OtherPEM": {"a certificate was sent", newTestAuthority(t).CertificatePEM(), `"CERTIFICATE" block`},
		"Two":      {"which of the two is meant?", append(bytes.Clone(own), own...), "something after"},
		"NoDER":    {"a broken block", encode(requestBlock, []byte{1, 2, 3}), "asn1"},
		"Huge":     {"a stranger must not fill our memory", bytes.Repeat([]byte("a"), maxRequestBytes+1), "at most"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			request, err := ParseRequest(tc.request)
			if tc.want != "" {
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("%s: got %v, want an error with %q", tc.reason, err, tc.want)
				}
				return
			}
			if err != nil || request.Subject.CommonName != "user" {
				t.Errorf("%s: got %v", tc.reason, err)
			}
		})
	}
}

func TestSignRequest(t *testing.T) {
	requestPEM, keyPEM, err := NewRequest("user")
	if err != nil {
		t.Fatal(err)
	}
	request, err := ParseRequest(requestPEM)
	if err != nil {
		t.Fatal(err)
	}
	certPEM, err := newTestAuthority(t).Sign(Leaf{CommonName: "user", Client: true, Lifetime: time.Hour}, request.PublicKey, testNow)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tls.X509KeyPair(certPEM, keyPEM); err != nil {
		t.Errorf("the certificate is not for the requester's key: %v", err)
	}
}

func FuzzParseRequest(f *testing.F) {
	own, _, err := NewRequest("user")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(own)
	f.Add([]byte("-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		request, err := ParseRequest(data)
		if (request == nil) == (err == nil) {
			t.Errorf("got request %v and error %v: want one of the two", request, err)
		}
		if err == nil && request.CheckSignature() != nil {
			t.Error("took a request that its own key did not sign")
		}
	})
}
