package routing

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// fileVersion of the persisted form. A reader refuses versions that it does not know.
const fileVersion = 1

// file is the persisted form of a Table.
type file struct {
	Version    int              `json:"version"`
	Routes     []Route          `json:"routes"`
	Tombstones map[string]int64 `json:"tombstones"`
}

// Encode a table for the disk: the same table always gives the same bytes.
func Encode(table Table) ([]byte, error) {
	content := file{Version: fileVersion, Routes: []Route{}, Tombstones: table.Tombstones}
	for _, id := range slices.Sorted(maps.Keys(table.Routes)) {
		content.Routes = append(content.Routes, table.Routes[id])
	}
	data, err := json.MarshalIndent(content, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the routing table: %w", err)
	}
	return append(data, '\n'), nil
}

// Decode what Encode wrote. Anything else is an error.
func Decode(data []byte) (Table, error) {
	var content file
	if err := json.Unmarshal(data, &content); err != nil {
		return Table{}, fmt.Errorf("decode the routing table: %w", err)
	}
	if content.Version != fileVersion {
		return Table{}, fmt.Errorf("decode the routing table: version %d is unknown, this program reads version %d",
			content.Version, fileVersion)
	}
	table := Table{Routes: map[string]Route{}, Tombstones: content.Tombstones}
	if table.Tombstones == nil {
		table.Tombstones = map[string]int64{}
	}
	for _, route := range content.Routes {
		if route.ID == "" || route.Epoch < 1 {
			return Table{}, errors.New("decode the routing table: a route has no id or no epoch")
		}
		if _, twice := table.Routes[route.ID]; twice {
			return Table{}, fmt.Errorf("decode the routing table: guest %s is there twice", route.ID)
		}
		table.Routes[route.ID] = route
	}
	return table, nil
}
