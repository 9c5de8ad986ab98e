package pki

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// The files of an Identity that are no authority's.
const (
	ServiceAccountKey    = "service-account.key" // signs service-account tokens (ES256)
	ServiceAccountPublic = "service-account.pub"
	EncryptionKey        = "encryption.key" // base64 of 32 random bytes: Secrets at rest
)

const (
	// authorityLifetime: ten years, like kubeadm's.
	authorityLifetime = 10 * 365 * 24 * time.Hour
	// encryptionKeyBytes is what XSalsa20-Poly1305 (secretbox) takes.
	encryptionKeyBytes = 32
)

// The certificate authorities of a guest.
var authorities = []string{"cluster-ca", "front-proxy-ca", "etcd-ca"}

// Identity is what a guest is known by for all its life, as files by name: <authority>.crt and .key
// for cluster-ca, front-proxy-ca and etcd-ca, the key pair of its service accounts, and the key that
// its Secrets are encrypted with. All else can be made from it again.
type Identity map[string][]byte

// NewIdentity makes the identity of the guest of that id. Its authorities live for ten years.
func NewIdentity(id string, now time.Time) (Identity, error) {
	identity := Identity{}
	for _, name := range authorities {
		authority, err := NewAuthority(id+" "+name, now, authorityLifetime)
		if err != nil {
			return nil, fmt.Errorf("identity of guest %s: %w", id, err)
		}
		key, err := authority.KeyPEM()
		if err != nil {
			return nil, fmt.Errorf("identity of guest %s: %s: %w", id, name, err)
		}
		identity[name+".crt"], identity[name+".key"] = authority.CertificatePEM(), key
	}
	if err := identity.addServiceAccountKey(); err != nil {
		return nil, fmt.Errorf("identity of guest %s: %w", id, err)
	}
	secret := make([]byte, encryptionKeyBytes)
	if _, err := rand.Read(secret); err != nil {
		return nil, fmt.Errorf("identity of guest %s: draw the encryption key: %w", id, err)
	}
	identity[EncryptionKey] = []byte(base64.StdEncoding.EncodeToString(secret))
	return identity, nil
}

func (i Identity) addServiceAccountKey() error {
	key, err := newKey()
	if err != nil {
		return err
	}
	private, err := encodeKey(key)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return fmt.Errorf("encode the service accounts' public key: %w", err)
	}
	i[ServiceAccountKey], i[ServiceAccountPublic] = private, encode(publicKeyBlock, public)
	return nil
}

// Authority returns the authority of that name: cluster-ca, front-proxy-ca or etcd-ca.
func (i Identity) Authority(name string) (*Authority, error) {
	if !slices.Contains(authorities, name) {
		return nil, fmt.Errorf("identity: no authority is named %q: use one of %q", name, authorities)
	}
	authority, err := ParseAuthority(i[name+".crt"], i[name+".key"])
	if err != nil {
		return nil, fmt.Errorf("identity: %s: %w", name, err)
	}
	return authority, nil
}

// Validate reports everything that is missing, broken or foreign. Unknown files are refused because
// their names become paths, and because anybody who knows the recipient can seal an identity.
func (i Identity) Validate() error {
	known := []string{ServiceAccountKey, ServiceAccountPublic, EncryptionKey}
	for _, name := range authorities {
		known = append(known, name+".crt", name+".key")
	}
	var problems []error
	for _, file := range slices.Sorted(maps.Keys(i)) {
		if !slices.Contains(known, file) {
			problems = append(problems, fmt.Errorf("identity: %q is no file of an identity", file))
		}
	}
	for _, name := range authorities {
		if _, err := i.Authority(name); err != nil {
			problems = append(problems, err)
		}
	}
	if err := i.checkServiceAccountKey(); err != nil {
		problems = append(problems, fmt.Errorf("identity: %s: %w", ServiceAccountKey, err))
	}
	if err := i.checkEncryptionKey(); err != nil {
		problems = append(problems, fmt.Errorf("identity: %s: %w", EncryptionKey, err))
	}
	return errors.Join(problems...)
}

func (i Identity) checkServiceAccountKey() error {
	key, err := parseKey(i[ServiceAccountKey])
	if err != nil {
		return err
	}
	if _, ok := key.(*ecdsa.PrivateKey); !ok {
		return fmt.Errorf("is a %T: want an ECDSA key", key)
	}
	der, err := decode(i[ServiceAccountPublic], publicKeyBlock)
	if err != nil {
		return fmt.Errorf("%s: %w", ServiceAccountPublic, err)
	}
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return fmt.Errorf("%s: %w", ServiceAccountPublic, err)
	}
	if !samePublicKey(key.Public(), public) {
		return fmt.Errorf("does not belong to %s", ServiceAccountPublic)
	}
	return nil
}

func (i Identity) checkEncryptionKey() error {
	secret, err := base64.StdEncoding.DecodeString(string(i[EncryptionKey]))
	if err != nil {
		return fmt.Errorf("is no base64: %w", err)
	}
	if len(secret) != encryptionKeyBytes {
		return fmt.Errorf("holds %d bytes: want %d", len(secret), encryptionKeyBytes)
	}
	return nil
}
