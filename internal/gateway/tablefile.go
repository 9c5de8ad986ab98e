package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"github.com/myriad-fleet/myriad/internal/gateway/routing"
)

// tableFile is the routing table on disk.
type tableFile struct {
	dir   string
	log   *slog.Logger
	saved []byte // what the file holds
}

// path of the table.
func (f *tableFile) path() string { return filepath.Join(f.dir, "routes.json") }

// load the table. A missing one is empty. A broken one is put aside as routes.json.broken and the gateway
// starts empty, because the hub has it all; without the hub the old file is there to be looked at.
func (f *tableFile) load() (routing.Table, error) {
	data, err := os.ReadFile(f.path())
	if errors.Is(err, fs.ErrNotExist) {
		return routing.Table{}, nil
	}
	if err != nil {
		return routing.Table{}, fmt.Errorf("gateway: read the routing table; make it readable or remove it: %w", err)
	}
	table, err := routing.Decode(data)
	if err == nil {
		f.saved = data
		return table, nil
	}
	aside := f.path() + ".broken"
	if renamed := os.Rename(f.path(), aside); renamed != nil {
		return routing.Table{}, fmt.Errorf("gateway: put the broken routing table aside: %w", errors.Join(renamed, err))
	}
	f.log.Error("routing table is broken; no guest is routed until the hub answers", "kept", aside, "error", err)
	return routing.Table{}, nil
}

// save the table if it differs from what is on disk.
func (f *tableFile) save(table routing.Table) error {
	data, err := routing.Encode(table)
	if err != nil {
		return err
	}
	if bytes.Equal(data, f.saved) {
		return nil
	}
	if err := renameio.WriteFile(f.path(), data, 0o600); err != nil {
		return fmt.Errorf("write the routing table: %w", err)
	}
	f.saved = data
	return nil
}
