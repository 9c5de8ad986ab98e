// Package process runs control planes as host processes: one supervisor process per directory
// parents them and heals them from the last manifests on disk, and a Client tells it what to run.
//
// A directory holds:
//
//	supervisor.sock, supervisor.lock     where the supervisor listens; who it is
//	addresses.json, drills.json          what is reserved; which zones are held in a drill
//	guests/<id>/manifest.json            what is wanted of one guest
//	guests/<id>/<component>/config/      the component's files, written before it starts
//	guests/<id>/<component>/data/        what outlives a restart
//	guests/<id>/<component>/log/         current.log, and older ones as current.log.1 to .3
//	guests/<id>/<component>/process.json how often it died, and why
//	guests/<id>/<component>/discard      its data is being thrown away (Client.Discard)
//	guests/.deleting-<id>/               a guest on its way out
//
// Processes outlive the supervisor. Each one carries its name and the hash of what it was started
// with in its environment, which a crash of the supervisor cannot lose: the next supervisor finds
// it there, and restarts it only when something else is wanted by then.
//
// # Restarts
//
// What must restart goes one at a time, in the manifest's order, each when all others are ready again.
// What is broken is waited for no longer than two minutes, but never are two members of a quorum down for
// the sake of a restart. A member of etcd takes its zone with it when there are others, so that a zone is
// disturbed once and its API server never serves without etcd:
//
//  1. The zone's API server ends. For 3 s it still serves while /readyz fails, and the gateways send what
//     is new to other zones.
//  2. The member ends. On SIGTERM it hands its leadership over by itself.
//  3. The member starts, with what is wanted now, and then the API server, too.
//  4. When all are ready the next zone follows, and then what else must restart.
//
// The zone's controller manager and scheduler lose their API server meanwhile. Those that must restart
// anyway go with the zone, first. The others are left alone: a leader keeps its Lease when it can renew it
// within 10 s, and a kube-controller-manager that ends does not release it (v1.36 can, behind an alpha
// feature gate), so that ending one that leads would always cost 15 s without controllers. One that gives
// up after 10 s, as leaders do on a busy machine, starts again with its API server; that is not counted as
// a restart, because it is the order's doing. A member alone, without a twin that could serve meanwhile,
// restarts alone: the API server waits for it.
//
// # Data
//
// A program does not notice that its data directory is removed from under it: etcd goes on acknowledging
// writes, into files without a name, that are lost at its next start. So each probe looks whether the
// directory is still the one that the process was started in. If not, the component is restarted as above.
// The only member of a guest's etcd is left running and the loss is told (Component.Message): what it
// still knows can be saved by a snapshot, and only while it runs.
package process
