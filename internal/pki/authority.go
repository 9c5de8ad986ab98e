// Package pki makes and checks the certificates, keys and kubeconfigs that guests, agents and
// gateways know each other by. It reads no clock: callers pass the time.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Backdate is how long before its making every certificate is valid, so that a host whose clock is
// behind does not refuse a certificate that another host just made.
const Backdate = time.Hour

// PEM block types.
const (
	certificateBlock = "CERTIFICATE"
	privateKeyBlock  = "PRIVATE KEY" // PKCS #8
	publicKeyBlock   = "PUBLIC KEY"  // PKIX
	requestBlock     = "CERTIFICATE REQUEST"
)

// Authority is a certificate authority: it signs leaf certificates, never other authorities.
type Authority struct {
	Certificate *x509.Certificate
	Key         crypto.Signer
}

// Leaf describes a certificate to be issued.
type Leaf struct {
	// CommonName of the subject: the user for Kubernetes. Required.
	CommonName string
	// Organizations of the subject: the user's groups for Kubernetes.
	Organizations []string
	// Names are the subject alternative names, DNS names and IP addresses mixed. Required for servers.
	Names []string
	// Server and Client say what it may be used for; at least one is required.
	Server, Client bool
	// Lifetime from now on; cut to what is left of the authority's own.
	Lifetime time.Duration
}

// NewAuthority makes a self-signed authority (ECDSA P-256) that is valid for lifetime from now on.
func NewAuthority(commonName string, now time.Time, lifetime time.Duration) (*Authority, error) {
	if lifetime <= 0 {
		return nil, fmt.Errorf("certificate authority %s: a lifetime of %s: give a positive one", commonName, lifetime)
	}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	template, err := newTemplate(pkix.Name{CommonName: commonName}, key.Public(), now, now.Add(lifetime))
	if err != nil {
		return nil, fmt.Errorf("certificate authority %s: %w", commonName, err)
	}
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	template.IsCA, template.MaxPathLenZero = true, true
	certificate, err := sign(template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("certificate authority %s: %w", commonName, err)
	}
	return &Authority{Certificate: certificate, Key: key}, nil
}

// ParseAuthority reads an authority and checks that it may sign and that the key is its own.
func ParseAuthority(certPEM, keyPEM []byte) (*Authority, error) {
	certificate, err := ParseCertificate(certPEM)
	if err != nil {
		return nil, err
	}
	if !certificate.IsCA {
		return nil, fmt.Errorf("certificate %q is no certificate authority's", certificate.Subject.CommonName)
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return nil, fmt.Errorf("key of %q: %w", certificate.Subject.CommonName, err)
	}
	if !samePublicKey(certificate.PublicKey, key.Public()) {
		return nil, fmt.Errorf("key of %q does not belong to its certificate", certificate.Subject.CommonName)
	}
	return &Authority{Certificate: certificate, Key: key}, nil
}

// CertificatePEM returns the authority's certificate.
func (a *Authority) CertificatePEM() []byte { return encode(certificateBlock, a.Certificate.Raw) }

// KeyPEM returns the authority's private key (PKCS #8).
func (a *Authority) KeyPEM() ([]byte, error) { return encodeKey(a.Key) }

// Issue makes a key pair (ECDSA P-256) and signs its certificate.
func (a *Authority) Issue(leaf Leaf, now time.Time) (certPEM, keyPEM []byte, err error) {
	key, err := newKey()
	if err != nil {
		return nil, nil, err
	}
	if certPEM, err = a.Sign(leaf, key.Public(), now); err != nil {
		return nil, nil, err
	}
	if keyPEM, err = encodeKey(key); err != nil {
		return nil, nil, err
	}
	return certPEM, keyPEM, nil
}

