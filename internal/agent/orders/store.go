// Package orders keeps the orders of a cell's guests on disk, so that the agent can work without the
// hub.
package orders

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/google/renameio/v2"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

const (
	extension = ".json"
	// brokenSuffix is put after the name of an order that cannot be read.
	brokenSuffix = ".broken"
	fileMode     = 0o600
	dirMode      = 0o700
)

// idPattern is that of ControlPlaneSpec.ID. Ids become names of files: nothing else may.
var idPattern = regexp.MustCompile(`^[a-z][a-z0-9]{9}$`)

// Order is what the agent knows of one guest.
type Order struct {
	// Spec is the last order that the agent took; nil for none. It must not be changed.
	Spec *v1alpha1.ControlPlaneSpec
	// Entombed says that the agent has seen the guest's tombstone: it is being removed, or gone.
	Entombed bool
}

// Store holds the orders of one cell, in memory and on disk:
//
//	orders/<id>.json     the order
//	tombstones/<id>      its tombstone has been seen; kept until the hub has dropped the order
type Store struct {
	dir string
	log *slog.Logger

	mu      sync.RWMutex
	orders  map[string]Order
	changed func() // nil: nobody wants to know
}

// Open reads the orders under dir, which is made if need be. An order that cannot be read is set
// aside with the suffix .broken: the hub's copy replaces it.
func Open(dir string, log *slog.Logger) (*Store, error) {
	s := &Store{dir: dir, log: log, orders: map[string]Order{}}
	for _, d := range []string{s.ordersDir(), s.tombstonesDir()} {
		if err := os.MkdirAll(d, dirMode); err != nil {
			return nil, fmt.Errorf("make the directory of orders: %w", err)
		}
	}
	if err := s.readOrders(); err != nil {
		return nil, err
	}
	return s, s.readTombstones()
}

// OnChange has changed called after each change of an order or a tombstone. Call it before any is made.
func (s *Store) OnChange(changed func()) { s.changed = changed }

// told calls the function of OnChange unless err says that nothing changed. It must not hold the lock:
// whoever is told reads the store.
func (s *Store) told(err error) error {
	if err == nil && s.changed != nil {
		s.changed()
	}
	return err
}

// IDs of every guest that has an order or a tombstone, sorted.
func (s *Store) IDs() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Sorted(maps.Keys(s.orders))
}

// Get returns what is known of a guest; the zero Order for nothing.
func (s *Store) Get(id string) Order {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.orders[id]
}

// Put writes an order to disk. Only its tombstone is left out: see Entomb.
func (s *Store) Put(spec *v1alpha1.ControlPlaneSpec) error { return s.told(s.put(spec)) }

func (s *Store) put(spec *v1alpha1.ControlPlaneSpec) error {
	if err := checkID(spec.ID); err != nil {
		return err
	}
	kept := spec.DeepCopy()
	kept.Tombstone = nil
	data, err := json.MarshalIndent(kept, "", "  ")
	if err != nil {
		return fmt.Errorf("guest %s: encode the order: %w", spec.ID, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := renameio.WriteFile(s.orderFile(spec.ID), data, fileMode, renameio.WithTempDir(s.ordersDir())); err != nil {
		return fmt.Errorf("guest %s: keep the order: %w", spec.ID, err)
	}
	s.orders[spec.ID] = Order{Spec: kept, Entombed: s.orders[spec.ID].Entombed}
	return nil
}

// Entomb notes on disk that the guest's tombstone has been seen: from then on its removal goes on
// through any crash.
func (s *Store) Entomb(id string) error { return s.told(s.entomb(id)) }

func (s *Store) entomb(id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := renameio.WriteFile(s.tombstoneFile(id), nil, fileMode, renameio.WithTempDir(s.tombstonesDir())); err != nil {
		return fmt.Errorf("guest %s: keep the tombstone: %w", id, err)
	}
	s.orders[id] = Order{Spec: s.orders[id].Spec, Entombed: true}
	return nil
}

// Remove removes the order of an entombed guest. Its tombstone stays.
func (s *Store) Remove(id string) error { return s.told(s.removeOrder(id)) }

func (s *Store) removeOrder(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.orders[id].Entombed {
		return fmt.Errorf("guest %s: remove the order: it has no tombstone, and nothing is deleted without one", id)
	}
	if err := remove(s.orderFile(id)); err != nil {
		return fmt.Errorf("guest %s: remove the order: %w", id, err)
	}
	s.orders[id] = Order{Entombed: true}
	return nil
}

// Forget drops the tombstone of a guest whose order has been removed.
func (s *Store) Forget(id string) error { return s.told(s.forget(id)) }

func (s *Store) forget(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.orders[id].Spec != nil {
		return fmt.Errorf("guest %s: drop the tombstone: the order is still there", id)
	}
	if err := remove(s.tombstoneFile(id)); err != nil {
		return fmt.Errorf("guest %s: drop the tombstone: %w", id, err)
	}
	delete(s.orders, id)
	return nil
}

func (s *Store) readOrders() error {
	entries, err := os.ReadDir(s.ordersDir())
	if err != nil {
		return fmt.Errorf("read the orders: %w", err)
	}
	for _, entry := range entries {
		id, ok := strings.CutSuffix(entry.Name(), extension)
		if !ok || checkID(id) != nil {
			continue
		}
		spec, err := s.read(id)
		if err != nil {
			aside := s.orderFile(id) + brokenSuffix
			s.log.Error("set a broken order aside; the hub's copy will replace it", "guest", id, "file", aside, "error", err)
			if err := os.Rename(s.orderFile(id), aside); err != nil {
				return fmt.Errorf("guest %s: set the broken order aside: %w", id, err)
			}
			continue
		}
		s.orders[id] = Order{Spec: spec}
	}
	return nil
}

func (s *Store) read(id string) (*v1alpha1.ControlPlaneSpec, error) {
	data, err := os.ReadFile(s.orderFile(id))
	if err != nil {
		return nil, fmt.Errorf("guest %s: read the order: %w", id, err)
	}
	spec := &v1alpha1.ControlPlaneSpec{}
	if err := json.Unmarshal(data, spec); err != nil {
		return nil, fmt.Errorf("guest %s: read the order: %w", id, err)
	}
	if spec.ID != id {
		return nil, fmt.Errorf("guest %s: the order is for %q", id, spec.ID)
	}
	return spec, nil
}

func (s *Store) readTombstones() error {
	entries, err := os.ReadDir(s.tombstonesDir())
	if err != nil {
		return fmt.Errorf("read the tombstones: %w", err)
	}
	for _, entry := range entries {
		if id := entry.Name(); checkID(id) == nil {
			s.orders[id] = Order{Spec: s.orders[id].Spec, Entombed: true}
		}
	}
	return nil
}

func (s *Store) ordersDir() string              { return filepath.Join(s.dir, "orders") }
func (s *Store) tombstonesDir() string          { return filepath.Join(s.dir, "tombstones") }
func (s *Store) orderFile(id string) string     { return filepath.Join(s.ordersDir(), id+extension) }
func (s *Store) tombstoneFile(id string) string { return filepath.Join(s.tombstonesDir(), id) }

func checkID(id string) error {
	if !idPattern.MatchString(id) {
		return fmt.Errorf("guest id %q: want a letter and nine letters or digits, all lower-case", id)
	}
	return nil
}

func remove(file string) error {
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", file, err)
	}
	return nil
}
