// Package runtime holds the words that every runtime shares. A runtime realises the manifests of
// guests' control planes in one cell: as host processes, in a Kubernetes cluster, or simulated. The
// interfaces that callers need are declared by the callers.
package runtime

import (
	"slices"
	"time"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// State of a component.
type State string

// The states of a component.
const (
	Waiting  State = "Waiting"  // waits for the components named in After
	Queued   State = "Queued"   // waits for a start slot: start-ups are paced to the cores
	Starting State = "Starting" // runs, its probe has not succeeded yet
	Running  State = "Running"  // its probe succeeded
	BackOff  State = "BackOff"  // died; will be started again after a pause
	Held     State = "Held"     // stopped or hung on purpose: Component.Stopped, or a drill
	Blocked  State = "Blocked"  // cannot start: no room, no volume, no image; Message says what lacks
)

// Observation is how a guest is in its cell.
type Observation struct {
	// Exists is false when the runtime holds nothing of the guest.
	Exists bool `json:"exists"`
	// Components of the last manifest, in its order.
	Components []Component `json:"components,omitempty"`
}

// Component is how one component is.
type Component struct {
	Name  string `json:"name"`
	State State  `json:"state"`
	// Ready when the last probe succeeded.
	Ready bool `json:"ready"`
	// Outdated when it runs otherwise than the last manifest says, or its resources are still being changed.
	Outdated bool `json:"outdated,omitempty"`
	// PID of the process, on the process runtime.
	PID int `json:"pid,omitempty"`
	// Restarts after deaths that nobody ordered, since the guest was created. A runtime may forget those
	// of pods that are gone when its agent restarts.
	Restarts int32 `json:"restarts,omitempty"`
	// LastExit says how it last died and what it said, for example
	// "exit status 1 after 2s: listen tcp 127.9.1.2:6443: bind: address already in use".
	LastExit string `json:"lastExit,omitempty"`
	// Message says what keeps it from running, for example "0/3 nodes are available: 3 Insufficient
	// memory".
	Message string `json:"message,omitempty"`
	// Since when it is in this state.
	Since time.Time `json:"since"`
}

// Component returns the component of that name.
func (o Observation) Component(name string) (Component, bool) {
	i := slices.IndexFunc(o.Components, func(c Component) bool { return c.Name == name })
	if i < 0 {
		return Component{}, false
	}
	return o.Components[i], true
}

// Capacity is what the zones of a cell can carry in all.
type Capacity []v1alpha1.ZoneCapacity
