package ledger

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// Store reads and writes Ledgers. It remembers the last version of each that it read or wrote: as long as
// nobody else writes, a pass costs no read. If somebody else does, the next write fails with a conflict, and
// what is remembered is read again.
type Store struct {
	writer client.Client
	live   client.Reader // past the cache

	mutex   sync.Mutex
	known   map[string]*v1alpha1.Ledger
	stood   map[string]bool // ids of guests whose booking something stood for
	regions map[string]*sync.Mutex
}

// NewStore of a hub that has just begun to lead.
func NewStore(writer client.Client, live client.Reader) *Store {
	return &Store{writer: writer, live: live, known: map[string]*v1alpha1.Ledger{}, stood: map[string]bool{}, regions: map[string]*sync.Mutex{}}
}

// Lock the bookings of some regions against the other controllers of this process, so that they do not run
// into each other's conflicts. It is held until the Ledgers are written; not while what they promise is.
func (s *Store) Lock(regions ...string) (unlock func()) {
	var locks []*sync.Mutex
	s.mutex.Lock()
	for _, region := range slices.Compact(slices.Sorted(slices.Values(regions))) {
		lock, ok := s.regions[region]
		if !ok {
			lock = &sync.Mutex{}
			s.regions[region] = lock
		}
		locks = append(locks, lock)
	}
	s.mutex.Unlock()
	for _, lock := range locks { // sorted: two who want several cannot wait for each other
		lock.Lock()
	}
	return func() {
		for _, lock := range locks {
			lock.Unlock()
		}
	}
}

// Read Ledgers by name. One that does not exist is empty. They are shared: do not change them.
func (s *Store) Read(ctx context.Context, names []string) (map[string]*v1alpha1.Ledger, error) {
	ledgers := make(map[string]*v1alpha1.Ledger, len(names))
	for _, name := range names {
		s.mutex.Lock()
		known, ok := s.known[name]
		s.mutex.Unlock()
		if !ok {
			known = &v1alpha1.Ledger{ObjectMeta: metav1.ObjectMeta{Name: name}}
			if err := s.live.Get(ctx, client.ObjectKey{Name: name}, known); client.IgnoreNotFound(err) != nil {
				return nil, fmt.Errorf("read Ledger %s: %w", name, err)
			}
			known.ManagedFields = nil
			s.remember(known)
		}
		ledgers[name] = known
	}
	return ledgers, nil
}

// Stood tells whether something stood for a guest's booking when Books were last written.
func (s *Store) Stood(id string) bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.stood[id]
}

// Write what the Books have changed, all that is booked for a guest before its room: a booking is whole once
// its room is booked. After an error nothing is promised; what was written expires.
func (s *Store) Write(ctx context.Context, books *Books) error {
	for _, ledger := range books.changed() {
		write := s.writer.Update
		if ledger.ResourceVersion == "" {
			write = func(ctx context.Context, object client.Object, _ ...client.UpdateOption) error {
				return s.writer.Create(ctx, object)
			}
		}
		if err := write(ctx, ledger); err != nil {
			s.forget(ledger.Name)
			return conflict(fmt.Errorf("write Ledger %s: %w", ledger.Name, err))
		}
		ledger.ManagedFields = nil
		s.remember(ledger)
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for copyID := range books.ordered {
		_, id, _ := strings.Cut(copyID, "/")
		s.stood[id] = true
	}
	for _, id := range books.dropped {
		delete(s.stood, id)
	}
	return nil
}

// conflict makes one of a Ledger that somebody else created, or removed, meanwhile.
func conflict(err error) error {
	if apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) {
		return apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("ledgers").GroupResource(), "", err)
	}
	return err
}

func (s *Store) remember(ledger *v1alpha1.Ledger) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.known[ledger.Name] = ledger
}

func (s *Store) forget(name string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	delete(s.known, name)
}
