package plan

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// Bounds that no mix can leave, whatever its file says. They are chosen for a test machine of two
// cores: enough to fill a guest of some hundred nodes, too little to hurt a neighbour for long.
const (
	// MaxRate in requests per second.
	MaxRate = 500
	// MaxNodes at a time.
	MaxNodes = 1000
	// MaxObjects at a time, custom resources and the pods of Deployments included.
	MaxObjects = 20000
	// MaxServices at a time: the smallest range of addresses that guests use has 254.
	MaxServices = 200
	// MaxCRDs at a time.
	MaxCRDs = 50
	// MaxWatches open at a time.
	MaxWatches = 500
	// MaxBytes of one object: an annotation's limit in Kubernetes is 256 KiB for all of them together.
	MaxBytes = 128 << 10
	// MaxContent in bytes of all objects together, far below etcd's default quota of 2 GiB.
	MaxContent = 256 << 20
	// MaxReplicas of one Deployment.
	MaxReplicas = 50
	// MaxFlood is how many Events a flood makes in one run.
	MaxFlood = 5000
	// MaxPhases of one mix.
	MaxPhases = 50
	// MaxDuration of a whole mix.
	MaxDuration = 4 * time.Hour
	// RenewEvery is the time between two renewals of a fake node's Lease; they are valid for 40 s, the
	// kubelet's default.
	RenewEvery = 15 * time.Second
	// spare is the part of the rate that is left to make and delete objects. The rest is for a CRD's way
	// to being served, for what has to be tried again, and for ramps that end late in their phase.
	spare = 0.8
	// atOnce is how many requests may be due when a phase begins, if everything is due together: the costs of
	// all actions, and one renewal, are 16; and once more while a ramp begins.
	atOnce = 32
	// defaultRate is that of the project's budgets for load.
	defaultRate = 60
)

// checker collects what is wrong with a mix, each with the place in the file.
type checker struct{ errs []error }

func (c *checker) failf(where, format string, arguments ...any) {
	c.errs = append(c.errs, fmt.Errorf("%s: %s", where, fmt.Sprintf(format, arguments...)))
}

func (c *checker) count(where string, value, most int) {
	if value < 0 || value > most {
		c.failf(where, "%d is out of bounds: write a number from 0 to %d", value, most)
	}
}

func (c *checker) rate(where string, value, most float64) {
	if math.IsNaN(value) || value < 0 || value > most {
		c.failf(where, "%g is out of bounds: write requests per second from 0 to %g", value, most)
	}
}

// Validate says everything that is wrong with a mix, where, and what to write instead.
func (m Mix) Validate() error {
	var c checker
	if m.Name == "" {
		c.failf("name", "it is empty: write what the mix is called")
	}
	c.rate("maxRate", m.MaxRate, MaxRate)
	if len(m.Phases) == 0 || len(m.Phases) > MaxPhases {
		c.failf("phases", "there are %d: write 1 to %d", len(m.Phases), MaxPhases)
	}
	if m.Duration() > MaxDuration {
		c.failf("phases", "they take %s together: write durations of %s at most", m.Duration(), MaxDuration)
	}
	names := map[string]bool{}
	var before Phase
	for i, phase := range m.Phases {
		where := fmt.Sprintf("phases[%d] %q", i, phase.Name)
		if phase.Name == "" || names[phase.Name] {
			c.failf(where+".name", "it is empty or used before: write one that no other phase has")
		}
		names[phase.Name] = true
		errs := len(c.errs)
		c.phase(where, phase)
		if len(c.errs) == errs { // what follows would only repeat it
			c.pace(where, m.Rate(), before, phase)
		}
		before = phase
	}
	return errors.Join(c.errs...)
}

func (c *checker) phase(where string, phase Phase) {
	length, ramp := phase.Duration.Duration, phase.Ramp.Duration
	if length < Tick || length > MaxDuration {
		c.failf(where+".duration", "%s is out of bounds: write a time from %s to %s, like 90s", length, Tick, MaxDuration)
	}
	if ramp < 0 || ramp > length {
		c.failf(where+".ramp", "%s is longer than the phase, or negative: write a time from 0s to %s", ramp, length)
	}
	c.target(where+".target", phase.Target)
	for _, r := range phase.Rates.named() {
		c.rate(where+".rates."+r.name, r.rate, MaxRate)
	}
	for _, r := range phase.Misbehave.named() {
		c.rate(where+".misbehave."+r.name, r.rate, MaxRate)
	}
}

