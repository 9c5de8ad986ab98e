package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/google/renameio/v2"
)

const (
	dirMode  = 0o700 // guests' keys lie below
	fileMode = 0o600

	guestsDir      = "guests"
	deletingPrefix = ".deleting-"
	manifestFile   = "manifest.json"
	recordFile     = "process.json"
	discardFile    = "discard"
	addressesFile  = "addresses.json"
	drillsFile     = "drills.json"
	lockFile       = "supervisor.lock"
	socketFile     = "supervisor.sock"
	currentLog     = "current.log"
)

// nameForm is the form of guests' ids and of component names: they become names of directories.
var nameForm = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// checkName refuses what cannot safely become a directory's name; what says what it names.
func checkName(what, name string) error {
	if nameForm.MatchString(name) {
		return nil
	}
	return fmt.Errorf("%s %q: must be a DNS label: 1 to 63 lower-case letters, digits and '-'", what, name)
}

// componentDir holds the directories of one component.
type componentDir string

func (d componentDir) config() string  { return filepath.Join(string(d), "config") }
func (d componentDir) data() string    { return filepath.Join(string(d), "data") }
func (d componentDir) scratch() string { return filepath.Join(string(d), "tmp") }
func (d componentDir) logs() string    { return filepath.Join(string(d), "log") }
func (d componentDir) log() string     { return filepath.Join(d.logs(), currentLog) }
func (d componentDir) record() string  { return filepath.Join(string(d), recordFile) }

func (d componentDir) discard() string { return filepath.Join(string(d), discardFile) }

func (d componentDir) make() error {
	for _, dir := range []string{d.config(), d.data(), d.scratch(), d.logs()} {
		if err := os.MkdirAll(dir, dirMode); err != nil {
			return fmt.Errorf("making a component's directory: %w", err)
		}
	}
	return nil
}

// writeAtomically replaces a file whole, or leaves the old one as it is.
func writeAtomically(path string, data []byte) error {
	return renameio.WriteFile(path, data, fileMode,
		renameio.WithTempDir(filepath.Dir(path)), renameio.WithStaticPermissions(fileMode))
}

// readJSON reads path into v; found is false when there is no such file.
func readJSON(path string, v any) (found bool, err error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return true, err
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return true, fmt.Errorf("%s is damaged: %w", path, err)
	}
	return true, nil
}

// storedGuests lists the ids of the guests on disk, and of those whose deletion has begun.
func storedGuests(dir string) (kept, deleting []string, err error) {
	entries, err := os.ReadDir(filepath.Join(dir, guestsDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("listing guests: %w", err)
	}
	for _, entry := range entries {
		id, leaving := strings.CutPrefix(entry.Name(), deletingPrefix)
		switch {
		case !entry.IsDir() || !nameForm.MatchString(id):
		case leaving:
			deleting = append(deleting, id)
		default:
			kept = append(kept, id)
		}
	}
	return kept, deleting, nil
}
