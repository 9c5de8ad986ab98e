package kubernetes

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/internal/runtime"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/objects"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/roll"
)

const (
	// silence is how long a component may start without a word before the cell's events are asked why.
	silence = 3 * time.Second
	// askAgain is the pause between two such questions about one component.
	askAgain = 10 * time.Second
)

// explain finds out why components do not run of which nothing says so: no pod could be created, a
// volume is not there, a mount fails.
func (g *guest) explain(ctx context.Context, s *scope) {
	for i := range s.plan.Steps {
		v, step := &s.view.Components[i], s.plan.Steps[i]
		m := g.memory(v.Name)
		if step.State != runtime.Starting || step.Replicas == 0 || v.Workload == nil || m.wasReady && v.Pod != nil && v.Pod.Ready {
			m.events, m.askedAt = "", time.Time{}
			continue
		}
		if failure := s.state.workloads[v.Name].failure; failure != "" && v.Pod == nil {
			s.messages[v.Name] = failure
			continue
		}
		if s.messages[v.Name] == "" {
			s.messages[v.Name] = g.ask(ctx, s, v, m)
		}
	}
}

// ask has the events of a component's objects read now and then, and returns what they said last.
func (g *guest) ask(ctx context.Context, s *scope, v *roll.Component, m *memory) string {
	now := g.Clock.Now()
	switch {
	case m.askedAt.IsZero():
		m.askedAt = now.Add(silence - askAgain)
	case now.Sub(m.askedAt) >= askAgain:
		m.askedAt = now
		m.events = g.warning(ctx, s, v)
	}
	s.wakeIn(m.askedAt.Add(askAgain).Sub(now))
	return m.events
}

// warning is the message of the latest warning about a component's workload, pod or volume.
func (g *guest) warning(ctx context.Context, s *scope, v *roll.Component) string {
	about := []string{v.Name, objects.ClaimName(v.Name)}
	if pod := s.state.pod(v.Name); pod != nil {
		about = append(about, pod.Name)
	}
	var events corev1.EventList
	if err := g.client.List(ctx, &events, client.InNamespace(objects.NamespaceName(g.id)), client.Limit(500)); err != nil {
		return ""
	}
	var latest *corev1.Event
	for i := range events.Items {
		event := &events.Items[i]
		if event.Type == corev1.EventTypeWarning && slices.Contains(about, event.InvolvedObject.Name) &&
			(latest == nil || eventTime(event).After(eventTime(latest))) {
			latest = event
		}
	}
	if latest == nil || latest.Reason == "Unhealthy" {
		return ""
	}
	return latest.Reason + ": " + latest.Message
}

func eventTime(event *corev1.Event) time.Time {
	switch {
	case event.Series != nil:
		return event.Series.LastObservedTime.Time
	case !event.LastTimestamp.IsZero():
		return event.LastTimestamp.Time
	case !event.EventTime.IsZero():
		return event.EventTime.Time
	}
	return event.CreationTimestamp.Time
}
