package pki

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// maxIdentityBytes is the most that OpenIdentity reads: an honest identity takes about 5 KiB.
const maxIdentityBytes = 1 << 20

// NewRecoveryKey makes a key pair of age (X25519): the recipient is public and seals, the secret opens.
func NewRecoveryKey() (secret, recipient string, err error) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return "", "", fmt.Errorf("make a recovery key: %w", err)
	}
	return key.String(), key.Recipient().String(), nil
}

// RecoveryRecipient is the public half of a recovery key's secret.
func RecoveryRecipient(secret string) (string, error) {
	key, err := parseRecoveryKey(secret)
	if err != nil {
		return "", err
	}
	return key.Recipient().String(), nil
}

func parseRecoveryKey(secret string) (*age.X25519Identity, error) {
	key, err := age.ParseX25519Identity(strings.TrimSpace(secret))
	if err != nil {
		// age's error would quote the secret.
		return nil, errors.New("the recovery key is malformed: give one that starts with AGE-SECRET-KEY-1")
	}
	return key, nil
}

// Seal encrypts the identity to a recovery key's recipient (JSON, gzip, age, ASCII armour): who holds the
// result can read nothing of it. Every copy of an order carries it, so it is compressed. A broken identity is
// refused: nobody would notice until it is needed.
func (i Identity) Seal(recipient string) (string, error) {
	if err := i.Validate(); err != nil {
		return "", fmt.Errorf("seal the identity: %w", err)
	}
	to, err := age.ParseX25519Recipient(recipient)
	if err != nil {
		return "", fmt.Errorf("seal the identity to %q: %w: give the recipient (age1…) of a recovery key", recipient, err)
	}
	plain, err := json.Marshal(i)
	if err != nil {
		return "", fmt.Errorf("seal the identity: %w", err)
	}
	var sealed strings.Builder
	armored := armor.NewWriter(&sealed)
	sealer, err := age.Encrypt(armored, to)
	if err != nil {
		return "", fmt.Errorf("seal the identity: %w", err)
	}
	packed := gzip.NewWriter(sealer)
	_, err = packed.Write(plain)
	if err := errors.Join(err, packed.Close(), sealer.Close(), armored.Close()); err != nil {
		return "", fmt.Errorf("seal the identity: %w", err)
	}
	return sealed.String(), nil
}

// OpenIdentity opens what Seal has sealed with the recovery key's secret (AGE-SECRET-KEY-1…).
func OpenIdentity(sealed, recoveryKey string) (Identity, error) {
	key, err := parseRecoveryKey(recoveryKey)
	if err != nil {
		return nil, fmt.Errorf("open the identity: %w", err)
	}
	opened, err := age.Decrypt(armor.NewReader(strings.NewReader(sealed)), key)
	if err != nil {
		return nil, fmt.Errorf("open the identity: %w: is it whole, and this its area's recovery key?", err)
	}
	plain, err := unpack(opened)
	if err != nil {
		return nil, fmt.Errorf("open the identity: %w", err)
	}
	var identity Identity
	if err := json.NewDecoder(bytes.NewReader(plain)).Decode(&identity); err != nil {
		return nil, fmt.Errorf("open the identity: %w", err)
	}
	if err := identity.Validate(); err != nil {
		return nil, fmt.Errorf("open the identity: %w", err)
	}
	return identity, nil
}

// unpack what was sealed: compressed, or as it was before Seal compressed it.
func unpack(opened io.Reader) ([]byte, error) {
	buffered := bufio.NewReader(opened)
	magic, err := buffered.Peek(2)
	if err != nil {
		return nil, err
	}
	plain := io.Reader(buffered)
	if magic[0] == 0x1f && magic[1] == 0x8b { // RFC 1952, 2.3.1; JSON begins otherwise
		if plain, err = gzip.NewReader(buffered); err != nil {
			return nil, err
		}
	}
	return io.ReadAll(io.LimitReader(plain, maxIdentityBytes))
}
