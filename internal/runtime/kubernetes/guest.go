package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/roll"
)

// guest is one guest that this agent has a manifest of.
type guest struct {
	*Runtime
	id string

	// work is held while the guest is looked at. The next fields are only used with it.
	work      sync.Mutex
	written   map[key]written
	memories  map[string]*memory // by component
	unpaced   bool
	owned     bool // the namespace was there and ours
	complaint string

	mu       sync.Mutex
	wanted   *wanted
	deleting bool
	observed *runtime.Observation
}

func newGuest(r *Runtime, id string) *guest {
	return &guest{Runtime: r, id: id, written: map[key]written{}, memories: map[string]*memory{}}
}

// want makes a manifest what is wanted.
func (g *guest) want(w *wanted) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.deleting {
		return fmt.Errorf("guest %s is being deleted: delete it to the end first", g.id)
	}
	if g.wanted == nil || g.wanted.hash != w.hash {
		g.wanted = w
		g.observed = outdated(g.observed)
	}
	return nil
}

// outdated is an observation from before the manifest that is wanted now: nobody has looked yet which components
// it changes.
func outdated(o *runtime.Observation) *runtime.Observation {
	if o == nil {
		return nil
	}
	all := slices.Clone(o.Components)
	for i := range all {
		all[i].Outdated = true
	}
	return &runtime.Observation{Exists: o.Exists, Components: all}
}

func (g *guest) current() (w *wanted, deleting bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.wanted, g.deleting
}

// scope is one look at a guest.
type scope struct {
	wanted *wanted
	state  *state
	view   roll.Guest
	plan   roll.Plan
	// messages by component: why it does not run, beside what the plan says.
	messages map[string]string
	after    time.Duration
}

// secretKind is the kind of the objects that hold components' files.
const secretKind = "Secret"

// secretsAfter is how old the last write of a component's Secret may be.
func (s *scope) secretsAfter(component string) time.Duration {
	for i := range s.view.Components {
		if c := &s.view.Components[i]; c.Name == component && c.Workload != nil && c.Workload.Replicas > 0 && (c.Pod == nil || !c.Pod.Ready) {
			return secretsSoon
		}
	}
	return secretsEvery
}

// wakeIn has the guest looked at again no later than after a time.
func (s *scope) wakeIn(after time.Duration) {
	if after = max(after, time.Millisecond); s.after == 0 || after < s.after {
		s.after = after
	}
}

// reconcile looks at a guest once and returns when to look again; 0 for when something changes. Its
// steps are
//
//  1. read:    what the caches hold of it
//  2. view:    what there is, beside what is wanted
//  3. decide:  package roll says what to do
//  4. carry out: write what differs
//  5. publish: the observation; of a guest that was never looked at also before anything is written, for after a
//     restart of the agent every Secret is
func (g *guest) reconcile(ctx context.Context) (time.Duration, error) {
	g.work.Lock()
	defer g.work.Unlock()
	w, deleting := g.current()
	if w == nil || deleting {
		return 0, nil
	}
	s := &scope{wanted: w, messages: map[string]string{}}
	var err error
	if s.state, err = g.read(ctx, g.id); err != nil {
		return 0, err
	}
	g.look(s)
	s.plan = roll.Decide(&s.view)
	g.pace(ctx, s)
	if !g.wasSeen() {
		g.publish(s, nil)
	}
	err = g.carryOut(ctx, s)
	g.explain(ctx, s)
	for i := range s.view.Components {
		s.wakeIn(s.secretsAfter(s.view.Components[i].Name))
	}
	g.publish(s, err)
	return s.after, err
}

func (g *guest) wasSeen() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.observed != nil
}

// look makes the view of what there is.
func (g *guest) look(s *scope) {
	until, slot := g.slot(g.id)
	s.view = roll.Guest{Now: g.Clock.Now(), Unpaced: g.unpaced, Slot: slot, SlotUntil: until}
	known := map[string]bool{}
	for i := range s.wanted.components {
		c := &s.wanted.components[i]
		known[c.name] = true
		v := roll.Component{
			Name: c.name, Kind: c.kind, Zone: c.zone, After: c.after, Stopped: c.stopped,
			Held: g.drill(c.zone) == v1alpha1.DrillKill, Spec: c.spec, Template: c.template,
		}
		g.lookAt(s, &v, c)
		s.view.Components = append(s.view.Components, v)
	}
	for _, name := range s.state.components() {
		if !known[name] {
			v := roll.Component{Name: name, Kind: kindOf(name), Dropped: true}
			g.lookAt(s, &v, nil)
			s.view.Components = append(s.view.Components, v)
		}
	}
}

// kindOf a component by its name, where there is no manifest of it.
func kindOf(name string) controlplane.Kind {
	for _, kind := range []controlplane.Kind{controlplane.Etcd, controlplane.APIServer, controlplane.ControllerManager, controlplane.Scheduler} {
		if strings.HasPrefix(name, string(kind)+"-") {
			return kind
		}
	}
	return ""
}

