package distribution

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/Masterminds/semver/v3"
)

// Set is a collection of upstream programs in one or more directories, looked up by name and
// version. It reads the file system at every call, so that a version that was built meanwhile is
// found. It is safe for concurrent use.
type Set struct {
	dirs []string

	mu    sync.Mutex
	known map[instance]string // versions that programs of flat directories reported
}

// instance is a file as it was when its version was asked for.
type instance struct {
	path     string
	size     int64
	modified time.Time
}

// missingError says that no directory of a Set has a program.
type missingError struct {
	program, version string
	dirs             []string
	others           []string // what was found instead
}

func (e *missingError) Error() string {
	project := programs[e.program].project
	text := fmt.Sprintf("%s %s: %s is missing: there is no %s", projects[project].title, e.version, e.program,
		filepath.Join(e.dirs[0], project, e.version, e.program))
	if len(e.dirs) > 1 {
		text += " nor one in " + strings.Join(e.dirs[1:], ", ")
	}
	if len(e.others) > 0 {
		text += " (found " + strings.Join(e.others, ", ") + ")"
	}
	return text + ": " + remedy(project, e.version)
}

// remedy is what a person can do to get a version of a project.
func remedy(project, version string) string {
	target := projects[project].target
	if (project == projectKubernetes || project == projectNode) && version != "" {
		target += " VERSION=" + version
	}
	return fmt.Sprintf("run 'make %s'", target)
}

// Open returns the Set of the programs in dirs, searched in that order. Programs stand in
// <dir>/<project>/<version>/, like <dir>/etcd/v3.6.16/, as 'make distro' and 'make lab-distro' lay
// them out, or directly in <dir>, as people unpack official binaries; of those the version is
// asked for.
func Open(dirs ...string) (*Set, error) {
	if len(dirs) == 0 {
		return nil, errors.New("open a distribution: no directory was named")
	}
	for _, dir := range dirs {
		info, err := os.Stat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("open distribution %s: no such directory: run 'make distro', or name a directory that holds the programs", dir)
		}
		if err != nil {
			return nil, fmt.Errorf("open distribution: %w", err)
		}
		if !info.IsDir() {
			return nil, fmt.Errorf("open distribution %s: it is a file: name the directory that holds the programs", dir)
		}
	}
	return &Set{dirs: slices.Clone(dirs), known: map[instance]string{}}, nil
}

// Path returns the file of a program (kube-apiserver, kube-controller-manager, kube-scheduler,
// kubectl, etcd, etcdctl, etcdutl; of a lab's nodes kubelet, kube-proxy, containerd,
// containerd-shim-runc-v2, ctr, coredns, and kwok) of one version ("v1.36.3", "v3.6.16"). A file that is
// missing, cannot be run here or is of another version is an error that says which and what to do.
func (s *Set) Path(program, version string) (string, error) {
	entry, found := programs[program]
	if !found {
		return "", fmt.Errorf("distribution: %q is no program of it; it has %s", program,
			strings.Join(slices.Sorted(maps.Keys(programs)), ", "))
	}
	missing := &missingError{program: program, version: version, dirs: s.dirs}
	for _, dir := range s.dirs {
		path := filepath.Join(dir, entry.project, version, program)
		if exists(path) {
			return path, checkProgram(path, remedy(entry.project, version))
		}
		path = filepath.Join(dir, program)
		if !isFile(path) {
			continue
		}
		actual, err := s.flatVersion(program, path)
		if err != nil {
			return "", err
		}
		if actual == version {
			return path, nil
		}
		missing.others = append(missing.others, path+" of "+actual)
	}
	return "", missing
}

// KubernetesVersions returns the versions of Kubernetes of which every program can be run here,
// oldest first. Having none is an error.
func (s *Set) KubernetesVersions() ([]string, error) { return s.versions(projectKubernetes) }

// EtcdVersions returns the versions of etcd of which every program can be run here, oldest first.
// Having none is an error.
func (s *Set) EtcdVersions() ([]string, error) { return s.versions(projectEtcd) }

// CoreDNSVersions returns the versions of CoreDNS that can be run here, oldest first. Having none
// is an error.
func (s *Set) CoreDNSVersions() ([]string, error) { return s.versions(projectCoreDNS) }

// KwokVersions returns the versions of kwok that can be run here, oldest first. Having none is an
// error.
func (s *Set) KwokVersions() ([]string, error) { return s.versions(projectKwok) }

// versions lists the complete versions of a project.
func (s *Set) versions(project string) ([]string, error) {
	candidates, problems := s.candidates(project)
	var complete []string
	for _, version := range candidates {
		if err := s.complete(project, version); err != nil {
			problems = append(problems, err)
			continue
		}
		complete = append(complete, version)
	}
	if len(complete) == 0 {
		return nil, fmt.Errorf("no version of %s in %s can be run: %w", projects[project].title, strings.Join(s.dirs, ", "),
			errors.Join(append(problems, errors.New(remedy(project, "")))...))
	}
	return complete, nil
}

// candidates lists the versions of a project that are there at all, oldest first, and why a
// place could not be looked at.
func (s *Set) candidates(project string) (versions []string, problems []error) {
	var found []*semver.Version
	add := func(name string) {
		version, err := semver.StrictNewVersion(strings.TrimPrefix(name, "v"))
		if err == nil && !slices.ContainsFunc(found, version.Equal) {
			found = append(found, version)
		}
	}
	server := projects[project].server
	for _, dir := range s.dirs {
		entries, err := os.ReadDir(filepath.Join(dir, project))
		if err != nil && !errors.Is(err, fs.ErrNotExist) && isDirectory(filepath.Join(dir, project)) {
			problems = append(problems, err)
		}
		for _, entry := range entries {
			add(entry.Name())
		}
		if path := filepath.Join(dir, server); isFile(path) {
			version, err := s.flatVersion(server, path)
			if err != nil {
				problems = append(problems, err)
				continue
			}
			add(version)
		}
	}
	slices.SortFunc(found, (*semver.Version).Compare)
	for _, version := range found {
		versions = append(versions, "v"+version.String())
	}
	return versions, problems
}

// complete reports the first program of a version that cannot be run here.
func (s *Set) complete(project, version string) error {
	for _, name := range programsOf(project) {
		if _, err := s.Path(name, version); err != nil {
			return err
		}
	}
	return nil
}

// flatVersion returns the version of a program outside a directory of its version. It asks the
// program once, and again only when the file has changed.
func (s *Set) flatVersion(program, path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("distribution: %w", err)
	}
	if err := checkProgram(path, "fetch it again for this machine"); err != nil {
		return "", err
	}
	key := instance{path, info.Size(), info.ModTime()}
	s.mu.Lock()
	defer s.mu.Unlock()
	if version, asked := s.known[key]; asked {
		return version, nil
	}
	version, err := askVersion(context.Background(), program, path)
	if err != nil {
		return "", err
	}
	s.known[key] = version
	return version, nil
}

// exists reports whether something, if only a dangling link, has this name.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// isFile reports whether path leads to something that is no directory.
func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

// isDirectory reports whether path leads to a directory.
func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
