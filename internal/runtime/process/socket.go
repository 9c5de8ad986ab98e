package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/utils/clock"
)

// A socket's path has at most 108 bytes (unix(7)), which the home of a long user name exceeds. So
// both sides open the directory and go through /proc/self/fd, whose paths are short.

func throughProc(dir *os.File, name string) string {
	return filepath.Join("/proc/self/fd", strconv.Itoa(int(dir.Fd())), name)
}

// listen makes the socket; the caller holds the directory's lock, so an old one is a dead one's.
func listen(dir string) (*net.UnixListener, error) {
	handle, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	defer func() { _ = handle.Close() }() // only read
	if err := os.Remove(filepath.Join(dir, socketFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("removing the old socket: %w", err)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: throughProc(handle, socketFile), Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listening in %s: %w", dir, err)
	}
	listener.SetUnlinkOnClose(false) // the path is only good while the directory is open
	if err := os.Chmod(filepath.Join(dir, socketFile), fileMode); err != nil {
		_ = listener.Close() // the first error counts
		return nil, fmt.Errorf("protecting the socket: %w", err)
	}
	return listener, nil
}

// errUnanswered is why a dial failed: no supervisor listens.
var errUnanswered = errors.New("no supervisor answers; 'myriad up' starts it")

func dial(ctx context.Context, dir string) (net.Conn, error) {
	connection, err := dialSocket(ctx, filepath.Join(dir, socketFile))
	if err != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("%w (%w)", errUnanswered, err)
	}
	return connection, err
}

func dialSocket(ctx context.Context, path string) (net.Conn, error) {
	handle, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer func() { _ = handle.Close() }() // only read
	var dialer net.Dialer
	return dialer.DialContext(ctx, "unix", throughProc(handle, filepath.Base(path)))
}

// lock makes this the only supervisor of the directory, until the file is closed. It tries for a
// while: a supervisor's child between fork and exec holds the lock for a moment after its death.
func lock(ctx context.Context, dir string, clock clock.Clock, patience time.Duration) (*os.File, error) {
	path := filepath.Join(dir, lockFile)
	for deadline := clock.Now().Add(patience); ; {
		file, err := tryLock(path)
		if err != nil {
			return nil, err
		}
		if file != nil {
			return file, writePID(file)
		}
		if !clock.Now().Before(deadline) {
			other, _ := os.ReadFile(path) // without it the message is only poorer
			return nil, fmt.Errorf("%s already has a supervisor, process %s: stop it first", dir, strings.TrimSpace(string(other)))
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-clock.After(patience / 20):
		}
	}
}

func writePID(file *os.File) error {
	err := unix.Ftruncate(int(file.Fd()), 0)
	if err == nil {
		_, err = file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil && !errors.Is(err, unix.ENOSPC) { // the id only makes a message better
		_ = file.Close() // the first error counts
		return fmt.Errorf("writing %s: %w", lockFile, err)
	}
	return nil
}
