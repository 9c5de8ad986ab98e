package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/test/lab/policy"
)

const (
	// lockFile is taken by what changes a lab: there is one per machine.
	lockFile = "/run/lock/" + name
	// commandPackage is the program that runs in the lab's namespaces.
	commandPackage = "github.com/myriad-fleet/myriad/test/lab/cmd"
)

// up carries one run of Up from step to step.
type up struct {
	*Lab
	programs    *programs
	credentials *credentials
	dnsImage    string
}

// Up brings the lab up, or what an earlier one left undone. What runs already is left alone. It
// returns when all nodes are Ready and CoreDNS serves. Errors wrap ErrNotCapable where the machine or
// the user cannot run a lab.
//
//  1. programs, and the directory with this program in it
//  2. network: the namespace and the link into it
//  3. supervisor, in the namespaces
//  4. images: what each node's containerd begins with
//  5. control plane, nodes and services: all at once, they wait for each other
//  6. images that are new since the nodes began
//  7. objects: rights, CoreDNS, the storage class
//  8. wait until it is a cell
func (l *Lab) Up(ctx context.Context) error {
	if err := Check(); err != nil {
		return err
	}
	unlock, err := lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	u := &up{Lab: l}
	steps := []struct {
		what string
		run  func(context.Context) error
	}{
		{"programs", u.prepare},
		{"network", connect},
		{"supervisor", func(ctx context.Context) error { return l.startSupervisor(ctx, u.programs.self) }},
		{"images", u.provideImages},
		{"control plane and nodes", u.apply},
		{"images that are new", u.importImages},
		{"objects", u.install},
		{"waiting for nodes and CoreDNS", u.waitCell},
	}
	for _, step := range steps {
		started := l.clock.Now()
		if err := step.run(ctx); err != nil {
			return fmt.Errorf("lab up: %s: %w", step.what, err)
		}
		l.report("%-30s %.1f s", step.what, l.clock.Since(started).Seconds())
	}
	return nil
}

// prepare finds the programs and makes the directory.
func (u *up) prepare(ctx context.Context) error {
	root, err := repository()
	if err != nil {
		return err
	}
	if err := installPackages(ctx, root); err != nil {
		return err
	}
	if u.programs, err = findPrograms(root); err != nil {
		return err
	}
	if err := u.claim(); err != nil {
		return err
	}
	if err := u.keepSettings(); err != nil {
		return err
	}
	for _, zone := range Zones() {
		if err := u.prepareNode(u.node(zone)); err != nil {
			return err
		}
	}
	if u.credentials, err = openCredentials(u.Lab); err != nil {
		return err
	}
	u.programs.self, u.programs.shim = u.path("bin", "lab"), u.path("bin", "shim")
	if err := writeFile(u.programs.shim, u.shim(), 0o755); err != nil {
		return err
	}
	if err := u.installSelf(ctx, root); err != nil {
		return err
	}
	plugin := u.path("bin", policy.Plugin)
	if err := renameio.Symlink(u.programs.self, plugin); err != nil {
		return fmt.Errorf("install the CNI plugin: %w", err)
	}
	return u.credentials.writeKubeconfigs()
}

// claim refuses to touch a lab that another directory holds, or a directory that holds something else.
func (u *up) claim() error {
	kept, err := u.readSettings()
	if err != nil || kept != nil {
		return err
	}
	if entries, err := os.ReadDir(u.dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("directory %s holds something that is no lab: name an empty one in MYRIAD_LAB", u.dir)
	}
	if left, err := processes(); err != nil || len(left) > 0 {
		return errors.Join(err, fmt.Errorf("a lab of another directory runs on this machine (processes %v): stop it there with 'lab down'", left))
	}
	return nil
}

func (u *up) prepareNode(n node) error {
	for _, directory := range n.directories() {
		if err := os.MkdirAll(directory, 0o755); err != nil {
			return fmt.Errorf("prepare node %s: %w", NodeName(n.zone), err)
		}
	}
	network, err := n.cniConfigurationFile(u.enforcerSocket())
	if err != nil {
		return err
	}
	if err := makeCgroup(zoneCgroup(n.zone)); err != nil {
		return err
	}
	return writeFile(filepath.Join(n.cniConfiguration(), "10-lab.conflist"), network, 0o644)
}

// shim starts a container's shim without the supervisor's marker: containers outlive their containerd,
// which the supervisor would otherwise clear away as what it left.
func (u *up) shim() []byte {
	return fmt.Appendf(nil, "#!/bin/sh\nunset MYRIAD_INSTANCE MYRIAD_SPEC\nexec %s \"$@\"\n", u.programs.paths["containerd-shim-runc-v2"])
}

// installSelf puts the lab's program into its directory: this one, or when this is a test, a new build.
// Daemons that run go on with what they were started with.
func (u *up) installSelf(ctx context.Context, root string) error {
	if info, ok := debug.ReadBuildInfo(); !ok || info.Path != commandPackage {
		command := exec.CommandContext(ctx, "go", "build", "-o", u.programs.self, commandPackage)
		command.Dir = root
		command.Env = append(command.Environ(), "CGO_ENABLED=0")
		if output, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("build the lab's program: %w: %s", err, output)
		}
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	content, err := os.ReadFile(self)
	if err != nil {
		return fmt.Errorf("install this program: %w", err)
	}
	return writeFile(u.programs.self, content, 0o755)
}

// apply hands all manifests to the supervisor.
func (u *up) apply(ctx context.Context) error {
	controlPlane, err := u.programs.controlPlane()
	if err != nil {
		return err
	}
	services, err := u.services(u.programs)
	if err != nil {
		return err
	}
	manifests := []controlplane.Manifest{controlPlane, services}
	for _, zone := range Zones() {
		manifest, err := u.programs.nodeManifest(u.node(zone))
		if err != nil {
			return err
		}
		manifests = append(manifests, manifest)
	}
	client := u.supervisor()
	if err := client.Resume(ctx); err != nil {
		return err
	}
	for _, manifest := range manifests {
		resolved, err := u.credentials.resolve(manifest)
		if err != nil {
			return err
		}
		if err := client.Apply(ctx, resolved); err != nil {
			return err
		}
	}
	return nil
}

// lock the machine's lab against other changes, waiting for one that is under way.
func lock(ctx context.Context) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(lockFile), 0o755); err != nil {
		return nil, fmt.Errorf("lock the lab: %w", err)
	}
	file, err := os.OpenFile(lockFile, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the lab: %w", err)
	}
	err = wait.PollUntilContextCancel(ctx, pollInterval, true, func(context.Context) (bool, error) {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		_ = file.Close() // nothing was written
		return nil, fmt.Errorf("lock the lab (another 'lab' command is at work): %w", err)
	}
	return func() { _ = file.Close() }, nil
}

// waitFor a condition until the deadline. The error is what kept it from being met.
func waitFor(ctx context.Context, deadline time.Duration, condition func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	var last error
	err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		last = condition(ctx)
		return last == nil, nil
	})
	if err != nil {
		return errors.Join(last, err)
	}
	return nil
}

// known says whether a zone is one of the lab's.
func known(zone string) error {
	if !slices.Contains(Zones(), zone) {
		return fmt.Errorf("zone %q: the lab has %v", zone, Zones())
	}
	return nil
}
