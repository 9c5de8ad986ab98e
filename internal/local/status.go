package local

import (
	"context"
	"fmt"
	"sort"

	"github.com/myriad-fleet/myriad/internal/runtime"
	"github.com/myriad-fleet/myriad/internal/runtime/process"
)

// Process is one process of the platform.
type Process struct {
	// Group it belongs to: hub, controllers, cell-<name> or gateway-<region>.
	Group string `json:"group"`
	runtime.Component
}

// Status lists the processes of the platform, by group. It returns an error when no supervisor answers.
func (h *Home) Status(ctx context.Context) ([]Process, error) {
	supervisor := process.NewClient(h.PlatformDir())
	ids, err := supervisor.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("the fleet of %s is not running: %w", h.Dir, err)
	}
	sort.Strings(ids)
	var all []Process
	for _, id := range ids {
		seen, err := supervisor.Observe(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", id, err)
		}
		for _, component := range seen.Components {
			all = append(all, Process{Group: id, Component: component})
		}
	}
	return all, nil
}
