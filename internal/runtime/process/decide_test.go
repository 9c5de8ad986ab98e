package process

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

var (
	noon  = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	later = noon.Add(time.Minute)
)

func TestDecide(t *testing.T) {
	running := componentView{name: "etcd-a", wanted: true, alive: true, current: true, ready: true, wasReady: true}
	dead := componentView{name: "etcd-a", wanted: true}
	with := func(c componentView, change func(*componentView)) componentView {
		change(&c)
		return c
	}
	named := func(c componentView, name string, after ...string) componentView {
		c.name, c.after = name, after
		return c
	}
	type want struct {
		Steps              []step
		NeedSlot, DropSlot bool
		Wake               time.Time
	}
	cases := map[string]struct {
		reason string
		view   guestView
		want   want
	}{
		"Healthy": {
			reason: "what is as wanted is left alone",
			view:   guestView{components: []componentView{running}},
			want:   want{Steps: []step{{leave, runtime.Running}}},
		},
		"NotReadyYet": {
			reason: "a slow starter is waited for, however long",
			view:   guestView{components: []componentView{with(running, func(c *componentView) { c.ready, c.wasReady = false, false })}},
			want:   want{Steps: []step{{leave, runtime.Starting}}},
		},
		"Unready": {
			reason: "a failing probe kills nothing",
			view:   guestView{components: []componentView{with(running, func(c *componentView) { c.ready = false })}},
			want:   want{Steps: []step{{leave, runtime.Running}}},
		},
		"ColdNeedsSlot": {
			reason: "a guest of which nothing runs starts only with a slot",
			view:   guestView{components: []componentView{dead, named(dead, "kube-apiserver-a", "etcd-a")}},
			want:   want{Steps: []step{{leave, runtime.Queued}, {leave, runtime.Queued}}, NeedSlot: true},
		},
		"SlotStarts": {
			reason: "with a slot, members of etcd start at once and what comes after waits",
			view: guestView{slot: true, slotUntil: later, components: []componentView{
				dead, named(dead, "etcd-b"), named(dead, "kube-apiserver-a", "etcd-a"),
			}},
			want: want{Steps: []step{{start, runtime.Starting}, {start, runtime.Starting}, {leave, runtime.Waiting}}, Wake: later},
		},
		"AfterReady": {
			reason: "what comes after starts once the other is ready",
			view:   guestView{components: []componentView{running, named(dead, "kube-apiserver-a", "etcd-a")}},
			want:   want{Steps: []step{{leave, runtime.Running}, {start, runtime.Starting}}},
		},
		"AfterReadyOnce": {
			reason: "having been ready once is enough",
			view: guestView{components: []componentView{
				with(running, func(c *componentView) { c.ready = false }), named(dead, "kube-apiserver-a", "etcd-a"),
			}},
			want: want{Steps: []step{{leave, runtime.Running}, {start, runtime.Starting}}},
		},
		"SlotDoneWhenReady": {
			reason: "a guest that is ready gives its slot to the next",
			view:   guestView{slot: true, slotUntil: later, components: []componentView{running}},
			want:   want{Steps: []step{{leave, runtime.Running}}, DropSlot: true},
		},
		"SlotDoneBeforeTheLast": {
			reason: "what starts last costs little: the next guest need not wait for its probe",
			view: guestView{slot: true, slotUntil: later, components: []componentView{
				running,
				with(named(running, "kube-scheduler-a", "etcd-a"), func(c *componentView) { c.ready, c.wasReady = false, false }),
			}},
			want: want{Steps: []step{{leave, runtime.Running}, {leave, runtime.Starting}}, DropSlot: true},
		},
		"SlotKeptForTheMiddle": {
			reason: "an API server that starts is the cost that slots bound",
			view: guestView{slot: true, slotUntil: later, components: []componentView{
				running,
				with(named(running, "kube-apiserver-a", "etcd-a"), func(c *componentView) { c.ready, c.wasReady = false, false }),
				named(dead, "kube-scheduler-a", "kube-apiserver-a"),
			}},
			want: want{Steps: []step{{leave, runtime.Running}, {leave, runtime.Starting}, {leave, runtime.Waiting}}, Wake: later},
		},
		"SlotDoneInTime": {
			reason: "a guest that never becomes ready does not keep its slot for ever",
			view: guestView{slot: true, slotUntil: noon, components: []componentView{
				with(running, func(c *componentView) { c.ready, c.wasReady = false, false }),
			}},
			want: want{Steps: []step{{leave, runtime.Starting}}, DropSlot: true},
		},
		"SlotDoneBackOff": {
			reason: "a guest that only waits for its next try lets others start meanwhile",
			view: guestView{slot: true, slotUntil: later, components: []componentView{
				with(dead, func(c *componentView) { c.retryAt = later }), named(dead, "kube-apiserver-a", "etcd-a"),
			}},
			want: want{Steps: []step{{leave, runtime.BackOff}, {leave, runtime.Waiting}}, DropSlot: true, Wake: later},
		},
		"BackOff": {
			reason: "what died is started after its pause, not before",
			view:   guestView{components: []componentView{running, with(named(dead, "x"), func(c *componentView) { c.retryAt = later })}},
			want:   want{Steps: []step{{leave, runtime.Running}, {leave, runtime.BackOff}}, Wake: later},
		},
		"BackOffOver": {
			reason: "one component of a running guest needs no slot",
			view:   guestView{components: []componentView{running, with(named(dead, "x"), func(c *componentView) { c.retryAt = noon })}},
			want:   want{Steps: []step{{leave, runtime.Running}, {start, runtime.Starting}}},
		},
		"DrillKill": {
			reason: "a killed zone is killed and stays down",
			view: guestView{components: []componentView{
				with(running, func(c *componentView) { c.drill = v1alpha1.DrillKill }),
				with(named(dead, "x"), func(c *componentView) { c.drill = v1alpha1.DrillKill }),
				named(running, "y"),
			}},
			want: want{Steps: []step{{kill, runtime.Held}, {leave, runtime.Held}, {leave, runtime.Running}}},
		},
		"DrillHang": {
			reason: "a hanging zone is frozen once, and what is down in it stays down",
			view: guestView{components: []componentView{
				with(running, func(c *componentView) { c.drill = v1alpha1.DrillHang }),
				with(named(running, "x"), func(c *componentView) { c.drill, c.frozen = v1alpha1.DrillHang, true }),
				with(named(dead, "y"), func(c *componentView) { c.drill = v1alpha1.DrillHang }),
			}},
			want: want{Steps: []step{{freeze, runtime.Held}, {leave, runtime.Held}, {leave, runtime.Held}}},
		},
		"DrillOver": {
			reason: "a frozen process goes on when nothing holds it",
			view:   guestView{components: []componentView{with(running, func(c *componentView) { c.frozen = true })}},
			want:   want{Steps: []step{{thaw, runtime.Running}}},
		},
		"HangThenKill": {
			reason: "a drill may go from hung to dead",
			view: guestView{components: []componentView{
				with(running, func(c *componentView) { c.frozen, c.drill = true, v1alpha1.DrillKill }),
			}},
			want: want{Steps: []step{{kill, runtime.Held}}},
		},
		"StoppedInOrder": {
			reason: "an API server ends before its etcd does",
			view: guestView{components: []componentView{
				with(running, func(c *componentView) { c.wanted = false }),
				with(named(running, "kube-apiserver-a", "etcd-a"), func(c *componentView) { c.wanted = false }),
			}},
			want: want{Steps: []step{{leave, runtime.Held}, {terminate, runtime.Held}}},
		},
		"StoppedMembers": {
			reason: "members of etcd end one at a time, the last first",
			view: guestView{components: []componentView{
				with(running, func(c *componentView) { c.wanted, c.member = false, true }),
				with(named(running, "etcd-b"), func(c *componentView) { c.wanted, c.member = false, true }),
				named(running, "other"),
			}},
			want: want{Steps: []step{{leave, runtime.Held}, {terminate, runtime.Held}, {leave, runtime.Running}}},
		},
		"StoppedBelowWanted": {
			reason: "what is to stop does not wait for what is to stay",
			view: guestView{components: []componentView{
				with(running, func(c *componentView) { c.wanted = false }), named(running, "kube-apiserver-a", "etcd-a"),
			}},
			want: want{Steps: []step{{terminate, runtime.Held}, {leave, runtime.Running}}},
		},
		"GraceRuns": {
			reason: "SIGTERM gets its time",
			view: guestView{components: []componentView{
				with(running, func(c *componentView) { c.wanted, c.stopping, c.killAt = false, true, later }),
			}},
			want: want{Steps: []step{{leave, runtime.Held}}, Wake: later},
		},
		"GraceOver": {
			reason: "and no more",
			view: guestView{components: []componentView{
				with(running, func(c *componentView) { c.wanted, c.stopping, c.killAt = false, true, noon }),
			}},
			want: want{Steps: []step{{kill, runtime.Held}}},
		},
		"KilledOnce": {
			reason: "SIGKILL needs no second",
			view: guestView{components: []componentView{
				with(running, func(c *componentView) { c.wanted, c.killed = false, true }),
			}},
			want: want{Steps: []step{{leave, runtime.Held}}},
		},
		"StoppedFrozen": {
			reason: "a frozen process cannot end by itself",
			view: guestView{components: []componentView{
				with(running, func(c *componentView) { c.wanted, c.frozen = false, true }),
			}},
			want: want{Steps: []step{{kill, runtime.Held}}},
		},
		"DiscardRunning": {
			reason: "what is discarded needs no gentle end, drill or not",
			view: guestView{components: []componentView{
				with(running, func(c *componentView) { c.discarding = true }),
				with(running, func(c *componentView) { c.discarding, c.frozen, c.drill = true, true, v1alpha1.DrillHang }),
				with(running, func(c *componentView) { c.discarding, c.killed = true, true }),
				with(running, func(c *componentView) { c.discarding, c.stopping, c.killAt = true, true, later }),
			}},
			want: want{Steps: []step{{kill, runtime.Starting}, {kill, runtime.Held}, {leave, runtime.Starting}, {kill, runtime.Starting}}},
		},
		"DiscardDead": {
			reason: "the data goes before anything starts, and even if nothing shall",
			view: guestView{components: []componentView{
				with(dead, func(c *componentView) { c.discarding = true }),
				with(dead, func(c *componentView) { c.discarding, c.wanted = true, false }),
				with(dead, func(c *componentView) { c.discarding, c.retryAt = true, later }),
				named(running, "other"),
			}},
			want: want{Steps: []step{{empty, runtime.Starting}, {empty, runtime.Held}, {leave, runtime.BackOff}, {leave, runtime.Running}}, Wake: later},
		},
		"DiscardOfADeleted": {
			reason: "a deletion takes everything anyway",
			view: guestView{deleting: true, components: []componentView{
				with(running, func(c *componentView) { c.wanted, c.discarding = false, true }),
			}},
			want: want{Steps: []step{{kill, runtime.Held}}},
		},
		"NeededEnds": {
			reason: "what comes after waits for the next process, not for the one that is ending",
			view: guestView{components: []componentView{
				with(running, func(c *componentView) { c.stopping, c.killAt = true, later }), named(dead, "kube-apiserver-a", "etcd-a"),
			}},
			want: want{Steps: []step{{leave, runtime.Starting}, {leave, runtime.Waiting}}, Wake: later},
		},
		"Deleting": {
			reason: "a deletion kills all at once",
			view: guestView{deleting: true, components: []componentView{
				with(running, func(c *componentView) { c.wanted = false }),
				with(named(running, "kube-apiserver-a", "etcd-a"), func(c *componentView) { c.wanted = false }),
			}},
			want: want{Steps: []step{{kill, runtime.Held}, {kill, runtime.Held}}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.view.now = noon
			p := decide(&tc.view)
			got := want{Steps: p.steps, NeedSlot: p.needSlot, DropSlot: p.dropSlot, Wake: p.wake}
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(step{})); diff != "" {
				t.Errorf("%s: decide(): -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestBackoff(t *testing.T) {
	want := []time.Duration{
		250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second,
		8 * time.Second, 16 * time.Second, 30 * time.Second, 30 * time.Second,
	}
	var got []time.Duration
	for i := range want {
		got = append(got, defaultTiming.backoff(i+1))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("backoff(): -want +got:\n%s", diff)
	}
}
