package lab

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Down removes the lab: its processes, and with the last of them its mounts, links and rules; its
// cgroups; its directory. It works on what an interrupted Up or Down left, and where nothing is.
func (l *Lab) Down(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: it needs root", ErrNotCapable)
	}
	unlock, err := lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	kept, err := l.readSettings()
	if err != nil {
		return err
	}
	steps := []struct {
		what string
		run  func(context.Context) error
	}{
		{"processes", killAll},
		{"network", disconnect},
		{"cgroups", func(ctx context.Context) error { return removeCgroup(ctx, name) }},
		{"settings of the machine", func(context.Context) error { return restoreSettings(kept) }},
		{"directory", func(context.Context) error { return l.removeDirectory(kept) }},
	}
	for _, step := range steps {
		started := l.clock.Now()
		if err := step.run(ctx); err != nil {
			return fmt.Errorf("lab down: %s: %w", step.what, err)
		}
		l.report("%-30s %.1f s", step.what, l.clock.Since(started).Seconds())
	}
	return nil
}

// killAll kills all of the lab's processes, wherever they are.
func killAll(ctx context.Context) error {
	if err := killCgroup(ctx, name); err != nil {
		return err
	}
	// What was on its way into the cgroup, or into the namespace, when the rest was killed.
	return waitFor(ctx, killDeadline, func(ctx context.Context) error {
		left, err := processes()
		if err != nil || len(left) == 0 {
			return err
		}
		for _, pid := range left {
			if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("kill process %d: %w", pid, err)
			}
		}
		return fmt.Errorf("processes %v do not end", left)
	})
}

func restoreSettings(kept *settings) error {
	if kept == nil {
		return nil
	}
	return writeSysctls(kept.Sysctls)
}

// removeDirectory removes what is known to be a lab's, and last what says that it is.
func (l *Lab) removeDirectory(kept *settings) error {
	if kept == nil {
		return nil
	}
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if path := l.path(entry.Name()); path != l.settingsFile() {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	return os.RemoveAll(l.dir)
}
