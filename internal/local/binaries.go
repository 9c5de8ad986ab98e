package local

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"github.com/myriad-fleet/myriad/internal/distribution"
)

// versions that the fleet can run.
type versions struct {
	kubernetes []string // oldest first
	etcd       string   // the newest
}

// linkBinaries links every version of the given distribution into the home and returns what the
// home can run: versions linked by an earlier 'up' stay, for guests are pinned to them.
func (h *Home) linkBinaries(source string) (versions, error) {
	if source == "" {
		source = findDistribution()
	}
	if source != "" {
		if err := h.link(source); err != nil {
			return versions{}, err
		}
	}
	set, err := distribution.Open(h.DistributionDir())
	if err != nil {
		return versions{}, fmt.Errorf("no binaries of Kubernetes and etcd: %w; run 'make distro', or name a directory that holds them: myriad up --kubernetes-dir DIR", err)
	}
	kubernetes, err := set.KubernetesVersions()
	if err != nil {
		return versions{}, err
	}
	etcd, err := set.EtcdVersions()
	if err != nil {
		return versions{}, err
	}
	if len(kubernetes) == 0 || len(etcd) == 0 {
		return versions{}, fmt.Errorf("%s holds no version of Kubernetes or none of etcd; run 'make distro', or name a directory that holds them: myriad up --kubernetes-dir DIR", h.DistributionDir())
	}
	return versions{kubernetes: kubernetes, etcd: etcd[len(etcd)-1]}, nil
}

// findDistribution looks in $MYRIAD_DISTRO and where 'make distro' puts it beside the program.
func findDistribution() string {
	if directory := os.Getenv("MYRIAD_DISTRO"); directory != "" {
		return directory
	}
	self, err := os.Executable()
	if err != nil {
		return ""
	}
	directory := filepath.Join(filepath.Dir(self), "..", "out", "distro")
	if _, err := os.Stat(directory); err != nil {
		return ""
	}
	return directory
}

func (h *Home) link(source string) error {
	set, err := distribution.Open(source)
	if err != nil {
		return fmt.Errorf("binaries: %w", err)
	}
	kubernetes, kubernetesErr := set.KubernetesVersions()
	etcd, etcdErr := set.EtcdVersions()
	if err := errors.Join(kubernetesErr, etcdErr); err != nil {
		return fmt.Errorf("binaries: %w", err)
	}
	for _, version := range kubernetes {
		for _, program := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"} {
			if err := h.linkProgram(set, "kubernetes", program, version); err != nil {
				return err
			}
		}
	}
	for _, version := range etcd {
		for _, program := range []string{"etcd", "etcdctl", "etcdutl"} {
			if err := h.linkProgram(set, "etcd", program, version); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h *Home) linkProgram(set *distribution.Set, project, program, version string) error {
	path, err := set.Path(program, version)
	if err != nil {
		return fmt.Errorf("binaries: %w", err)
	}
	// Only the directory is resolved: one binary answers to several names.
	directory, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("binaries: %w", err)
	}
	link := filepath.Join(h.DistributionDir(), project, version, program)
	target := filepath.Join(directory, program)
	if old, err := os.Readlink(link); err == nil && old == target {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(link), 0o700); err != nil {
		return fmt.Errorf("link binaries: %w", err)
	}
	if err := renameio.Symlink(target, link); err != nil {
		return fmt.Errorf("link binaries: %w", err)
	}
	return nil
}
