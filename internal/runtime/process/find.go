package process

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// found is a process that carries the marker of an instance.
type found struct {
	pid      int
	instance string // value of instanceVariable
	spec     string // value of specVariable
	// leader of its session: the process that a supervisor started. The others are what it left.
	leader bool
	frozen bool
	// ticks since boot when it started.
	ticks uint64
}

// findProcesses lists the user's running processes whose instance begins with prefix, oldest
// first. A process cannot lose its marker, so none is missed, whenever a supervisor died.
func findProcesses(prefix string) ([]found, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("looking for running processes (is /proc mounted and readable?): %w", err)
	}
	var all []found
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		process, err := inspect(pid)
		if err != nil {
			return nil, err
		}
		if process != nil && strings.HasPrefix(process.instance, prefix) {
			all = append(all, *process)
		}
	}
	slices.SortFunc(all, func(a, b found) int { return cmp.Compare(a.ticks, b.ticks) })
	return all, nil
}

// inspect returns nil for a process that has ended, is another user's or carries no marker.
func inspect(pid int) (*found, error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	var stat unix.Stat_t
	if err := unix.Stat(dir, &stat); err != nil || int(stat.Uid) != os.Geteuid() {
		return nil, nil
	}
	environment, err := os.ReadFile(filepath.Join(dir, "environ"))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return nil, nil
	}
	if err != nil {
		// A process of ours that guards its memory (an ssh-agent, say) is none that a supervisor started.
		if errors.Is(err, fs.ErrPermission) && pid != os.Getpid() {
			return nil, nil
		}
		return nil, fmt.Errorf("reading the environment of process %d: %w", pid, err)
	}
	process := &found{pid: pid}
	for variable := range bytes.SplitSeq(environment, []byte{0}) {
		name, value, _ := bytes.Cut(variable, []byte("="))
		switch string(name) {
		case instanceVariable:
			process.instance = string(value)
		case specVariable:
			process.spec = string(value)
		}
	}
	if process.instance == "" || !process.readStat(dir) {
		return nil, nil
	}
	return process, nil
}

// readStat fills in what /proc/<pid>/stat says (proc_pid_stat(5)); false when the process has ended.
func (f *found) readStat(dir string) bool {
	raw, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return false
	}
	// The second field, the program's name, may hold anything; the last ')' ends it.
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	const state, session, startTime = 0, 6 - 3, 22 - 3
	if len(fields) <= startTime || fields[state] == "Z" || fields[state] == "X" {
		return false
	}
	f.leader = fields[session] == strconv.Itoa(f.pid)
	f.frozen = fields[state] == "T"
	f.ticks, err = strconv.ParseUint(fields[startTime], 10, 64)
	return err == nil
}

// age is how long the process has run: the clock of /proc/<pid>/stat ticks 100 times a second.
func (f *found) age() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return 0
	}
	return max(0, time.Duration(now.Nano())-time.Duration(f.ticks)*(time.Second/100))
}

// killAll ends processes that nobody parents any more.
func killAll(processes []found) {
	for _, process := range processes {
		if handle, err := openHandle(process.pid, process.instance); err == nil {
			_ = handle.signal(unix.SIGKILL) // it may have ended by itself; the caller looks again
			handle.close()
		}
	}
}