// Sign makes a certificate for somebody else's public key.
func (a *Authority) Sign(leaf Leaf, public crypto.PublicKey, now time.Time) ([]byte, error) {
	if err := leaf.validate(); err != nil {
		return nil, fmt.Errorf("certificate %q: %w", leaf.CommonName, err)
	}
	if !now.Before(a.Certificate.NotAfter) {
		return nil, fmt.Errorf("certificate %q: authority %q expired at %s", leaf.CommonName,
			a.Certificate.Subject.CommonName, a.Certificate.NotAfter.Format(time.RFC3339))
	}
	notAfter := now.Add(leaf.Lifetime)
	if notAfter.After(a.Certificate.NotAfter) {
		notAfter = a.Certificate.NotAfter
	}
	subject := pkix.Name{CommonName: leaf.CommonName, Organization: leaf.Organizations}
	template, err := newTemplate(subject, public, now, notAfter)
	if err != nil {
		return nil, fmt.Errorf("certificate %q: %w", leaf.CommonName, err)
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	for _, name := range leaf.Names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	if leaf.Server {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	if leaf.Client {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	}
	certificate, err := sign(template, a.Certificate, public, a.Key)
	if err != nil {
		return nil, fmt.Errorf("certificate %q: %w", leaf.CommonName, err)
	}
	return encode(certificateBlock, certificate.Raw), nil
}

// ParseCertificate reads one certificate: exactly one PEM block.
func ParseCertificate(certPEM []byte) (*x509.Certificate, error) {
	der, err := decode(certPEM, certificateBlock)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	return certificate, nil
}

func (l Leaf) validate() error {
	switch {
	case l.CommonName == "":
		return errors.New("has no common name")
	case l.Lifetime <= 0:
		return fmt.Errorf("a lifetime of %s: give a positive one", l.Lifetime)
	case !l.Server && !l.Client:
		return errors.New("is for neither a server nor a client")
	case l.Server && len(l.Names) == 0:
		return errors.New("is for a server and has no names: clients would verify it by none")
	}
	for _, name := range l.Names {
		if problems := validation.IsDNS1123Subdomain(name); net.ParseIP(name) == nil && len(problems) > 0 {
			return fmt.Errorf("name %q is neither an IP address nor a DNS name: %s", name, strings.Join(problems, "; "))
		}
	}
	return nil
}

// newTemplate fills in what all certificates have. The serial number has 127 random bits: RFC 5280
// allows 20 bytes and wants it unpredictable and positive.
func newTemplate(subject pkix.Name, public crypto.PublicKey, now, notAfter time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("draw a serial number: %w", err)
	}
	id, err := keyID(public)
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber:          serial.Add(serial, big.NewInt(1)),
		Subject:               subject,
		SubjectKeyId:          id,
		NotBefore:             now.Add(-Backdate).UTC(),
		NotAfter:              notAfter.UTC(),
		BasicConstraintsValid: true,
	}, nil
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read back what was signed: %w", err)
	}
	return certificate, nil
}

// keyID names a public key by 160 bits of the SHA-256 hash of its SubjectPublicKeyInfo (RFC 7093,
// section 2, method 4, cut to the length that everybody can handle).
func keyID(public crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("encode the public key: %w", err)
	}
	sum := sha256.Sum256(der)
	return sum[:20], nil
}

func newKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	return key, nil
}

func encodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode the private key: %w", err)
	}
	return encode(privateKeyBlock, der), nil
}

func parseKey(keyPEM []byte) (crypto.Signer, error) {
	der, err := decode(keyPEM, privateKeyBlock)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("parse PKCS #8: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a %T cannot sign", key)
	}
	return signer, nil
}

func samePublicKey(a, b crypto.PublicKey) bool {
	key, ok := a.(interface {
		Equal(other crypto.PublicKey) bool
	})
	return ok && key.Equal(b)
}

func encode(blockType string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: der})
}

// decode returns the content of the only PEM block of data.
func decode(data []byte, blockType string) ([]byte, error) {
	block, rest := pem.Decode(data)
	switch {
	case block == nil:
		return nil, fmt.Errorf("is no PEM: want one %q block", blockType)
	case block.Type != blockType:
		return nil, fmt.Errorf("is a %q block: want %q", block.Type, blockType)
	case strings.TrimSpace(string(rest)) != "":
		return nil, fmt.Errorf("has something after its %q block: want that block only", blockType)
	}
	return block.Bytes, nil
}
