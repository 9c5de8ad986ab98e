package pki

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
)

// Limits of what ParseRequest takes.
const (
	// maxRequestBytes is far above any honest request: one with an RSA key of 8192 bits takes 3 KiB.
	maxRequestBytes = 16 << 10
	// minRSABits is what the CA/Browser Forum's baseline requirements ask for.
	minRSABits = 2048
	// maxRSABits keeps a stranger from making us verify signatures that take seconds.
	maxRSABits = 8192
)

// NewRequest makes a key pair (ECDSA P-256) and a request (PKCS #10) for a certificate of that name.
func NewRequest(commonName string) (requestPEM, keyPEM []byte, err error) {
	key, err := newKey()
	if err != nil {
		return nil, nil, err
	}
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: commonName}}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return nil, nil, fmt.Errorf("certificate request %q: %w", commonName, err)
	}
	if keyPEM, err = encodeKey(key); err != nil {
		return nil, nil, err
	}
	return encode(requestBlock, der), keyPEM, nil
}

// ParseRequest reads a certificate request that a stranger sent. It takes one PEM block, checks that
// the sender holds the private key, and refuses keys other than ECDSA P-256 and P-384, RSA of 2048 to
// 8192 bits and Ed25519.
func ParseRequest(requestPEM []byte) (*x509.CertificateRequest, error) {
	if len(requestPEM) > maxRequestBytes {
		return nil, fmt.Errorf("certificate request: %d bytes: at most %d are taken", len(requestPEM), maxRequestBytes)
	}
	der, err := decode(requestPEM, requestBlock)
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	if err := checkPublicKey(request.PublicKey); err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	if err := request.CheckSignature(); err != nil {
		return nil, fmt.Errorf("certificate request: is not signed by its own key: %w", err)
	}
	return request, nil
}

func checkPublicKey(public any) error {
	const want = "use ECDSA P-256 or P-384, RSA of 2048 to 8192 bits, or Ed25519"
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() && key.Curve != elliptic.P384() {
			return fmt.Errorf("an ECDSA key on curve %s: %s", key.Curve.Params().Name, want)
		}
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return fmt.Errorf("an RSA key of %d bits: %s", bits, want)
		}
	case ed25519.PublicKey:
	default:
		return fmt.Errorf("a key of type %T: %s", public, want)
	}
	return nil
}
