// Package identity keeps the identities of a cell's guests: made once, in the cell, and never made
// anew over a guest that exists.
package identity

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/internal/pki"
)

const (
	escrowFile = "escrow.json"
	// unfinished is the prefix of a directory whose making was cut short.
	unfinished = ".new-"
	fileMode   = 0o600
	dirMode    = 0o700
)

// BrokenError says that the identity of a guest is there and cannot be used. It is never replaced:
// the guest's Secrets and service accounts hang on it.
type BrokenError struct {
	Dir   string
	Cause error
}

// Error implements error.
func (e *BrokenError) Error() string {
	return fmt.Sprintf("identity in %s is broken: %v; restore the directory from a backup or the guest's escrow: it is never made anew over a guest that exists",
		e.Dir, e.Cause)
}

// Unwrap returns what is broken.
func (e *BrokenError) Unwrap() error { return e.Cause }

// Store holds the identities of one cell's guests, one directory each.
type Store struct {
	dir   string
	clock clock.Clock
}

// NewStore keeps identities under dir, which is made if need be.
func NewStore(dir string, clk clock.Clock) *Store { return &Store{dir: dir, clock: clk} }

// Load returns the identity of a guest; an error that is fs.ErrNotExist when there is none, a
// BrokenError when it cannot be used.
func (s *Store) Load(id string) (pki.Identity, error) {
	dir := s.path(id)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("guest %s: read the identity: %w", id, err)
	}
	identity := pki.Identity{}
	for _, entry := range entries {
		if entry.Name() == escrowFile || strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return nil, &BrokenError{Dir: dir, Cause: fmt.Errorf("read %s: %w", entry.Name(), notMissing(err))}
		}
		identity[entry.Name()] = content
	}
	if err := identity.Validate(); err != nil {
		return nil, &BrokenError{Dir: dir, Cause: err}
	}
	return identity, nil
}

// Create makes the identity of a guest that has none. It appears whole, in one rename, or not at all.
func (s *Store) Create(id string) (pki.Identity, error) {
	identity, err := pki.NewIdentity(id, s.clock.Now())
	if err != nil {
		return nil, fmt.Errorf("guest %s: make the identity: %w", id, err)
	}
	if err := s.write(id, identity); err != nil {
		return nil, fmt.Errorf("guest %s: keep the identity: %w", id, err)
	}
	return identity, nil
}

// Remove removes the identity of a guest and all that belongs to it. It may be called again.
func (s *Store) Remove(id string) error {
	for _, dir := range []string{s.path(id), filepath.Join(s.dir, unfinished+id)} {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("guest %s: remove the identity: %w", id, err)
		}
	}
	return nil
}

// sealed is the content of escrow.json.
type sealed struct {
	Recipient string `json:"recipient"`
	Escrow    string `json:"escrow"`
}

// Escrow returns the identity sealed to recipient. The text is kept on disk, because sealing twice
// gives two texts; it is made anew only for another recipient.
func (s *Store) Escrow(id string, identity pki.Identity, recipient string) (string, error) {
	file := filepath.Join(s.path(id), escrowFile)
	kept := sealed{}
	if data, err := os.ReadFile(file); err == nil && json.Unmarshal(data, &kept) == nil && kept.Recipient == recipient && kept.Escrow != "" {
		return kept.Escrow, nil
	}
	escrow, err := identity.Seal(recipient)
	if err != nil {
		return "", fmt.Errorf("guest %s: %w", id, err)
	}
	data, err := json.Marshal(sealed{Recipient: recipient, Escrow: escrow})
	if err != nil {
		return "", fmt.Errorf("guest %s: encode the escrow: %w", id, err)
	}
	if err := renameio.WriteFile(file, data, fileMode, renameio.WithTempDir(filepath.Dir(file))); err != nil {
		return "", fmt.Errorf("guest %s: keep the escrow: %w", id, err)
	}
	return escrow, nil
}

func (s *Store) write(id string, identity pki.Identity) error {
	temporary := filepath.Join(s.dir, unfinished+id)
	if err := os.RemoveAll(temporary); err != nil {
		return fmt.Errorf("clear what an earlier try left: %w", err)
	}
	if err := os.MkdirAll(temporary, dirMode); err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	for name, content := range identity {
		if err := renameio.WriteFile(filepath.Join(temporary, name), content, fileMode, renameio.WithTempDir(temporary)); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	// Rename refuses to replace a directory that has files in it: an identity that exists is safe.
	if err := os.Rename(temporary, s.path(id)); err != nil {
		return fmt.Errorf("put it in its place: %w", err)
	}
	return syncDir(s.dir)
}

func (s *Store) path(id string) string { return filepath.Join(s.dir, id) }

// syncDir makes the names in a directory outlive a power cut.
func syncDir(dir string) error {
	opened, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open %s: %w", dir, err)
	}
	return errors.Join(opened.Sync(), opened.Close())
}

// notMissing keeps a file that went missing from passing for an identity that was never made.
func notMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("it went away")
	}
	return err
}
