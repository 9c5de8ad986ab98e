package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
	known   map[string]Volume
	stood   map[string]bool // ids of guests whose booking something stood for
	regions map[string]*sync.Mutex
}

// NewStore of a hub that has just begun to lead.
func NewStore(writer client.Client, live client.Reader) *Store {
	return &Store{writer: writer, live: live, known: map[string]Volume{}, stood: map[string]bool{}, regions: map[string]*sync.Mutex{}}
}

// Lock the bookings of a region against the other controllers of this process, so that they do not run into each
// other's conflicts. It is held until the Ledgers are written; not while what they promise is.
func (s *Store) Lock(region string) (unlock func()) {
	s.mutex.Lock()
	lock, ok := s.regions[region]
	if !ok {
		lock = &sync.Mutex{}
		s.regions[region] = lock
	}
	s.mutex.Unlock()
	lock.Lock()
	return lock.Unlock
}

// Read Ledgers by name. One that does not exist is empty. They are shared: do not change them.
func (s *Store) Read(ctx context.Context, names []string) (map[string]Volume, error) {
	ledgers := make(map[string]Volume, len(names))
	for _, name := range names {
		s.mutex.Lock()
		known, ok := s.known[name]
		s.mutex.Unlock()
		if !ok {
			var err error
			if known, err = Fetch(ctx, s.live, name); err != nil {
				return nil, err
			}
			s.remember(known)
		}
		ledgers[name] = known
	}
	return ledgers, nil
}

// fetchTries bounds how often Fetch begins again. Whoever writes a Ledger so often conflicts with everybody else.
const fetchTries = 5

// Fetch a Ledger and its base as they were at one time: the Ledger, its base, and the Ledger again, until it did not
// change in between. A base that has taken what later Ledgers said would count as older than the one that was read.
func Fetch(ctx context.Context, from client.Reader, name string) (Volume, error) {
	for range fetchTries {
		head, err := read(ctx, from, name)
		if err != nil {
			return Volume{}, err
		}
		base, err := read(ctx, from, v1alpha1.BaseLedger(name))
		if err != nil {
			return Volume{}, err
		}
		again, err := read(ctx, from, name)
		if err != nil {
			return Volume{}, err
		}
		if again.ResourceVersion == head.ResourceVersion {
			return Volume{Head: head, Base: base}, nil
		}
	}
	return Volume{}, newConflict(name, errors.New("it changes at every read"))
}

// read one Ledger. One that does not exist is empty.
func read(ctx context.Context, from client.Reader, name string) (*v1alpha1.Ledger, error) {
	ledger := &v1alpha1.Ledger{}
	if err := from.Get(ctx, client.ObjectKey{Name: name}, ledger); client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("read Ledger %s: %w", name, err)
	}
	ledger.Name, ledger.ManagedFields = name, nil
	return ledger, nil
}

// Stood tells whether something stood for a guest's booking when Books were last written.
func (s *Store) Stood(id string) bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.stood[id]
}

// writesAtOnce bounds the Ledgers of one pass whose writes are in flight: the pass holds its region's lock meanwhile.
const writesAtOnce = 16

// Write what the Books have changed, all that is booked for a guest before its room: a booking is whole once
// its room is booked. After an error nothing is promised; what was written expires.
func (s *Store) Write(ctx context.Context, books *Books) error {
	for _, edits := range books.changed() {
		var all errgroup.Group
		all.SetLimit(writesAtOnce)
		for _, next := range edits {
			all.Go(func() error { return s.writeVolume(ctx, next) })
		}
		if err := all.Wait(); err != nil {
			return err
		}
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

// writeVolume writes the base, when there is a new one, before what counts from it.
func (s *Store) writeVolume(ctx context.Context, next edit) error {
	ledgers := []*v1alpha1.Ledger{next.Head}
	if next.newBase {
		ledgers = []*v1alpha1.Ledger{next.Base, next.Head}
	}
	for _, ledger := range ledgers {
		if err := s.write(ctx, ledger); err != nil {
			s.forget(next.Head.Name)
			return conflict(fmt.Errorf("write Ledger %s: %w", ledger.Name, err))
		}
	}
	s.remember(next.Volume)
	return nil
}

// write a copy: the answer is decoded into what is sent, and what is booked is shared with other Volumes and the cache.
func (s *Store) write(ctx context.Context, ledger *v1alpha1.Ledger) error {
	sent := ledger.DeepCopy()
	var err error
	if sent.ResourceVersion == "" {
		err = s.writer.Create(ctx, sent)
	} else {
		err = s.writer.Update(ctx, sent)
	}
	if err != nil {
		return err
	}
	ledger.ResourceVersion, ledger.UID = sent.ResourceVersion, sent.UID
	return nil
}

// conflict makes one of a Ledger that somebody else created, or removed, meanwhile.
func conflict(err error) error {
	if apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) {
		return newConflict("", err)
	}
	return err
}

func newConflict(name string, err error) error {
	return apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("ledgers").GroupResource(), name, err)
}

func (s *Store) remember(volume Volume) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.known[volume.Head.Name] = volume
}

func (s *Store) forget(name string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	delete(s.known, name)
}
