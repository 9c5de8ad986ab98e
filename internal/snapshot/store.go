// Package snapshot stores snapshots of guests' databases in a directory or an object store, sealed to
// the guest's recovery key, and keeps the last few of each guest.
package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"filippo.io/age"
	"gocloud.dev/blob"
	_ "gocloud.dev/blob/fileblob" // file://
	_ "gocloud.dev/blob/s3blob"   // s3://
	"gocloud.dev/gcerrors"
	"k8s.io/utils/clock"
)

const (
	// kept snapshots of a guest. One is taken before a risky step, so these are the last such days.
	kept = 5
	// plainSuffix and sealedSuffix end the names of whole snapshots.
	plainSuffix, sealedSuffix = ".db", ".db.age"
	// timeFormat sorts by time.
	timeFormat = "20060102T150405Z"
	// staleAfter is when what a crash left half written is swept up.
	staleAfter = time.Hour
)

// Store of snapshots. An object is named <id>/<time>-<revision>.db.age, or .db when it is not sealed.
type Store struct {
	location *url.URL
	clock    clock.Clock

	mu     sync.Mutex
	opened *blob.Bucket // nil until it could be opened
}

// Open opens a store by its URL: file:///a/directory (made if need be, for its owner alone) or
// s3://bucket?region=…, with the parameters of gocloud.dev/blob; credentials come from the environment
// as that driver wants them. The store need not be there yet: each use tries to open it.
func Open(location string, clk clock.Clock) (*Store, error) {
	at, err := url.Parse(location)
	if err == nil && !blob.DefaultURLMux().ValidBucketScheme(at.Scheme) {
		err = fmt.Errorf("%q: no such kind of store", location)
	}
	if err != nil {
		return nil, fmt.Errorf("store of snapshots: %w: give a URL such as file:///var/lib/snapshots or s3://bucket?region=eu-1", err)
	}
	if at.Scheme == "file" {
		query := at.Query()
		// Files appear under their names when they are whole, on the same file system.
		for name, value := range map[string]string{"create_dir": "1", "no_tmp_dir": "1", "metadata": "skip", "dir_file_mode": strconv.Itoa(0o700)} {
			if !query.Has(name) {
				query.Set(name, value)
			}
		}
		at.RawQuery = query.Encode()
	}
	return &Store{location: at, clock: clk}, nil
}

// bucket opens the store when that has not been possible yet.
func (s *Store) bucket(ctx context.Context) (*blob.Bucket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opened == nil {
		bucket, err := blob.OpenBucket(ctx, s.location.String())
		if err != nil {
			return nil, fmt.Errorf("open the store of snapshots %s: %w", s.location.Redacted(), err)
		}
		s.opened = bucket
	}
	return s.opened, nil
}

// Close ends all connections.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opened == nil {
		return nil
	}
	if err := s.opened.Close(); err != nil {
		return fmt.Errorf("close the store of snapshots: %w", err)
	}
	return nil
}

// Object is one snapshot in the store.
type Object struct {
	// Name in the store.
	Name string
	// Time at which it was taken.
	Time time.Time
	// Bytes of the object.
	Bytes int64
}

// Source says what a snapshot is of.
type Source struct {
	// ID of the guest.
	ID string
	// Revision that the database has at least.
	Revision int64
	// Recipient (age) to seal it to; empty: it is stored as it is.
	Recipient string
}

// Save stores what etcd streams, and then removes the guest's oldest snapshots. etcd ends its stream
// with a checksum: what does not match it is not stored.
func (s *Store) Save(ctx context.Context, from Source, stream io.Reader) (Object, error) {
	now := s.clock.Now().UTC().Truncate(time.Second)
	object := Object{Name: fmt.Sprintf("%s/%s-%d", from.ID, now.Format(timeFormat), from.Revision), Time: now}
	if from.Recipient == "" {
		object.Name += plainSuffix
	} else {
		object.Name += sealedSuffix
	}
	bytes, err := s.write(ctx, object.Name, from.Recipient, stream)
	if err != nil {
		return Object{}, fmt.Errorf("store snapshot %s: %w", object.Name, err)
	}
	object.Bytes = bytes
	if err := s.prune(ctx, from.ID); err != nil {
		return object, fmt.Errorf("snapshot %s is stored, but older ones could not be removed: %w", object.Name, err)
	}
	return object, nil
}

