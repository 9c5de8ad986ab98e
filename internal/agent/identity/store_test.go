package identity

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/myriad-fleet/myriad/internal/pki"
)

const id = "abcdefghij"

func newStore(dir string) *Store {
	return NewStore(dir, clocktesting.NewFakeClock(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)))
}

func create(t *testing.T, s *Store) pki.Identity {
	t.Helper()
	made, err := s.Create(id)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestCreateOnce(t *testing.T) {
	dir := t.TempDir()
	s := newStore(dir)
	if _, err := s.Load(id); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a guest without an identity: %v", err)
	}
	made := create(t, s)
	loaded, err := newStore(dir).Load(id)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(made, loaded); diff != "" {
		t.Errorf("the identity changed on disk:\n%s", diff)
	}
	if _, err := s.Create(id); err == nil {
		t.Error("a second identity was made over the first")
	}
	for name := range made {
		info, err := os.Stat(filepath.Join(dir, id, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s can be read by others: %s", name, info.Mode())
		}
	}
}

// TestUnfinished: what a killed agent left is no identity and in nobody's way.
func TestUnfinished(t *testing.T) {
	dir := t.TempDir()
	left := filepath.Join(dir, unfinished+id)
	if err := errors.Join(os.MkdirAll(left, 0o700), os.WriteFile(filepath.Join(left, "cluster-ca.crt"), []byte("half"), 0o600)); err != nil {
		t.Fatal(err)
	}
	s := newStore(dir)
	if _, err := s.Load(id); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half an identity was loaded: %v", err)
	}
	create(t, s)
	if _, err := s.Load(id); err != nil {
		t.Error(err)
	}
	if err := s.Remove(id); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left over: %v, %v", entries, err)
	}
}

func TestBroken(t *testing.T) {
	cases := map[string]struct {
		reason string
		do     func(dir string) error
	}{
		"Garbage":    {"a file that is no key", func(dir string) error { return os.WriteFile(filepath.Join(dir, "etcd-ca.key"), []byte("x"), 0o600) }},
		"Missing":    {"a file that went away", func(dir string) error { return os.Remove(filepath.Join(dir, "encryption.key")) }},
		"Unreadable": {"a file that cannot be read", func(dir string) error { return os.Mkdir(filepath.Join(dir, "extra"), 0o700) }},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := newStore(dir)
			create(t, s)
			if err := c.do(filepath.Join(dir, id)); err != nil {
				t.Fatal(err)
			}
			_, err := s.Load(id)
			var broken *BrokenError
			if !errors.As(err, &broken) || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: want a BrokenError that is not taken for a missing identity, got %v", c.reason, err)
			}
		})
	}
}

func TestEscrow(t *testing.T) {
	secret, recipient, err := pki.NewRecoveryKey()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := newStore(dir)
	made := create(t, s)
	first, err := s.Escrow(id, made, recipient)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := newStore(dir).Escrow(id, made, recipient); err != nil || again != first {
		t.Errorf("the escrow changed: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, id, escrowFile), []byte(`{"recip`), 0o600); err != nil {
		t.Fatal(err)
	}
	repaired, err := s.Escrow(id, made, recipient)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := pki.OpenIdentity(repaired, secret)
	if diff := cmp.Diff(made, opened); err != nil || diff != "" {
		t.Errorf("the escrow opens as something else: %v\n%s", err, diff)
	}
	if loaded, err := s.Load(id); err != nil || len(loaded) != len(made) {
		t.Errorf("the escrow is taken for a part of the identity: %v", err)
	}
}
