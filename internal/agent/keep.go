package agent

import (
	"fmt"

	"github.com/myriad-fleet/myriad/internal/agent/etcd"
	"github.com/myriad-fleet/myriad/internal/snapshot"
)

// newKeeper makes what keeps guests' etcds. changed is called when there is something new of a guest's.
func newKeeper(o Options, changed func(id string)) (*etcd.Keeper, error) {
	options := etcd.Options{Runtime: o.Runtime, Changed: changed, Clock: o.Clock, Log: o.Log}
	if o.Snapshots != "" {
		store, err := snapshot.Open(o.Snapshots, o.Clock)
		if err != nil {
			return nil, fmt.Errorf("--snapshots: %w", err)
		}
		options.Snapshots = store
	}
	return etcd.New(options), nil
}
