package controlplane

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// latestRevision is what the hub pins new guests to. It is a string because the linker sets it: a
// build with -ldflags '-X <this package>.latestRevision=1' stands in for an older release.
var latestRevision = "4"

// defaults are what a revision changes for every guest. A guest keeps those of the revision that its
// order pins, so that new code alone changes no flag and restarts nothing.
type defaults struct {
	// apiServerGOGC is GOGC of the API servers in per cent; 0 leaves Go's own 100.
	apiServerGOGC int
	// hubGOGC is the same of the hub's API servers; 0 leaves them what guests have.
	hubGOGC int
	// profilesHub has the hub's API servers serve their profiles (pprof) to operators.
	profilesHub bool
	// sealsEtcd has members that lost their data refuse to start over, and lets them be replaced.
	sealsEtcd bool
	// tunes has components follow the order's tuning and etcd its quota.
	tunes bool
}

// TuningRevision is the first revision that knows of ControlPlaneSpec.Tuning and EtcdQuotaBytes.
const TuningRevision = 4

// revisions holds every revision that can be rendered. Keep the last two at least: guests move from
// one to the next by a rollout, and back by another.
var revisions = map[int64]defaults{
	1: {},
	// Memory is what limits the guests of a cell. Measured on an idle v1.36.3, one or two runs each:
	// 50 took 36 of an API server's 218 MiB and cost 0.4 s more CPU than 3.4 s at its start; 40 took
	// 8 MiB more for about 0.1 s more. The other components' heaps are too small to gain.
	2: {apiServerGOGC: 50},
	3: {apiServerGOGC: 50, sealsEtcd: true},
	// There is one hub, and its API server's CPU is what bounds how many clusters it can take in per second: with
	// 50, a third of it went to collecting garbage; with 200, a tenth (docs/scale.md).
	4: {apiServerGOGC: 50, hubGOGC: 200, profilesHub: true, sealsEtcd: true, tunes: true},
}

// LatestRevision is the revision that new guests are rendered by. It panics in a binary that was
// linked with a revision it cannot render.
func LatestRevision() int64 {
	revision, err := strconv.ParseInt(latestRevision, 10, 64)
	if _, known := revisions[revision]; err != nil || !known {
		panic(fmt.Sprintf("controlplane: built with latestRevision %q: want one of %v", latestRevision, Revisions()))
	}
	return revision
}

// Revisions lists the revisions that can be rendered, oldest first.
func Revisions() []int64 { return slices.Sorted(maps.Keys(revisions)) }
