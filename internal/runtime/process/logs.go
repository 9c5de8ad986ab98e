package process

import (
	"fmt"
	"io"
	"os"
	"strconv"
)

const (
	logBytes = 10 << 20 // size above which a log is rotated
	logFiles = 3        // old logs kept
)

// openLog opens the log that a process writes by itself, so that it outlives the supervisor.
func openLog(path string) (*os.File, int64, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, fileMode)
	if err != nil {
		return nil, 0, fmt.Errorf("opening log: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close() // nothing was written
		return nil, 0, fmt.Errorf("opening log: %w", err)
	}
	return file, info.Size(), nil
}

// rotateLog copies a log that has grown above limit bytes aside and empties it. The process keeps
// its open file, which appends; what it writes in between is lost. When the disk is too full for the
// copy the log is emptied all the same: a guest is worth more than its log.
func rotateLog(path string, limit int64) error {
	info, err := os.Stat(path)
	if err != nil || info.Size() <= limit {
		return nil
	}
	old := func(n int) string { return path + "." + strconv.Itoa(n) }
	for n := logFiles - 1; n > 0; n-- {
		if err := os.Rename(old(n), old(n+1)); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("rotating log: %w", err)
		}
	}
	copied := copyFile(path, old(1))
	if copied != nil {
		_ = os.Remove(old(1)) // frees what the failed copy took; the error is reported below
	}
	if err := os.Truncate(path, 0); err != nil {
		return fmt.Errorf("rotating log: %w", err)
	}
	return copied
}

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("copying log: %w", err)
	}
	defer func() { _ = source.Close() }() // only read
	target, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, fileMode)
	if err != nil {
		return fmt.Errorf("copying log: %w", err)
	}
	_, err = io.Copy(target, source)
	if closed := target.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("copying log: %w", err)
	}
	return nil
}
