package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"
)

// supervisorDeadline bounds how long the supervisor may take to answer after its start.
const supervisorDeadline = 30 * time.Second

// errNotRunning: there is no process to enter the namespaces by.
var errNotRunning = errors.New("the lab does not run; run 'make lab-up'")

// Command of the lab's namespaces: it sees the nodes' mounts, links and rules, and reaches the
// containerds' sockets.
func (l *Lab) Command(ctx context.Context, program string, arguments ...string) (*exec.Cmd, error) {
	holder, err := holder()
	if err != nil {
		return nil, fmt.Errorf("lab %s: %w", l.dir, err)
	}
	enter := []string{"--target", strconv.Itoa(holder), "--net", "--mount", "--", program}
	return exec.CommandContext(ctx, "nsenter", append(enter, arguments...)...), nil
}

// holder is a process in the lab's namespaces.
func holder() (int, error) {
	cgroups := []string{name + "/" + systemCgroup}
	for _, zone := range Zones() {
		cgroups = append(cgroups, zoneCgroup(zone)+"/"+daemonCgroup)
	}
	for _, cgroup := range cgroups {
		pids, err := cgroupProcesses(cgroup)
		if err != nil {
			return 0, err
		}
		for _, pid := range pids {
			if inNamespace(pid) {
				return pid, nil
			}
		}
	}
	return 0, errNotRunning
}

// inNamespace says whether a process is in the lab's network namespace.
func inNamespace(pid int) bool {
	var wanted, actual unix.Stat_t
	if unix.Stat(namespaceFile(), &wanted) != nil || unix.Stat(fmt.Sprintf("/proc/%d/ns/net", pid), &actual) != nil {
		return false
	}
	return wanted.Ino == actual.Ino && wanted.Dev == actual.Dev
}

// processes lists all of the lab's processes: those in its cgroup, and those in its network namespace,
// which are on their way into the cgroup.
func processes() ([]int, error) {
	pids, err := cgroupProcesses(name)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil && inNamespace(pid) {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return slices.Compact(pids), nil
}

// startSupervisor has the supervisor running in the namespaces. The first one makes the mount
// namespace, a later one enters it.
func (l *Lab) startSupervisor(ctx context.Context, self string) error {
	client := l.supervisor()
	if _, err := client.List(ctx); err == nil {
		return nil
	}
	enter := []string{"--net=" + namespaceFile(), "--", "unshare", "--mount", "--propagation", "slave"}
	if pid, err := holder(); err == nil {
		enter = []string{"--target", strconv.Itoa(pid), "--net", "--mount"}
	} else if !errors.Is(err, errNotRunning) {
		return err
	}
	if err := os.MkdirAll(l.supervisorDir(), 0o700); err != nil {
		return fmt.Errorf("start the supervisor: %w", err)
	}
	logFile := filepath.Join(l.dir, "supervisor.log")
	log, err := os.OpenFile(logFile, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("start the supervisor: %w", err)
	}
	defer func() { _ = log.Close() }() // the supervisor has its own
	command := exec.Command("nsenter", append(enter, "--", self, "inside", "--dir", l.dir)...)
	command.Stdout, command.Stderr, command.Dir = log, log, l.dir
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return fmt.Errorf("start the supervisor: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	return awaitSupervisor(ctx, client.List, ended, logFile)
}

func awaitSupervisor(ctx context.Context, list func(context.Context) ([]string, error), ended <-chan error, logFile string) error {
	ctx, cancel := context.WithTimeout(ctx, supervisorDeadline)
	defer cancel()
	var last error
	err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		select {
		case err := <-ended:
			return false, fmt.Errorf("it ended: %w", err)
		default:
		}
		_, last = list(ctx)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("start the supervisor: %w; see %s", errors.Join(err, last), logFile)
	}
	return nil
}