// lookAt fills in what there is of a component. c is nil for one that was dropped.
func (g *guest) lookAt(s *scope, v *roll.Component, c *wantedComponent) {
	m := g.memory(v.Name)
	if w, ok := s.state.workloads[v.Name]; ok {
		v.Workload = &roll.Workload{Spec: w.spec, Replicas: w.replicas}
	}
	pod := s.state.pod(v.Name)
	state, message := m.see(pod)
	s.messages[v.Name] = message
	if v.WasReady = m.wasReady; pod == nil {
		return
	}
	ready, known := s.state.nodes[pod.Spec.NodeName]
	v.Pod = &roll.Pod{
		Spec: specOf(pod), Template: pod.Annotations[annotationTemplate], State: state, Ready: podReady(pod), Runs: podRuns(pod),
		Deleting: pod.DeletionTimestamp != nil, NodeAway: known && !ready, Sized: true,
	}
	if v.Pod.NodeAway && !v.Pod.Ready {
		s.messages[v.Name] = "node " + pod.Spec.NodeName + " does not answer"
	}
	if c == nil {
		return
	}
	var why string
	v.Pod.Resize, why = resizeState(pod, s.view.Now)
	if v.Pod.Sized = sized(pod, c.resources); !v.Pod.Sized {
		v.Pod.Resize, why = roll.NoResize, ""
		if m.fixed == pod.UID {
			v.Pod.Resize, why = roll.Impossible, m.fixedWhy
		} else if lost := takesAway(pod, c.resources); lost != "" {
			v.Pod.Resize, why = roll.Impossible, "its "+lost+" cannot be taken away while it runs"
		}
	}
	if v.Pod.Resize == roll.Deferred {
		s.wakeIn(resizePatience)
	}
	if why != "" && message == "" {
		s.messages[v.Name] = fmt.Sprintf("resize: %s: %s", v.Pod.Resize, why)
	}
}

func (g *guest) memory(component string) *memory {
	m := g.memories[component]
	if m == nil {
		m = &memory{}
		g.memories[component] = m
	}
	return m
}

// pace asks for a start slot or gives it back, and decides again if it got one. A guest that waits for one
// may come to need none: a drill holds what it would have started.
func (g *guest) pace(ctx context.Context, s *scope) {
	switch {
	case s.plan.NeedSlot:
		until, got := g.acquire(ctx, g.id)
		if !got {
			return
		}
		s.view.Slot, s.view.SlotUntil = true, until
		s.plan = roll.Decide(&s.view)
	case !s.view.Slot:
		g.leave(g.id)
	}
	switch {
	case s.plan.DropSlot:
		g.unpaced = true
		g.release(g.id)
	case s.view.Slot:
		s.wakeIn(s.view.SlotUntil.Sub(g.Clock.Now()))
	}
}

// publish makes the observation that others read, and tells watchers when it has changed.
func (g *guest) publish(s *scope, problem error) {
	o := g.sum(s, problem)
	g.mu.Lock()
	if g.wanted != s.wanted {
		o = *outdated(&o)
	}
	changed := g.observed == nil || g.observed.Exists != o.Exists || !slices.Equal(g.observed.Components, o.Components)
	g.observed = &o
	g.mu.Unlock()
	if changed {
		g.changes.Notify(g.id)
	}
}

// sum of a look: the observation that it makes.
func (g *guest) sum(s *scope, problem error) runtime.Observation {
	o := runtime.Observation{Exists: s.state.exists}
	now := g.Clock.Now()
	for i := range s.wanted.components {
		name := s.wanted.components[i].name
		m := g.memory(name)
		c := component(&s.view.Components[i], s.plan.Steps[i], m, s.messages[name])
		if problem != nil && c.Message == "" && !c.Ready && c.State != runtime.Held {
			c.Message = problem.Error()
		}
		if c.Since = m.observed.Since; c.State != m.observed.State || c.Since.IsZero() {
			c.Since = now
		}
		m.observed = c
		o.Components = append(o.Components, c)
	}
	return o
}

// component is how a component is, in the words that every runtime shares.
func component(v *roll.Component, step roll.Step, m *memory, message string) runtime.Component {
	c := runtime.Component{
		Name: v.Name, State: step.State, Restarts: m.before + m.restarts, LastExit: m.lastExit, Message: message,
	}
	if v.Pod != nil {
		c.Ready = v.Pod.Ready && !v.Pod.Deleting
		c.Outdated = !v.Pod.Deleting && (v.Pod.Spec != v.Spec || !v.Pod.Sized || v.Pod.Resize != roll.NoResize)
	}
	if c.Message == "" && !c.Ready || step.Why != "" && message == "" {
		c.Message = step.Why
	}
	if m.failure != nil && (c.Message == "" || !c.Ready) {
		c.Message = m.failure.Error()
	}
	if v.Pod == nil && c.Message != "" && step.State == runtime.Starting {
		c.State = runtime.Blocked
	}
	return c
}

// complain logs an error once for as long as it stays the same.
func (g *guest) complain(err error) {
	g.work.Lock()
	defer g.work.Unlock()
	switch {
	case err == nil:
		g.complaint = ""
	case errors.Is(err, context.Canceled) || err.Error() == g.complaint:
	default:
		g.complaint = err.Error()
		g.Log.Error("a guest is not yet what it should be; it is tried again", "guest", g.id, "error", err)
	}
}
