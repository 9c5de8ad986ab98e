package reports

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

const id = "abcdefghij"

type fakeHub struct {
	mu     sync.Mutex
	order  *v1alpha1.ControlPlane
	fail   int // that many writes
	behind bool
	// writtenOn is the Ready condition that each write was the difference to.
	writtenOn []string
	writes    int
}

func (f *fakeHub) ControlPlane(string) (*v1alpha1.ControlPlane, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.order.DeepCopy(), true
}

func (f *fakeHub) ReportControlPlane(_ context.Context, seen *v1alpha1.ControlPlane, status v1alpha1.ControlPlaneStatus) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail > 0 {
		f.fail--
		return errors.New("the hub is away")
	}
	f.writes++
	on := ""
	if len(seen.Status.Conditions) > 0 {
		on = string(seen.Status.Conditions[0].Status)
	}
	f.writtenOn = append(f.writtenOn, on)
	written := f.order
	if f.behind {
		written = &v1alpha1.ControlPlane{} // which the cache does not show yet
	}
	written.Status = status
	written.ResourceVersion = strconv.Itoa(f.writes)
	return nil
}

func newQueue(hub Hub) *Queue { return NewQueue(hub, clock.RealClock{}, slog.New(slog.DiscardHandler)) }

func statusSince(status metav1.ConditionStatus, since time.Time) v1alpha1.ControlPlaneStatus {
	return v1alpha1.ControlPlaneStatus{Conditions: []metav1.Condition{{
		Type: v1alpha1.ConditionReady, Status: status, Reason: "R", LastTransitionTime: metav1.NewTime(since),
	}}}
}

