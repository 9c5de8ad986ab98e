// Package usage reads from /proc what processes of this machine use.
package usage

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// ticksPerSecond of the CPU times in /proc: USER_HZ, 100 on every architecture that Linux's Go has.
const ticksPerSecond = 100

// CPUSeconds that a process has taken so far.
func CPUSeconds(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read the CPU time of process %d: %w", pid, err)
	}
	// The second field, the program's name, may hold anything; the last ')' ends it.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	const utime, stime = 14 - 3, 15 - 3 // proc_pid_stat(5)
	var used float64
	for _, field := range []int{utime, stime} {
		ticks, err := strconv.ParseFloat(fields[field], 64)
		if err != nil {
			return 0, fmt.Errorf("read the CPU time of process %d: %w", pid, err)
		}
		used += ticks / ticksPerSecond
	}
	return used, nil
}

// PSS of a process in MiB: its memory, that which it shares divided among all that map it.
func PSS(pid int) (float64, error) { return memory(pid, "Pss") }

// RSS of a process in MiB: its memory, that which it shares counted whole. It costs next to nothing, where PSS walks
// the page tables.
func RSS(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	var size, resident float64 // in pages: proc_pid_statm(5)
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	return resident * float64(os.Getpagesize()) / (1 << 20), nil
}

// memory of a process in MiB as a field of its smaps_rollup tells.
func memory(pid int, field string) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	size, err := rollup(string(text), field)
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	return size, nil
}

// rollup reads a field of a smaps_rollup, which counts in KiB, as MiB.
func rollup(text, field string) (float64, error) {
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == field+":" {
			kib, err := strconv.ParseFloat(fields[1], 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("no line '%s:'", field)
}
