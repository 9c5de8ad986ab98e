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

// link points <set>/<project>/<version> to dir. It writes nothing where that is so already.
func link(set, project, version, dir string) error {
	name := filepath.Join(set, project, version)
	if current, err := os.Readlink(name); err == nil && current == dir {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("link %s %s: %w", title(project), version, err)
	}
	if err := renameio.Symlink(dir, name); err != nil {
		return fmt.Errorf("link %s %s: %w: remove %s if it is no link", title(project), version, err, name)
	}
	return nil
}