func (c *checker) target(where string, target Target) {
	c.count(where+".nodes", target.Nodes, MaxNodes)
	c.count(where+".crds", target.CRDs, MaxCRDs)
	c.count(where+".watches", target.Watches, MaxWatches)
	total, content := 0, 0
	for _, kind := range slices.Sorted(maps.Keys(target.Objects)) {
		place, amount := fmt.Sprintf("%s.objects.%s", where, kind), target.Objects[kind]
		if !slices.Contains(objectKinds, kind) {
			c.failf(place, "there is no such kind here: write one of %s", list(objectKinds))
			continue
		}
		most := MaxObjects
		if kind == Services {
			most = MaxServices
		}
		c.amount(place, kind, amount, most)
		total += amount.Count * (1 + amount.Replicas)
		content += amount.Count * amount.Bytes
	}
	if target.Objects[NodePods].Count > 0 && target.Nodes == 0 {
		c.failf(where+".objects.nodePods", "there are no nodes to bind them to: write nodes, too, or pods instead of nodePods")
	}
	c.amount(where+".customResources", CustomResources, target.CustomResources, MaxObjects)
	if target.CustomResources.Count > 0 && target.CRDs == 0 {
		c.failf(where+".customResources", "they need a kind: write crds, too")
	}
	total += target.CRDs * target.CustomResources.Count
	content += target.CRDs * target.CustomResources.Count * target.CustomResources.Bytes
	if total > MaxObjects {
		c.failf(where, "it is %d objects, replicas included: write %d at most", total, MaxObjects)
	}
	if content > MaxContent {
		c.failf(where, "it is %d bytes of content: write counts and bytes whose products sum up to %d at most", content, MaxContent)
	}
}

func (c *checker) amount(where string, kind Kind, amount Amount, most int) {
	c.count(where+".count", amount.Count, most)
	c.count(where+".bytes", amount.Bytes, MaxBytes)
	if kind == Deployments {
		c.count(where+".replicas", amount.Replicas, MaxReplicas)
	} else if amount.Replicas != 0 {
		c.failf(where+".replicas", "only deployments have replicas: leave it out")
	}
}

// pace refuses a phase whose requests do not fit the rate of the mix, or the phase's time.
func (c *checker) pace(where string, rate float64, before, phase Phase) {
	steady := phase.requests()
	// While nodes go, those of the phase before renew their Leases still.
	steady += float64(max(before.Target.Nodes, phase.Target.Nodes)) / RenewEvery.Seconds()
	if steady > rate {
		c.failf(where, "its rates sum up to %.1f requests/s, renewals of node Leases and second requests included: write less, or a maxRate of more than %g", steady, rate)
		return
	}
	// In the ramp the rates of the phase before go on in part.
	lost := max(0, before.requests()-phase.requests()) * phase.Ramp.Seconds() / 2
	changes := float64(changes(before, phase))
	room := max(0, spare*((rate-steady)*phase.Duration.Seconds()-lost)-atOnce)
	if changes > room {
		c.failf(where, "%g objects and watches to make and delete do not fit: beside its rates there is room for %.0f requests in %s; write a longer duration, less, or a higher maxRate", changes, room, phase.Duration.Duration)
	}
}

// requests a second that a phase's rates take.
func (p Phase) requests() float64 {
	sum := 0.0
	for _, action := range p.actions() {
		sum += action.rate * action.costs
	}
	return sum
}

// changes is the number of objects to make and delete, and of watches to open, between two phases.
func changes(before, phase Phase) int {
	from, to := before.populations(), phase.populations()
	sum := max(0, phase.Target.Watches-before.Target.Watches)
	for population := range from {
		if _, stays := to[population]; !stays {
			sum += from[population].Count
		}
	}
	for population, amount := range to {
		difference := amount.Count - from[population].Count
		sum += max(difference, -difference)
	}
	return sum
}

func list(kinds []Kind) string {
	names := make([]string, len(kinds))
	for i, kind := range kinds {
		names[i] = string(kind)
	}
	return strings.Join(names, ", ")
}
