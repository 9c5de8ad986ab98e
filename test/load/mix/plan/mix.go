// Package plan says what a load generator does to a guest and when: it reads mixes, refuses those that
// are out of bounds, and turns one with a seed into a sequence of operations. It sends nothing and knows
// no time: the same mix and seed give the same operations everywhere.
package plan

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Mix is a load in phases, as its YAML file describes it.
type Mix struct {
	// Name of the mix.
	Name string `json:"name"`
	// Description for people.
	Description string `json:"description,omitempty"`
	// MaxRate in requests per second, of everything together, cleaning up included. 0: 60.
	MaxRate float64 `json:"maxRate,omitempty"`
	// Phases, one after the other.
	Phases []Phase `json:"phases"`
}

// Phase is a stretch of time with one goal.
type Phase struct {
	// Name of the phase, unique in its mix.
	Name string `json:"name"`
	// Duration of the phase with its ramp. A phase that is held ends after it at the latest.
	Duration metav1.Duration `json:"duration"`
	// Ramp is the time in which targets and rates go in a straight line from those of the phase before to
	// this one's. 0: at once, as fast as MaxRate lets them.
	Ramp metav1.Duration `json:"ramp,omitzero"`
	// Hold lets the phase go on until somebody says so, if that is before Duration, and not before Ramp.
	Hold bool `json:"hold,omitempty"`
	// Target is what exists once the ramp is over. What it leaves out is deleted.
	Target Target `json:"target,omitzero"`
	// Rates of requests to what exists.
	Rates Rates `json:"rates,omitzero"`
	// Misbehave adds controllers that do what they should not.
	Misbehave Misbehaviour `json:"misbehave,omitzero"`
}

// Target is what exists in a guest because of a mix.
type Target struct {
	// Nodes that are fake: they are Ready, and nothing runs on them.
	Nodes int `json:"nodes,omitempty"`
	// Objects by kind: configmaps, secrets, deployments, pods (no node fits them), nodePods (bound to the
	// fake nodes), services, leases, events.
	Objects map[Kind]Amount `json:"objects,omitempty"`
	// CRDs, each of a kind of its own.
	CRDs int `json:"crds,omitempty"`
	// CustomResources of each of the CRDs.
	CustomResources Amount `json:"customResources,omitzero"`
	// Watches that stay open, spread over the kinds that exist.
	Watches int `json:"watches,omitempty"`
}

// Amount of one kind.
type Amount struct {
	// Count of objects.
	Count int `json:"count"`
	// Bytes of content in each, besides what its kind needs.
	Bytes int `json:"bytes,omitempty"`
	// Replicas of each Deployment; other kinds have none.
	Replicas int `json:"replicas,omitempty"`
}

// Rates in requests per second.
type Rates struct {
	// Get reads one object.
	Get float64 `json:"get,omitempty"`
	// List reads a page of 100 objects of one kind, from the watch cache.
	List float64 `json:"list,omitempty"`
	// ListAll reads all objects of one kind in one answer, the newest state: a list storm.
	ListAll float64 `json:"listAll,omitempty"`
	// Update replaces a ConfigMap or Secret.
	Update float64 `json:"update,omitempty"`
	// Patch changes an annotation of an object of any kind but CRDs and node Leases.
	Patch float64 `json:"patch,omitempty"`
	// Churn deletes an object in the mix's namespace and makes it again: two requests each.
	Churn float64 `json:"churn,omitempty"`
	// NodeChurn deletes a fake node with its Lease and makes both again: four requests each.
	NodeChurn float64 `json:"nodeChurn,omitempty"`
}

// Misbehaviour in actions per second. One that the API server does not let through in time is left out,
// and counted.
type Misbehaviour struct {
	// ListLoop lists everything in the guest, kind after kind, without a limit.
	ListLoop float64 `json:"listLoop,omitempty"`
	// Conflicts are two controllers that overwrite the same object, each with the version it saw last: every
	// other write is refused and followed by a read.
	Conflicts float64 `json:"conflicts,omitempty"`
	// WatchLoop opens watches from the beginning and drops each after the first answer.
	WatchLoop float64 `json:"watchLoop,omitempty"`
	// EventFlood makes Events that nobody removes, up to MaxFlood in a run.
	EventFlood float64 `json:"eventFlood,omitempty"`
}

// Rate is MaxRate with its default.
func (m Mix) Rate() float64 {
	if m.MaxRate == 0 {
		return defaultRate
	}
	return m.MaxRate
}

// Duration is what the phases take at most.
func (m Mix) Duration() time.Duration {
	var sum time.Duration
	for _, phase := range m.Phases {
		sum += phase.Duration.Duration
	}
	return sum
}

// Stretch is the mix with phases of one length; 0 changes nothing. Ramps stay as they are in a longer
// phase, and get shorter in proportion in a shorter one. Hold holds every phase.
func (m Mix) Stretch(length time.Duration, hold bool) Mix {
	phases := make([]Phase, len(m.Phases))
	for i, phase := range m.Phases {
		if length > 0 {
			if before := phase.Duration.Duration; length < before {
				phase.Ramp.Duration = time.Duration(float64(phase.Ramp.Duration) * float64(length) / float64(before))
			}
			phase.Duration.Duration = length
		}
		phase.Hold = phase.Hold || hold
		phases[i] = phase
	}
	m.Phases = phases
	return m
}

func (m Misbehaviour) named() []rated {
	return []rated{
		{"listLoop", m.ListLoop, ListLoop, 1},
		{"conflicts", m.Conflicts, Contest, 2},
		{"watchLoop", m.WatchLoop, DropWatch, 1},
		{"eventFlood", m.EventFlood, Flood, 1},
	}
}

func (r Rates) named() []rated {
	return []rated{
		{"get", r.Get, Get, 1},
		{"list", r.List, List, 1},
		{"listAll", r.ListAll, ListAll, 1},
		{"update", r.Update, Update, 1},
		{"patch", r.Patch, Patch, 1},
		{"churn", r.Churn, Churn, 2},
		{"nodeChurn", r.NodeChurn, NodeChurn, 4},
	}
}

// rated is one of the rates of a phase.
type rated struct {
	name  string
	rate  float64
	kind  Action
	costs float64 // requests that one action takes
}

// actions of a phase in the order in which they are planned.
func (p Phase) actions() []rated { return append(p.Rates.named(), p.Misbehave.named()...) }

// populations that exist once the phase's ramp is over.
func (p Phase) populations() map[Population]Amount {
	all := map[Population]Amount{
		{Kind: Nodes}:      {Count: p.Target.Nodes},
		{Kind: NodeLeases}: {Count: p.Target.Nodes},
		{Kind: CRDs}:       {Count: p.Target.CRDs},
	}
	for kind, amount := range p.Target.Objects {
		all[Population{Kind: kind}] = amount
	}
	for crd := range p.Target.CRDs {
		all[Population{Kind: CustomResources, CRD: crd}] = p.Target.CustomResources
	}
	return all
}
