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
//	guests/.deleting-<id>/               a guest on its way out
//
// Processes outlive the supervisor. Each one carries its name and the hash of what it was started
// with in its environment, which a crash of the supervisor cannot lose: the next supervisor finds
// it there, and restarts it only when something else is wanted by then.
package process