// write makes an object appear whole, or not at all: a writer whose context has ended stores nothing.
func (s *Store) write(ctx context.Context, name, recipient string, stream io.Reader) (int64, error) {
	bucket, err := s.bucket(ctx)
	if err != nil {
		return 0, err
	}
	ctx, abandon := context.WithCancel(ctx)
	defer abandon()
	object, err := bucket.NewWriter(ctx, name, &blob.WriterOptions{ContentType: "application/octet-stream"})
	if err != nil {
		return 0, fmt.Errorf("begin: %w", err)
	}
	counted := &counter{to: object}
	if err := copySealed(counted, recipient, newVerifier(stream)); err != nil {
		abandon()
		_ = object.Close() // says that it was abandoned
		return 0, err
	}
	if err := object.Close(); err != nil {
		return 0, fmt.Errorf("complete: %w", err)
	}
	return counted.bytes, nil
}

func copySealed(to io.Writer, recipient string, from io.Reader) error {
	if recipient == "" {
		_, err := io.Copy(to, from)
		return err
	}
	parsed, err := age.ParseX25519Recipient(recipient)
	if err != nil {
		return fmt.Errorf("seal it to %q: %w: give the recipient (age1…) of a recovery key", recipient, err)
	}
	sealer, err := age.Encrypt(to, parsed)
	if err != nil {
		return fmt.Errorf("seal it: %w", err)
	}
	if _, err := io.Copy(sealer, from); err != nil {
		return err
	}
	if err := sealer.Close(); err != nil {
		return fmt.Errorf("seal it: %w", err)
	}
	return nil
}

type counter struct {
	to    io.Writer
	bytes int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.bytes += int64(n)
	return n, err
}

// Latest is the guest's youngest snapshot, and false when there is none.
func (s *Store) Latest(ctx context.Context, id string) (Object, bool, error) {
	whole, _, err := s.list(ctx, id)
	if err != nil || len(whole) == 0 {
		return Object{}, false, err
	}
	return whole[len(whole)-1], true, nil
}

// Remove removes everything of a guest. It may be called again.
func (s *Store) Remove(ctx context.Context, id string) error {
	whole, other, err := s.list(ctx, id)
	if err != nil {
		return err
	}
	return s.delete(ctx, append(whole, other...))
}

func (s *Store) prune(ctx context.Context, id string) error {
	whole, other, err := s.list(ctx, id)
	if err != nil {
		return err
	}
	old := whole[:max(0, len(whole)-kept)]
	for _, object := range other {
		if s.clock.Since(object.Time) > staleAfter {
			old = append(old, object)
		}
	}
	return s.delete(ctx, old)
}

// list returns a guest's whole snapshots, oldest first, and what else there is.
func (s *Store) list(ctx context.Context, id string) (whole, other []Object, err error) {
	bucket, err := s.bucket(ctx)
	if err != nil {
		return nil, nil, err
	}
	objects := bucket.List(&blob.ListOptions{Prefix: id + "/"})
	for {
		found, err := objects.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, fmt.Errorf("list the snapshots of guest %s: %w", id, err)
		}
		object := Object{Name: found.Key, Time: found.ModTime, Bytes: found.Size}
		if at, ok := takenAt(found.Key); ok {
			object.Time = at
			whole = append(whole, object)
		} else {
			other = append(other, object)
		}
	}
	slices.SortFunc(whole, func(a, b Object) int { return strings.Compare(a.Name, b.Name) })
	return whole, other, nil
}

// takenAt reads the time from the name of a whole snapshot.
func takenAt(name string) (time.Time, bool) {
	_, base, _ := strings.Cut(name, "/")
	base, sealed := strings.CutSuffix(base, sealedSuffix)
	base, plain := strings.CutSuffix(base, plainSuffix)
	stamp, _, named := strings.Cut(base, "-")
	at, err := time.Parse(timeFormat, stamp)
	return at, err == nil && named && (sealed || plain)
}

func (s *Store) delete(ctx context.Context, objects []Object) error {
	bucket, err := s.bucket(ctx)
	if err != nil {
		return err
	}
	for _, object := range objects {
		if err := bucket.Delete(ctx, object.Name); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
			return fmt.Errorf("remove snapshot %s: %w", object.Name, err)
		}
	}
	return nil
}
