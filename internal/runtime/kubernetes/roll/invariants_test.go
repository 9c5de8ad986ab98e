package roll

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// check reports a plan that takes away what serves at the wrong time.
func (m *model) check(t *rapid.T) {
	plan := Decide(&m.guest)
	zone := ""
	for i, step := range plan.Steps {
		c := &m.guest.Components[i]
		ends := step.Pod == Restart || (step.Act == Put || step.Act == Scale) && step.Replicas == 0
		if !c.active() || !c.core() || !c.ok() || !ends {
			continue
		}
		if other := m.guest.elsewhere(c.Zone); other != nil {
			t.Fatalf("%s is ended while %s does not serve:\n%s", c.Name, other.Name, m.transcript())
		}
		if zone != "" && zone != c.Zone {
			t.Fatalf("zones %s and %s are ended at once:\n%s", zone, c.Zone, m.transcript())
		}
		zone = c.Zone
		api := m.guest.find(controlplane.APIServer, c.Zone)
		if c.Kind == controlplane.Etcd && api != nil && api.Pod != nil {
			t.Fatalf("%s is ended before %s has gone:\n%s", c.Name, api.Name, m.transcript())
		}
	}
}

// TestInvariants lets things happen in any order, changes what is wanted in between, breaks pods and
// takes nodes away. Whatever happens, two zones are never disturbed at once, etcd never goes before its
// API server, and in the end everything is as it is wanted.
func TestInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := running([]string{"a", "b", "c"}[:rapid.SampledFrom([]int{1, 3}).Draw(t, "zones")]...)
		m.rigid = rapid.Bool().Draw(t, "rigid")
		for step := range rapid.IntRange(1, 60).Draw(t, "steps") {
			m.happen(t, step)
			m.check(t)
			m.decide()
			if events := m.events(); len(events) > 0 {
				e := events[rapid.IntRange(0, len(events)-1).Draw(t, "event")]
				m.logf("  %s", e.name)
				e.do()
			}
			m.check(t)
		}
		m.recover()
		if !m.settle(nil, func() { m.check(t) }) {
			t.Fatalf("it never ends:\n%s", m.transcript())
		}
		for i := range m.guest.Components {
			c := &m.guest.Components[i]
			if !c.ok() || c.Pod.Spec != c.Spec || m.podSizes[c.Name] != m.sizes[c.Name] {
				t.Fatalf("%s is not as it is wanted: %+v, pod %+v:\n%s", c.Name, c, c.Pod, m.transcript())
			}
		}
	})
}

// happen changes something from outside, now and then.
func (m *model) happen(t *rapid.T, step int) {
	c := &m.guest.Components[rapid.IntRange(0, len(m.guest.Components)-1).Draw(t, "component")]
	kind := rapid.SampledFrom([]controlplane.Kind{
		controlplane.Etcd, controlplane.APIServer, controlplane.ControllerManager, controlplane.Scheduler,
	}).Draw(t, "kind")
	switch rapid.IntRange(0, 14).Draw(t, "what") {
	case 0:
		m.want(fmt.Sprint(step+2), kind)
		m.logf("-- want %d of %s", step+2, kind)
	case 1:
		m.want(fmt.Sprint(step+2), kind)
		m.specs[fmt.Sprint(step+2)] = true
		m.logf("-- want %d of %s, which does not start", step+2, kind)
	case 2:
		m.resize(fmt.Sprint(step), kind)
		m.logf("-- resize %s", kind)
	case 3:
		if c.Pod != nil {
			m.logf("-- %s is deleted", c.Name)
			c.Pod.Deleting = true
		}
	case 4:
		if c.Pod != nil {
			m.logf("-- %s is not ready", c.Name)
			c.Pod.Ready, c.Pod.State = false, runtime.Starting
		}
	case 5:
		m.logf("-- zone %s is away", c.Zone)
		m.away(c.Zone, true)
	case 6:
		m.logf("-- zone %s is back", c.Zone)
		m.away(c.Zone, false)
	case 7:
		m.logf("-- drill in zone %s", c.Zone)
		m.hold(c.Zone, true)
	case 8:
		m.logf("-- no drill in zone %s", c.Zone)
		m.hold(c.Zone, false)
	}
}

func (m *model) away(zone string, away bool) {
	for i := range m.guest.Components {
		if c := &m.guest.Components[i]; c.Zone == zone && c.Pod != nil {
			c.Pod.NodeAway = away
			c.Pod.Ready = c.Pod.Ready && !away
		}
	}
}

// recover ends drills, brings nodes back and wants what starts.
func (m *model) recover() {
	m.logf("-- recover")
	for _, zone := range m.guest.zones() {
		m.hold(zone, false)
		m.away(zone, false)
	}
	for i := range m.guest.Components {
		c := &m.guest.Components[i]
		c.Spec, c.Template = "last", "last"
		if c.Pod != nil && c.Pod.Resize == Impossible {
			c.Pod.Resize = NoResize
		}
	}
}

// TestNothingRestarts: what is no part of the spec restarts nothing, in whatever order things happen.
func TestNothingRestarts(t *testing.T) {
	m := running("a", "b", "c")
	for i := range m.guest.Components {
		m.guest.Components[i].Template = "files and arguments for the next start"
	}
	m.resize("large", controlplane.Etcd, controlplane.APIServer, controlplane.ControllerManager, controlplane.Scheduler)
	if !m.settle(nil) {
		t.Fatal("it never ends")
	}
	for _, line := range m.journal {
		if line[:6] != "resize" {
			t.Errorf("only resizes are expected:\n%s", m.transcript())
			break
		}
	}
	if len(m.journal) != 10 {
		t.Errorf("%d resizes, want one per component", len(m.journal))
	}
}

// TestSlots: a new guest waits for a slot, and gives it back when its API servers are ready or its time
// is over.
func TestSlots(t *testing.T) {
	m := newModel("a")
	m.guest.Slot = false
	plan := Decide(&m.guest)
	if !plan.NeedSlot || plan.Steps[0].State != runtime.Queued || plan.Steps[0].Act != Leave {
		t.Errorf("without a slot: %+v", plan)
	}
	m.guest.Unpaced = true
	if plan := Decide(&m.guest); plan.NeedSlot || plan.Steps[0].Act != Put {
		t.Errorf("a guest that had its slot: %+v", plan)
	}
	m.guest.Unpaced, m.guest.Slot = false, true
	if plan := Decide(&m.guest); plan.DropSlot {
		t.Error("the slot is given back before anything has started")
	}
	m.guest.Now = m.guest.SlotUntil
	if plan := Decide(&m.guest); !plan.DropSlot {
		t.Error("the slot is kept when its time is over")
	}
	ready := running("a")
	ready.guest.Slot = true
	if plan := Decide(&ready.guest); !plan.DropSlot {
		t.Error("the slot is kept when the API server is ready")
	}
}

// TestDeferred: a node without room for one pod's growth holds up no other pod's.
func TestDeferred(t *testing.T) {
	m := running("a", "b", "c")
	m.component("etcd-a").Pod.Resize = Deferred
	m.component("etcd-b").Pod.Sized = false
	step := Decide(&m.guest).Steps[1]
	if step.Pod != Fit {
		t.Errorf("etcd-b: %+v, want a resize", step)
	}
	m.component("etcd-a").Pod.Resize = InProgress
	if step := Decide(&m.guest).Steps[1]; step.Pod != Keep {
		t.Errorf("etcd-b while etcd-a is being resized: %+v, want none", step)
	}
}
