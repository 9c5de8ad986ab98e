package lab

import (
	"context"
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
	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	cgroupMount  = "/sys/fs/cgroup"
	freezer      = "freezer"
	systemCgroup = "system" // beside those of the zones: the control plane, and what serves all nodes
	daemonCgroup = "daemons"

	pollInterval = 50 * time.Millisecond
	// killDeadline bounds the wait for killed processes to be gone.
	killDeadline = 20 * time.Second
	// freezeDeadline bounds the wait for processes in the middle of a system call.
	freezeDeadline = 10 * time.Second
)

// zoneCgroup is the cgroup of a zone: its daemons, and the kubelet's pods.
func zoneCgroup(zone string) string { return filepath.Join(name, zone) }

// hierarchies lists the machine's cgroup v1 hierarchies.
func hierarchies() ([]string, error) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, fmt.Errorf("list cgroup hierarchies: %w", err)
	}
	var found []string
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if len(fields) > 2 && fields[2] == "cgroup" && filepath.Dir(fields[1]) == cgroupMount {
			found = append(found, filepath.Base(fields[1]))
		}
	}
	return found, nil
}

// makeCgroup makes a cgroup, given below the root, in every hierarchy.
func makeCgroup(cgroup string) error {
	all, err := hierarchies()
	if err != nil {
		return err
	}
	for _, hierarchy := range all {
		directory := filepath.Join(cgroupMount, hierarchy)
		for element := range strings.SplitSeq(cgroup, "/") {
			parent := directory
			directory = filepath.Join(directory, element)
			if err := os.Mkdir(directory, 0o755); err != nil {
				if errors.Is(err, fs.ErrExist) {
					continue
				}
				return fmt.Errorf("make cgroup: %w", err)
			}
			if hierarchy == "cpuset" {
				if err := inheritCPUSet(parent, directory); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// inheritCPUSet: a new cpuset is empty, and nothing can run in it.
func inheritCPUSet(parent, child string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		value, err := os.ReadFile(filepath.Join(parent, file))
		if err != nil {
			return fmt.Errorf("make cgroup: %w", err)
		}
		if err := os.WriteFile(filepath.Join(child, file), value, 0o644); err != nil {
			return fmt.Errorf("make cgroup: %w", err)
		}
	}
	return nil
}

// JoinCgroup moves the calling process into a cgroup of the lab, in every hierarchy.
func JoinCgroup(cgroup string) error {
	if err := makeCgroup(cgroup); err != nil {
		return err
	}
	all, err := hierarchies()
	if err != nil {
		return err
	}
	for _, hierarchy := range all {
		file := filepath.Join(cgroupMount, hierarchy, cgroup, "cgroup.procs")
		if err := os.WriteFile(file, []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
			return fmt.Errorf("join cgroup: %w", err)
		}
	}
	return nil
}

// cgroupProcesses lists the processes in a cgroup and in those below it.
func cgroupProcesses(cgroup string) ([]int, error) {
	var pids []int
	err := walkCgroup(filepath.Join(cgroupMount, freezer, cgroup), func(directory string) error {
		text, err := os.ReadFile(filepath.Join(directory, "cgroup.procs"))
		if err != nil {
			return ignoreGone(err)
		}
		for field := range strings.FieldsSeq(string(text)) {
			if pid, err := strconv.Atoi(field); err == nil {
				pids = append(pids, pid)
			}
		}
		return nil
	})
	return pids, err
}

// walkCgroup visits a cgroup's directory after those below it. What goes meanwhile is passed over.
func walkCgroup(directory string, visit func(directory string) error) error {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return ignoreGone(err)
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := walkCgroup(filepath.Join(directory, entry.Name()), visit); err != nil {
				return err
			}
		}
	}
	return visit(directory)
}

// setFrozen stops all processes of a cgroup at once, or lets them go on.
func setFrozen(ctx context.Context, cgroup string, frozen bool) error {
	state := "THAWED"
	if frozen {
		state = "FROZEN"
	}
	file := filepath.Join(cgroupMount, freezer, cgroup, "freezer.state")
	ctx, cancel := context.WithTimeout(ctx, freezeDeadline)
	defer cancel()
	err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(context.Context) (bool, error) {
		// Writing FROZEN again makes the kernel look again at tasks that were busy.
		if err := os.WriteFile(file, []byte(state), 0o644); err != nil {
			return false, err
		}
		now, err := os.ReadFile(file)
		return strings.TrimSpace(string(now)) == state, err
	})
	if err != nil {
		return fmt.Errorf("set cgroup %s %s: %w", cgroup, state, err)
	}
	return nil
}

func isFrozen(cgroup string) bool {
	state, err := os.ReadFile(filepath.Join(cgroupMount, freezer, cgroup, "freezer.state"))
	return err == nil && strings.TrimSpace(string(state)) != "THAWED"
}

// killCgroup kills everything in a cgroup and returns when it is gone. What is not frozen could fork
// meanwhile, so it looks until nothing is left.
func killCgroup(ctx context.Context, cgroup string) error {
	if _, err := os.Stat(filepath.Join(cgroupMount, freezer, cgroup)); err != nil {
		return ignoreGone(err)
	}
	ctx, cancel := context.WithTimeout(ctx, killDeadline)
	defer cancel()
	var left []int
	err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		var err error
		if left, err = cgroupProcesses(cgroup); err != nil {
			return false, err
		}
		for _, pid := range left {
			if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
				return false, fmt.Errorf("kill process %d: %w", pid, err)
			}
		}
		return len(left) == 0, thaw(cgroup)
	})
	if err != nil {
		return fmt.Errorf("kill the processes of cgroup %s (left: %v): %w", cgroup, left, err)
	}
	return nil
}

// thaw a cgroup and all below it, for a frozen process does not die. Each may be frozen by itself.
func thaw(cgroup string) error {
	return walkCgroup(filepath.Join(cgroupMount, freezer, cgroup), func(directory string) error {
		return ignoreGone(os.WriteFile(filepath.Join(directory, "freezer.state"), []byte("THAWED"), 0o644))
	})
}

// removeCgroup removes an empty cgroup and those below it from every hierarchy, v2 included: runc
// makes them there too.
func removeCgroup(ctx context.Context, cgroup string) error {
	directories, err := cgroupDirectories(cgroup)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, killDeadline)
	defer cancel()
	for _, directory := range directories {
		err := walkCgroup(directory, func(directory string) error {
			// A process that was killed a moment ago may still be on its way out.
			return wait.PollUntilContextCancel(ctx, pollInterval, true, func(context.Context) (bool, error) {
				err := ignoreGone(os.Remove(directory))
				if errors.Is(err, unix.EBUSY) {
					return false, nil
				}
				return err == nil, err
			})
		})
		if err != nil {
			return fmt.Errorf("remove cgroup %s: %w", directory, err)
		}
	}
	return nil
}

// cgroupDirectories are a cgroup's directories in all hierarchies that have it.
func cgroupDirectories(cgroup string) ([]string, error) {
	found, err := filepath.Glob(filepath.Join(cgroupMount, "*", cgroup))
	if err != nil {
		return nil, fmt.Errorf("list cgroups: %w", err)
	}
	slices.Sort(found)
	return found, nil
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}
