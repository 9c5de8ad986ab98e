package distribution

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// LinkKubernetes makes the programs in dir one version of the Set in the directory set.
func LinkKubernetes(set, version, dir string) error {
	return link(set, projectKubernetes, version, dir)
}

// LinkEtcd makes the programs in dir one version of the Set in the directory set.
func LinkEtcd(set, version, dir string) error { return link(set, projectEtcd, version, dir) }

// link points <set>/<project>/<version> to dir.
func link(set, project, version, dir string) error {
	if err := pointTo(filepath.Join(set, project, version), dir); err != nil {
		return fmt.Errorf("link %s %s: %w", projects[project].title, version, err)
	}
	return nil
}

// linkLab makes the programs in dir one version of the Set in the directory set, and the ones
// that <set>/lab/<program> lead to.
func linkLab(set, project, version, dir string) error {
	if err := link(set, project, version, dir); err != nil {
		return err
	}
	for _, name := range programsOf(project) {
		target := filepath.Join("..", project, version, name)
		if err := pointTo(filepath.Join(set, "lab", name), target); err != nil {
			return fmt.Errorf("link %s %s for the lab: %w", name, version, err)
		}
	}
	return nil
}

// pointTo makes name a symbolic link to target. It writes nothing where that is so already.
func pointTo(name, target string) error {
	if current, err := os.Readlink(name); err == nil && current == target {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	if err := renameio.Symlink(target, name); err != nil {
		return fmt.Errorf("%w: remove %s if it is no link", err, name)
	}
	return nil
}
