package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/myriad-fleet/myriad/internal/distribution"
)

// ErrNotCapable is wrapped by the error of Up where this machine or user cannot run a lab. Suites
// that need one are then left out.
var ErrNotCapable = errors.New("this machine cannot run the lab")

// capabilities that the lab needs: namespaces, links and rules, cgroups and mounts, other users' files.
var capabilities = map[string]uint{
	"CAP_SYS_ADMIN":  unix.CAP_SYS_ADMIN,
	"CAP_NET_ADMIN":  unix.CAP_NET_ADMIN,
	"CAP_NET_RAW":    unix.CAP_NET_RAW,
	"CAP_MKNOD":      unix.CAP_MKNOD,
	"CAP_SYS_CHROOT": unix.CAP_SYS_CHROOT,
	"CAP_SYS_PTRACE": unix.CAP_SYS_PTRACE,
	"CAP_CHOWN":      unix.CAP_CHOWN,
	"CAP_KILL":       unix.CAP_KILL,
}

// hostPrograms are installed on the machine, by hack/lab-packages.
var hostPrograms = []string{"ip", "nft", "runc", "nsenter", "unshare"}

// Check says in one line why this machine cannot run the lab; nil when it can.
func Check() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: it needs root", ErrNotCapable)
	}
	var set [2]unix.CapUserData // the second is for capabilities from 32 on
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capget(&header, &set[0]); err != nil {
		return fmt.Errorf("%w: read the capabilities: %w", ErrNotCapable, err)
	}
	var lacking []string
	for capability, bit := range capabilities {
		if set[bit/32].Effective&(1<<(bit%32)) == 0 {
			lacking = append(lacking, capability)
		}
	}
	if len(lacking) > 0 {
		slices.Sort(lacking)
		return fmt.Errorf("%w: it needs %s", ErrNotCapable, strings.Join(lacking, ", "))
	}
	all, err := hierarchies()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotCapable, err)
	}
	if !slices.Contains(all, freezer) {
		return fmt.Errorf("%w: it needs cgroup v1 with the freezer below %s", ErrNotCapable, cgroupMount)
	}
	return nil
}

// findPrograms finds what the lab runs: the distribution's programs and the machine's.
func findPrograms(root string) (*programs, error) {
	directory := os.Getenv("MYRIAD_DISTRO")
	if directory == "" {
		directory = filepath.Join(root, "out", "distro")
	}
	set, err := distribution.Open(directory)
	if err != nil {
		return nil, err
	}
	p := &programs{directory: directory, paths: map[string]string{}}
	if p.kubernetes, err = newest(set.KubernetesVersions()); err != nil {
		return nil, err
	}
	if p.etcd, err = newest(set.EtcdVersions()); err != nil {
		return nil, err
	}
	if p.paths["etcd"], err = set.Path("etcd", p.etcd); err != nil {
		return nil, err
	}
	for _, program := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler"} {
		if p.paths[program], err = set.Path(program, p.kubernetes); err != nil {
			return nil, err
		}
	}
	for _, program := range []string{"containerd", "containerd-shim-runc-v2", "ctr", "kubelet", "kube-proxy", "coredns"} {
		p.paths[program] = filepath.Join(directory, "lab", program)
		if _, err := os.Stat(p.paths[program]); err != nil {
			return nil, fmt.Errorf("find the lab's programs: %w; run 'make lab-distro'", err)
		}
	}
	return p, p.findOnHost()
}

// installPackages has the repository's script install what is missing of the machine's programs.
func installPackages(ctx context.Context, root string) error {
	missing := false
	for _, program := range append(slices.Clone(hostPrograms), filepath.Join(cniPrograms, "ptp")) {
		_, err := exec.LookPath(program)
		missing = missing || err != nil
	}
	if !missing {
		return nil
	}
	if output, err := exec.CommandContext(ctx, filepath.Join(root, "hack", "lab-packages")).CombinedOutput(); err != nil {
		return fmt.Errorf("install the machine's packages: %w: %s", err, bytes.TrimSpace(output))
	}
	return nil
}

func (p *programs) findOnHost() error {
	for _, program := range hostPrograms {
		path, err := exec.LookPath(program)
		if err != nil {
			return fmt.Errorf("find the lab's programs: %w; run 'hack/lab-packages'", err)
		}
		p.paths[program] = path
	}
	if _, err := os.Stat(filepath.Join(cniPrograms, "ptp")); err != nil {
		return fmt.Errorf("find the lab's programs: %w; run 'hack/lab-packages'", err)
	}
	return nil
}

func newest(versions []string, err error) (string, error) {
	if err != nil {
		return "", err
	}
	if len(versions) == 0 {
		return "", errors.New("find the lab's programs: no version of Kubernetes or none of etcd; run 'make distro'")
	}
	return versions[len(versions)-1], nil
}

// repository is the root of the source tree that the working directory lies in.
func repository() (string, error) {
	directory, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(directory, "go.mod")); err == nil {
			return directory, nil
		}
		parent := filepath.Dir(directory)
		if parent == directory {
			return "", errors.New("find the repository: run this below its root")
		}
		directory = parent
	}
}
