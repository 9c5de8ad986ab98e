package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

func writeRecord(path string, r *record, write func(string, []byte) error) error {
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := write(path, raw); err != nil && !errors.Is(err, fs.ErrNotExist) { // nothing to remember of what never ran
		return err
	}
	return nil
}

// readManifest reads a guest's manifest. It is nil when the guest's directory holds nothing yet: the
// supervisor died before the first Apply was answered.
func readManifest(dir string) (*controlplane.Manifest, []byte, error) {
	path := filepath.Join(dir, manifestFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		names, err := componentNames(dir)
		if err == nil && len(names) > 0 {
			err = fmt.Errorf("%s is missing", path)
		}
		return nil, nil, err
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading a manifest: %w", err)
	}
	m := &controlplane.Manifest{}
	if err := json.Unmarshal(raw, m); err != nil {
		return nil, nil, fmt.Errorf("%s is damaged: %w", path, err)
	}
	if err := checkManifest(m); err != nil {
		return nil, nil, fmt.Errorf("%s is damaged: %w", path, err)
	}
	return m, raw, nil
}

// componentNames lists the components that have a directory.
func componentNames(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listing components: %w", err)
	}
	var names []string
	for _, entry := range entries {
		if entry.IsDir() && nameForm.MatchString(entry.Name()) {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

// load reads the guest from disk and takes over its processes. It runs before the guest's goroutine
// does, except that life must be there for probers.
func (g *guest) load(running []found) {
	manifest, raw, err := readManifest(g.dir)
	if err != nil {
		g.log.Error("guest kept as it is until its manifest is applied again", "guest", g.id, "error", err)
	}
	names, err := componentNames(g.dir)
	if err != nil {
		g.log.Error("components not listed", "guest", g.id, "error", err)
	}
	prefix := instancePrefix(g.host.dir, g.id)
	for _, f := range running {
		if name := strings.TrimPrefix(f.instance, prefix); f.leader && checkName("component", name) == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		g.components = append(g.components, g.newComponent(name))
	}
	if manifest != nil {
		g.adopt(manifest, raw)
	}
	for _, c := range g.components {
		g.takeOverRunning(c, running)
	}
}

func (g *guest) takeOverRunning(c *component, running []found) {
	for _, f := range running {
		if !f.leader || f.instance != g.instance(c.name) {
			continue
		}
		err := g.takeOver(c, f)
		if err == nil {
			return
		}
		g.log.Warn("process not taken over", "guest", g.id, "component", c.name, "pid", f.pid, "error", err)
	}
	if c.record.PID != 0 && c.record.Boot == g.boot {
		c.record.Restarts++
		c.record.LastExit = "ended while no supervisor ran"
		if message := runtime.LastWords(readTail(c.dir.log(), 0)); message != "" {
			c.record.LastExit += ": " + message
		}
	}
	if c.record.PID != 0 {
		c.record.PID = 0
		g.saveRecord(c)
	}
}
