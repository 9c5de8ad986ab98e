package distribution

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/utils/clock"
)

// lockPoll is how often a waiting process looks whether another one has finished the same work.
const lockPoll = 200 * time.Millisecond

// CacheDir is the directory that every checkout and every home of this user shares:
// $MYRIAD_CACHE, else myriad under $XDG_CACHE_HOME, else ~/.cache/myriad.
func CacheDir() (string, error) {
	if dir := os.Getenv("MYRIAD_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache directory: %w: set MYRIAD_CACHE to a directory with about 1 GiB of room", err)
	}
	return filepath.Join(dir, "myriad"), nil
}

// store keeps finished sets of programs, one directory per key. A directory appears whole or not
// at all, and is never changed afterwards.
type store struct {
	dir   string
	clock clock.Clock
}

// get returns the directory of key, made by fill where it is not there yet or lost a program.
// Two processes that want the same key do the work once: busy is called when this one has to wait.
func (s store) get(ctx context.Context, key, project string, busy func(), fill func(dir string) error) (string, error) {
	target := filepath.Join(s.dir, key)
	if s.intact(target, project) {
		return target, nil
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return "", fmt.Errorf("make the cache directory: %w", err)
	}
	unlock, err := s.lock(ctx, target+".lock", busy)
	if err != nil {
		return "", err
	}
	defer unlock()
	if s.intact(target, project) {
		return target, nil
	}
	return target, s.replace(target, fill)
}

// intact reports whether a finished directory still has every program.
func (s store) intact(dir, project string) bool {
	for _, name := range programsOf(project) {
		if checkProgram(filepath.Join(dir, name), "") != nil {
			return false
		}
	}
	return true
}

// replace fills a directory beside target and renames it into place. The caller holds the lock,
// so whatever stands there already was left by a process that was killed.
func (s store) replace(target string, fill func(dir string) error) error {
	partial := target + ".partial"
	for _, leftover := range []string{partial, target} {
		if err := os.RemoveAll(leftover); err != nil {
			return fmt.Errorf("remove an unfinished build: %w", err)
		}
	}
	if err := os.Mkdir(partial, 0o755); err != nil {
		return fmt.Errorf("make room for a build: %w", err)
	}
	if err := fill(partial); err != nil {
		return errors.Join(err, os.RemoveAll(partial))
	}
	if err := os.Rename(partial, target); err != nil {
		return errors.Join(fmt.Errorf("put a finished build in place: %w", err), os.RemoveAll(partial))
	}
	return nil
}

// lock takes an exclusive lock that dies with this process, and returns what releases it.
func (s store) lock(ctx context.Context, path string, busy func()) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock the cache: %w", err)
	}
	for waited := false; ; waited = true {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil // closing releases it
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(&fs.PathError{Op: "lock", Path: path, Err: err}, file.Close())
		}
		if !waited {
			busy()
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("wait for another build, which holds %s: %w", path, ctx.Err()), file.Close())
		case <-s.clock.After(lockPoll):
		}
	}
}
