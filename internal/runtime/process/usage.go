package process

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/myriad-fleet/myriad/internal/runtime"
)

// ticksPerSecond of the CPU times in /proc: USER_HZ, 100 on every architecture that Go has on Linux.
const ticksPerSecond = 100

// Usage of a guest's processes by component: CPU time and the resident set, as /proc tells. Seen is what
// Observe has just answered. Processes that have ended since, or whose ids have come to name others, are
// left out. The client reads /proc by itself: it runs on the supervisor's host, as the same user.
func (c *Client) Usage(_ context.Context, id string, seen runtime.Observation) (map[string]runtime.Usage, error) {
	dir, err := filepath.Abs(c.dir)
	if err != nil {
		return nil, fmt.Errorf("process runtime %s: %w", c.dir, err)
	}
	usage := map[string]runtime.Usage{}
	for i := range seen.Components {
		component := &seen.Components[i]
		if component.PID == 0 {
			continue
		}
		if one, ok := usageOf(component.PID, instancePrefix(dir, id)+component.Name); ok {
			usage[component.Name] = one
		}
	}
	return usage, nil
}

// usageOf a process that is the named instance; false when it is not, any more.
func usageOf(pid int, instance string) (runtime.Usage, bool) {
	process, err := inspect(pid)
	if err != nil || process == nil || process.instance != instance {
		return runtime.Usage{}, false
	}
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return runtime.Usage{}, false
	}
	statm, err := os.ReadFile(filepath.Join(dir, "statm"))
	if err != nil {
		return runtime.Usage{}, false
	}
	one, ok := parseUsage(string(stat), string(statm))
	// Between the looks at its environment and at its usage the id may have come to name another process:
	// that one has started later.
	return one, ok && one.Start == strconv.FormatUint(process.ticks, 10)
}

// parseUsage reads /proc/<pid>/stat and /proc/<pid>/statm (proc_pid_stat(5), proc_pid_statm(5)).
func parseUsage(stat, statm string) (runtime.Usage, bool) {
	const userTime, systemTime, startTime, resident = 14 - 3, 15 - 3, 22 - 3, 1
	// The second field, the program's name, may hold anything; the last ')' ends it.
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	sizes := strings.Fields(statm)
	if len(fields) <= startTime || len(sizes) <= resident {
		return runtime.Usage{}, false
	}
	user, err1 := strconv.ParseUint(fields[userTime], 10, 64)
	system, err2 := strconv.ParseUint(fields[systemTime], 10, 64)
	pages, err3 := strconv.ParseInt(sizes[resident], 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return runtime.Usage{}, false
	}
	return runtime.Usage{
		CPUSeconds: float64(user+system) / ticksPerSecond, Memory: pages * int64(os.Getpagesize()), Start: fields[startTime],
	}, true
}