func TestWrite(t *testing.T) {
	early := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	late := early.Add(time.Hour)
	hubHas := func(status v1alpha1.ControlPlaneStatus) *v1alpha1.ControlPlane {
		return &v1alpha1.ControlPlane{Status: status}
	}
	cases := map[string]struct {
		reason string
		order  *v1alpha1.ControlPlane
		report v1alpha1.ControlPlaneStatus
		writes int
		since  time.Time
	}{
		"New":       {"the hub has nothing", hubHas(v1alpha1.ControlPlaneStatus{}), statusSince("True", late), 1, late},
		"Same":      {"the hub knows already", hubHas(statusSince("True", early)), statusSince("True", early), 0, early},
		"Restarted": {"an agent that has just started does not know since when", hubHas(statusSince("True", early)), statusSince("True", late), 0, early},
		"Changed":   {"a new status has a new time", hubHas(statusSince("False", early)), statusSince("True", late), 1, late},
		"NoOrder":   {"there is nowhere to write to", nil, statusSince("True", late), 0, time.Time{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			hub := &fakeHub{order: c.order}
			q := newQueue(hub)
			q.Report(id, c.report)
			if err := q.write(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			if hub.writes != c.writes {
				t.Errorf("%s: %d writes, want %d", c.reason, hub.writes, c.writes)
			}
			if hub.order != nil && !hub.order.Status.Conditions[0].LastTransitionTime.Time.Equal(c.since) {
				t.Errorf("%s: since %s, want %s", c.reason, hub.order.Status.Conditions[0].LastTransitionTime, c.since)
			}
		})
	}
}

// TestWordsWait: what only says in other words how a guest is waits, what says more does not.
func TestWordsWait(t *testing.T) {
	clk := clocktesting.NewFakeClock(time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC))
	hub := &fakeHub{order: &v1alpha1.ControlPlane{}}
	q := NewQueue(hub, clk, slog.New(slog.DiscardHandler))
	report := func(change func(*v1alpha1.ControlPlaneStatus), writes int, reason string) {
		t.Helper()
		status := statusSince("False", clk.Now())
		change(&status)
		q.Report(id, status)
		if err := q.write(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if got := hub.count(); got != writes {
			t.Errorf("%s: %d writes, want %d", reason, got, writes)
		}
	}
	report(func(s *v1alpha1.ControlPlaneStatus) { s.Conditions[0].Message = "etcd" }, 1, "the first report")
	other := func(s *v1alpha1.ControlPlaneStatus) {
		s.Conditions[0].Message, s.Version = "kube-apiserver", "v1.36.3"
		s.Components = []v1alpha1.ComponentStatus{{Name: "etcd-a", Ready: true}}
	}
	report(other, 1, "other words at once")
	clk.Step(wordsEvery)
	report(other, 2, "other words after a while")
	report(func(s *v1alpha1.ControlPlaneStatus) { s.Conditions[0].Status = "True" }, 3, "another status at once")
	report(func(s *v1alpha1.ControlPlaneStatus) { s.Conditions[0].Status, s.CABundle = "True", "PEM" }, 4, "something new at once")
}

// TestCacheIsBehind: what was written is not written again because the cache does not show it yet; what is new is, and
// all of it when the cache goes on to show what was before.
func TestCacheIsBehind(t *testing.T) {
	clk := clocktesting.NewFakeClock(time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC))
	hub := &fakeHub{order: &v1alpha1.ControlPlane{}, behind: true}
	q := NewQueue(hub, clk, slog.New(slog.DiscardHandler))
	defer q.queue.ShutDown()
	for _, step := range []struct {
		reason string
		status metav1.ConditionStatus
		after  time.Duration
		writes int
	}{
		{reason: "the first report", status: "False", writes: 1},
		{reason: "the same again", status: "False", after: time.Second, writes: 1},
		{reason: "something new", status: "True", after: time.Second, writes: 2},
		{reason: "the same again", status: "True", after: behind - time.Second, writes: 2},
		{reason: "the hub has lost it", status: "True", after: time.Second, writes: 3},
	} {
		clk.Step(step.after)
		q.Report(id, statusSince(step.status, clk.Now()))
		if err := q.write(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if got := hub.count(); got != step.writes {
			t.Errorf("%s: %d writes, want %d", step.reason, got, step.writes)
		}
	}
	if got := hub.writtenOn; !slices.Equal(got, []string{"", "False", ""}) {
		t.Errorf("the differences were taken to %q", got)
	}
}

// TestPassingNewsWaits: what passes by itself is told after a while, that it is over at once.
func TestPassingNewsWaits(t *testing.T) {
	start := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	with := func(ready, progressing string) v1alpha1.ControlPlaneStatus {
		return v1alpha1.ControlPlaneStatus{Conditions: []metav1.Condition{
			{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: ready},
			{Type: v1alpha1.ConditionProgressing, Status: metav1.ConditionTrue, Reason: progressing},
		}}
	}
	removing := statusSince("False", start)
	removing.Conditions[0].Reason = v1alpha1.ReasonDeleting
	gone := removing
	gone.Conditions = append([]metav1.Condition{{Type: v1alpha1.ConditionDeleted, Status: "True", Reason: v1alpha1.ReasonDeleting}}, removing.Conditions...)
	for name, tc := range map[string]struct {
		reason        string
		passing, over v1alpha1.ControlPlaneStatus
	}{
		"Removal": {"a guest that is being removed", removing, gone},
		"Update":  {"a guest that is well and changes", with(v1alpha1.ReasonReady, v1alpha1.ReasonUpdating), with(v1alpha1.ReasonReady, v1alpha1.ReasonReady)},
		"Worse":   {"a guest that changes and misses something", with(v1alpha1.ReasonReady, v1alpha1.ReasonUpdating), with(v1alpha1.ReasonDegraded, v1alpha1.ReasonUpdating)},
	} {
		t.Run(name, func(t *testing.T) {
			clk := clocktesting.NewFakeClock(start)
			q := NewQueue(&fakeHub{order: &v1alpha1.ControlPlane{}}, clk, slog.New(slog.DiscardHandler))
			defer q.queue.ShutDown()
			if q.Report(id, tc.passing); q.queue.Len() != 0 {
				t.Errorf("%s is told at once", tc.reason)
			}
			clk.Step(passingNews)
			await(t, func() bool { return q.queue.Len() == 1 })
			other := NewQueue(&fakeHub{order: &v1alpha1.ControlPlane{}}, clk, slog.New(slog.DiscardHandler))
			defer other.queue.ShutDown()
			if other.Report(id, tc.over); other.queue.Len() != 1 {
				t.Errorf("%s: its end is not told at once", tc.reason)
			}
		})
	}
}

// TestAgain: a report that could not be written is written when the hub is back, and one that the hub
// lost is written once more.
func TestAgain(t *testing.T) {
	hub := &fakeHub{order: &v1alpha1.ControlPlane{}, fail: 2}
	q := newQueue(hub)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { q.Run(ctx) })
	defer running.Wait()
	defer cancel()

	q.Report(id, statusSince("True", time.Now()))
	await(t, func() bool { return hub.count() == 1 })
	hub.mu.Lock()
	hub.order.Status, hub.order.ResourceVersion = v1alpha1.ControlPlaneStatus{}, "other"
	hub.mu.Unlock()
	q.Check(id)
	await(t, func() bool { return hub.count() == 2 })
}

func (f *fakeHub) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.writes
}

func await(t *testing.T, met func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for tick := time.NewTicker(5 * time.Millisecond); !met(); {
		select {
		case <-deadline:
			t.Fatal("did not happen within 10 s")
		case <-tick.C:
		}
	}
}
