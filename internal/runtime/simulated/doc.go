// Package simulated is a runtime that behaves in time and capacity like a cell and runs nothing: a guest
// costs it a few kilobytes. It is for tests of scale and for what must be tried against thousands of guests.
//
// What it keeps of a guest is what the last manifest asks for, as hashes and numbers, and how far each
// component is. The rest follows from the time:
//
//   - A state machine (machine.go, roll.go) moves a guest on to a given time. It reads no clock and knows of
//     other guests only what the world (world.go) holds for all: room in zones, start slots, drills.
//   - A heap holds when something happens next to each guest. Every call first catches up with the clock, event
//     by event, each at its own time; Run does so when nobody calls. So the same calls at the same times give the
//     same states, however late Run is.
//   - What guests carry (load.go) is a function of the seed, the guest's id and the time of the load alone.
//
// All that is random is drawn from Options.Seed, the guest's id, the component's name and how often it was
// drawn for (chance.go), so that no guest changes what another one draws.
//
// What it leaves out: the end of a component that is stopped, dropped or deleted takes no time; a changed member
// of etcd restarts without its API server, which is not ready meanwhile; a controller manager whose API server
// is gone goes on.
package simulated
