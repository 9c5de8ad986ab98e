package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/myriad-fleet/myriad/internal/runtime/process"
)

// hidden directories are the lab's own in its mount namespace: container programs keep state there
// that would stay behind.
var hidden = []string{"/run", "/var/log", "/var/lib"}

// insideMark says that the mount namespace is set up.
const insideMark = "/run/" + name

// namespaceSysctls belong to the network namespace: it routes between nodes, pods and the host.
var namespaceSysctls = map[string]string{
	"net/ipv4/ip_forward":             "1",
	"net/ipv4/conf/all/rp_filter":     "0",
	"net/ipv4/conf/default/rp_filter": "0",
}

// Inside is what runs in the lab's namespaces: it sets up what only can be from within, and is then
// the supervisor of all of the lab's programs until ctx is done.
func (l *Lab) Inside(ctx context.Context, log *slog.Logger) error {
	if err := JoinCgroup(name + "/" + systemCgroup); err != nil {
		return err
	}
	if err := l.setUpMounts(); err != nil {
		return fmt.Errorf("set up the lab's mount namespace: %w", err)
	}
	if err := writeSysctls(namespaceSysctls); err != nil {
		return err
	}
	supervisor, err := process.NewSupervisor(process.Options{Dir: l.supervisorDir(), Zones: Zones(), Log: log})
	if err != nil {
		return err
	}
	return supervisor.Run(ctx)
}

// setUpMounts gives the namespace its own hidden directories, and has mounts propagate between its
// programs: what a kubelet mounts, its containerd sees.
func (l *Lab) setUpMounts() error {
	if _, err := os.Stat(insideMark); err == nil {
		return nil // an earlier supervisor has done it
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share mounts: %w", err)
	}
	own, err := os.Open(l.dir)
	if err != nil {
		return err
	}
	defer func() { _ = own.Close() }() // only a place to mount from
	for _, directory := range hidden {
		if err := unix.Mount("tmpfs", directory, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
			return fmt.Errorf("hide %s: %w", directory, err)
		}
		if !strings.HasPrefix(l.dir, directory+"/") {
			continue
		}
		if err := os.MkdirAll(l.dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(fmt.Sprintf("/proc/self/fd/%d", own.Fd()), l.dir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("keep %s: %w", l.dir, err)
		}
		// Private first: as a peer of what it was bound from, it would see every mount twice.
		err := errors.Join(unix.Mount("", l.dir, "", unix.MS_PRIVATE, ""), unix.Mount("", l.dir, "", unix.MS_SHARED, ""))
		if err != nil {
			return fmt.Errorf("keep %s: %w", l.dir, err)
		}
	}
	return os.WriteFile(insideMark, nil, 0o644)
}

// Join moves the calling process into a cgroup of the lab and becomes the program, once somebody
// listens at the socket, where one is named.
func Join(ctx context.Context, cgroup, socket, program string, arguments []string) error {
	if cgroup != name && !strings.HasPrefix(cgroup, name+"/") {
		return fmt.Errorf("join cgroup %q: want one below %s", cgroup, name)
	}
	if err := JoinCgroup(cgroup); err != nil {
		return err
	}
	if socket != "" {
		if err := waitFor(ctx, containerdDeadline, func(ctx context.Context) error { return dial(ctx, socket) }); err != nil {
			return err
		}
	}
	err := unix.Exec(program, append([]string{program}, arguments...), os.Environ())
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("start %s: %w; run 'make lab-distro'", filepath.Base(program), err)
	}
	return fmt.Errorf("start %s: %w", program, err)
}

func dial(ctx context.Context, socket string) error {
	connection, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return err
	}
	return connection.Close()
}
