// Package kubernetes runs control planes in a cell that is a Kubernetes cluster: each guest in a
// namespace of its own, each component as a workload of one pod. Kubernetes heals them from then on,
// with this package or without it.
//
// Package objects says what the objects are, package roll in which order they change. This package
// carries that out: one worker at a time looks at a guest, reads the caches, has roll decide, and
// writes what differs, by server-side apply. What Myriad did not create is never written.
//
// What is kept in memory only (manifests, start slots, drills) is handed over again by the agent after
// its restart; everything else is read from the cell.
package kubernetes
