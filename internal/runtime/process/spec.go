package process

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/myriad-fleet/myriad/internal/controlplane"
)

// Markers in the environment of every process: they tell a later supervisor whose it is and what it
// was started with.
const (
	instanceVariable = "MYRIAD_INSTANCE" // <absolute directory>/<id>/<component>
	specVariable     = "MYRIAD_SPEC"     // specHash of the component
)

// searchPath is the same for every supervisor, whoever starts it from whatever shell.
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// checkManifest refuses what the runtime could not carry out.
func checkManifest(m *controlplane.Manifest) error {
	if err := checkName("guest id", m.ID); err != nil {
		return err
	}
	known := map[string]bool{}
	for i := range m.Components {
		c := &m.Components[i]
		if err := checkComponent(c, known); err != nil {
			return fmt.Errorf("manifest of guest %s: component %q: %w", m.ID, c.Name, err)
		}
		known[c.Name] = true
	}
	return nil
}

func checkComponent(c *controlplane.Component, earlier map[string]bool) error {
	if err := checkName("name", c.Name); err != nil {
		return err
	}
	if earlier[c.Name] {
		return errors.New("its name is used twice")
	}
	if c.Program == "" {
		return errors.New("it names no program")
	}
	for _, after := range c.After {
		if !earlier[after] {
			return fmt.Errorf("it starts after %q, which must come earlier in the manifest", after)
		}
	}
	for _, variable := range c.Env {
		if !strings.Contains(variable, "=") {
			return fmt.Errorf("environment %q is not of the form NAME=value", variable)
		}
	}
	for _, file := range c.Files {
		if !filepath.IsLocal(file.Path) {
			return fmt.Errorf("file %q lies outside of its configuration directory", file.Path)
		}
		if file.From != "" && len(file.Content) == 0 {
			return fmt.Errorf("file %q has no content: resolve %q before applying the manifest", file.Path, file.From)
		}
	}
	return nil
}

// specHash tells whether a running process is still the one that is wanted. Live files, probes,
// sizes, the order of starts and the first arguments are left out: they change without a restart.
// Changing what goes in here restarts every process of every guest at the next upgrade of Myriad.
func specHash(c *controlplane.Component) string {
	type file struct {
		Path    string
		Content []byte
	}
	spec := struct {
		Program, Version string
		Args, Env        []string
		Files            []file
	}{Program: c.Program, Version: c.Version, Args: slices.Concat([]string{}, c.Args), Env: slices.Concat([]string{}, c.Env)}
	for _, f := range c.Files {
		if !f.Live {
			spec.Files = append(spec.Files, file{f.Path, f.Content})
		}
	}
	slices.SortFunc(spec.Files, func(a, b file) int { return cmp.Compare(a.Path, b.Path) })
	raw, err := json.Marshal(spec)
	if err != nil {
		panic(fmt.Sprintf("hashing strings and bytes cannot fail: %v", err))
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:16])
}

// expander puts a component's directories in the place of the manifest's variables.
func expander(dir componentDir) *strings.Replacer {
	return strings.NewReplacer(controlplane.ConfigDir, dir.config(), controlplane.DataDir, dir.data())
}

// commandLine is the component's arguments and environment as the process gets them.
func commandLine(c *controlplane.Component, dir componentDir, instance string) (args, env []string) {
	expand := expander(dir)
	for _, arg := range slices.Concat(c.Args, c.FirstArgs) {
		args = append(args, expand.Replace(arg))
	}
	env = []string{"PATH=" + searchPath, "HOME=" + dir.data(), "TMPDIR=" + dir.scratch()}
	for _, variable := range c.Env {
		env = append(env, expand.Replace(variable))
	}
	return args, append(env, instanceVariable+"="+instance, specVariable+"="+specHash(c))
}

// writeFiles brings a component's configuration directory up to date and touches only what differs.
// Of a running component only the live files are written, each atomically.
func writeFiles(c *controlplane.Component, dir componentDir, running bool, write func(string, []byte) error) error {
	expand := expander(dir)
	for _, file := range c.Files {
		if running && !file.Live {
			continue
		}
		path := filepath.Join(dir.config(), file.Path)
		content := file.Content
		if bytes.Contains(content, []byte("$(")) {
			content = []byte(expand.Replace(string(content)))
		}
		if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), dirMode); err != nil {
			return fmt.Errorf("making the directory of a configuration file: %w", err)
		}
		if err := write(path, content); err != nil {
			return fmt.Errorf("writing configuration: %w", err)
		}
	}
	return nil
}

// removeOldFiles removes from a configuration directory what the manifest no longer has.
func removeOldFiles(c *controlplane.Component, dir componentDir) error {
	wanted := map[string]bool{}
	for _, file := range c.Files {
		wanted[filepath.Join(dir.config(), file.Path)] = true
	}
	return filepath.WalkDir(dir.config(), func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("looking for old configuration: %w", err)
		}
		if entry.IsDir() || wanted[path] {
			return nil
		}
		return os.Remove(path)
	})
}
