package roll

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// model is a guest in a cluster that does what it is told: workloads make pods, pods become ready, and
// pods that were told to end are gone. What happens next is up to the test.
type model struct {
	guest    Guest
	specs    map[string]bool // broken: pods with these never become ready
	rigid    bool            // pods cannot be resized in place
	journal  []string
	sizes    map[string]string // wanted, by component
	podSizes map[string]string
}

// newModel is a guest as it is created: nothing of it exists.
func newModel(zones ...string) *model {
	m := &model{specs: map[string]bool{}, sizes: map[string]string{}, podSizes: map[string]string{}}
	add := func(kind controlplane.Kind, zones []string, after controlplane.Kind) {
		for _, zone := range zones {
			c := Component{Name: controlplane.InstanceName(kind, zone), Kind: kind, Zone: zone, Spec: "1", Template: "1"}
			if after != "" {
				c.After = []string{controlplane.InstanceName(after, zone)}
			}
			m.guest.Components = append(m.guest.Components, c)
		}
	}
	add(controlplane.Etcd, zones, "")
	add(controlplane.APIServer, zones, controlplane.Etcd)
	add(controlplane.ControllerManager, zones[:min(2, len(zones))], controlplane.APIServer)
	add(controlplane.Scheduler, zones[:min(2, len(zones))], controlplane.APIServer)
	m.guest.Slot = true
	m.guest.Now, m.guest.SlotUntil = time.Unix(0, 0), time.Unix(60, 0)
	return m
}

// running is a guest that is ready.
func running(zones ...string) *model {
	m := newModel(zones...)
	m.settle(nil)
	m.guest.Slot = false
	m.journal = nil
	return m
}

func (m *model) component(name string) *Component {
	i := slices.IndexFunc(m.guest.Components, func(c Component) bool { return c.Name == name })
	return &m.guest.Components[i]
}

// want another spec of the components of a kind.
func (m *model) want(spec string, kinds ...controlplane.Kind) {
	for i := range m.guest.Components {
		if c := &m.guest.Components[i]; slices.Contains(kinds, c.Kind) {
			c.Spec, c.Template = spec, spec
		}
	}
}

func (m *model) logf(format string, args ...any) {
	m.journal = append(m.journal, fmt.Sprintf(format, args...))
}

// decide and carry out what is decided; false when nothing was done.
func (m *model) decide() bool {
	for i := range m.guest.Components {
		if c := &m.guest.Components[i]; c.Pod != nil {
			c.Pod.Sized = m.podSizes[c.Name] == m.sizes[c.Name]
			if !c.Pod.Sized && m.rigid {
				c.Pod.Resize = Impossible
			}
		}
	}
	plan := Decide(&m.guest)
	acted := false
	for i, step := range plan.Steps {
		acted = m.act(&m.guest.Components[i], step) || acted
	}
	before := len(m.guest.Components)
	m.guest.Components = slices.DeleteFunc(m.guest.Components, func(c Component) bool { return c.Dropped && c.Workload == nil && c.Pod == nil })
	if plan.DropSlot {
		m.guest.Slot = false
	}
	return acted || before != len(m.guest.Components)
}

func (m *model) act(c *Component, step Step) bool {
	acted := m.actOnWorkload(c, step)
	switch {
	case c.Pod == nil || c.Pod.NodeAway:
	case step.Pod == Restart && !c.Pod.Deleting:
		c.Pod.Deleting, acted = true, true
		m.logf("restart %s", c.Name)
	case step.Pod == Kill:
		c.Pod, acted = nil, true
		m.logf("kill %s", c.Name)
	case step.Pod == Fit:
		m.podSizes[c.Name], acted = m.sizes[c.Name], true
		m.logf("resize %s", c.Name)
	}
	return acted
}

func (m *model) actOnWorkload(c *Component, step Step) bool {
	switch {
	case step.Act == Remove && (c.Workload != nil || c.Pod != nil && !c.Pod.Deleting):
		m.logf("remove %s", c.Name)
		c.Workload = nil
		if c.Pod != nil {
			c.Pod.Deleting = true
		}
		return true
	case step.Act == Put && c.Workload == nil:
		m.logf("create %s", c.Name)
		c.Workload = &Workload{Spec: c.Spec, Replicas: step.Replicas}
		return true
	case step.Act != Put && step.Act != Scale || c.Workload == nil:
		return false
	}
	acted := false
	if step.Act == Put && c.Workload.Spec != c.Spec {
		m.logf("update %s to %s", c.Name, c.Spec)
		c.Workload.Spec, acted = c.Spec, true
	}
	if c.Workload.Replicas != step.Replicas {
		m.logf("scale %s to %d", c.Name, step.Replicas)
		c.Workload.Replicas, acted = step.Replicas, true
	}
	if c.Workload.Replicas == 0 && c.Pod != nil && !c.Pod.Deleting {
		c.Pod.Deleting = true
	}
	return acted
}

// event is something that the cluster does by itself.
type event struct {
	name string
	do   func()
}

// events that can happen now.
func (m *model) events() []event {
	var events []event
	for i := range m.guest.Components {
		c := &m.guest.Components[i]
		switch {
		case c.Pod == nil && c.Workload != nil && c.Workload.Replicas > 0:
			events = append(events, event{"new pod of " + c.Name, func() {
				c.Pod = &Pod{Spec: c.Workload.Spec, Template: c.Workload.Spec, State: runtime.Starting, Sized: true}
				m.podSizes[c.Name] = m.sizes[c.Name]
			}})
		case c.Pod == nil || c.Pod.NodeAway:
		case c.Pod.Deleting:
			events = append(events, event{c.Name + " is gone", func() { c.Pod = nil }})
		case m.specs[c.Pod.Spec] && c.Pod.State != runtime.BackOff:
			events = append(events, event{c.Name + " crashes", func() { c.Pod.State = runtime.BackOff }})
		case c.Kind == controlplane.Etcd && !c.WasReady && !c.Pod.Runs: // nobody looks at others
			events = append(events, event{c.Name + " runs", func() { c.Pod.Runs = true }})
		case !m.specs[c.Pod.Spec] && !c.Pod.Ready && m.needs(c):
			events = append(events, event{c.Name + " is ready", func() { c.Pod.Ready, c.WasReady, c.Pod.State = true, true, runtime.Running }})
		}
	}
	return events
}

// needs tells whether what a component needs to be ready is there.
func (m *model) needs(c *Component) bool {
	for _, name := range c.After {
		if !m.component(name).ok() {
			return false
		}
	}
	return true
}

// settle lets everything happen, one thing after the other; pick chooses what is next (nil: the first).
// It returns false when it never ends.
func (m *model) settle(pick func(n int) int, check ...func()) bool {
	for range 1000 {
		acted := m.decide()
		for _, c := range check {
			c()
		}
		events := m.events()
		if len(events) == 0 {
			if !acted {
				return true
			}
			continue
		}
		next := 0
		if pick != nil {
			next = pick(len(events))
		}
		m.logf("  %s", events[next].name)
		events[next].do()
	}
	return false
}

func (m *model) transcript() string { return strings.Join(m.journal, "\n") + "\n" }
