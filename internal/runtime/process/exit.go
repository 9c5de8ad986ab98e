package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	tailBytes = 64 << 10 // of a log that is searched for the reason of an exit
	diskLow   = 16 << 20 // bytes free below which a full disk is named as a likely reason
)

// describeExit says how a process ended, after how long and why, as far as its log tells. status is
// nil when it is not known.
func describeExit(status *unix.WaitStatus, ran time.Duration, message string) string {
	var how string
	switch {
	case status == nil:
		how = "ended (status unknown: an earlier supervisor started it)"
	case status.Signaled():
		how = "signal: " + status.Signal().String()
	default:
		how = fmt.Sprintf("exit status %d", status.ExitStatus())
	}
	unit := time.Second
	if ran < 10*time.Second {
		unit = 100 * time.Millisecond
	}
	how += " after " + ran.Round(unit).String()
	if message == "" {
		return how
	}
	return how + ": " + message
}

// describeStart says why a program could not be started and what to do.
func describeStart(path string, err error) string {
	advice := ""
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		advice = ": the file is no program for this machine; remove it and build or download it again"
	case errors.Is(err, syscall.ENOENT):
		advice = ": the program is missing; build or download it again"
	case errors.Is(err, syscall.EACCES):
		advice = ": the file is not executable, or its file system is mounted noexec"
	case errors.Is(err, syscall.EAGAIN):
		advice = ": the limit of processes is reached (ulimit -u)"
	case errors.Is(err, syscall.ENOSPC):
		advice = ": the disk is full; free some space"
	}
	return fmt.Sprintf("starting %s: %v%s", path, err, advice)
}

// describeDisk names a disk that is full, or nothing.
func describeDisk(dir string) string {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return ""
	}
	if free := stat.Bavail * uint64(stat.Bsize); free < diskLow {
		return fmt.Sprintf("; the disk of %s is full (%d KiB free): free some space", dir, free>>10)
	}
	return ""
}

// readTail reads the end of a log, no further back than offset from: what one run wrote.
func readTail(path string, from int64) []byte {
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer func() { _ = file.Close() }() // only read
	info, err := file.Stat()
	if err != nil {
		return nil
	}
	if from > info.Size() { // rotated since
		from = 0
	}
	from = max(from, info.Size()-tailBytes)
	tail, err := io.ReadAll(io.NewSectionReader(file, from, info.Size()-from))
	if err != nil {
		return nil
	}
	return tail
}
