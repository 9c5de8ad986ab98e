package kubernetes

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/roll"
)

func TestResizeState(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	cases := map[string]struct {
		reason    string
		condition corev1.PodCondition
		want      roll.Resize
	}{
		"Done":       {"there is no condition", corev1.PodCondition{}, roll.NoResize},
		"Underway":   {"the kubelet is at it", corev1.PodCondition{Type: corev1.PodResizeInProgress}, roll.InProgress},
		"Deferred":   {"there may be room later", corev1.PodCondition{Type: corev1.PodResizePending, Reason: corev1.PodReasonDeferred}, roll.Deferred},
		"Infeasible": {"the node is too small for ever", corev1.PodCondition{Type: corev1.PodResizePending, Reason: corev1.PodReasonInfeasible}, roll.Impossible},
		"Failed": {
			"a kubelet that failed may succeed when it tries again",
			corev1.PodCondition{Type: corev1.PodResizeInProgress, Reason: corev1.PodReasonError},
			roll.Deferred,
		},
		"FailsForEver": {
			"a kubelet that fails for a minute will not succeed",
			corev1.PodCondition{
				Type: corev1.PodResizeInProgress, Reason: corev1.PodReasonError,
				LastTransitionTime: metav1.NewTime(now.Add(-resizePatience)),
			},
			roll.Impossible,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{}
			if c.condition.Type != "" {
				c.condition.Status = corev1.ConditionTrue
				if c.condition.LastTransitionTime.IsZero() {
					c.condition.LastTransitionTime = metav1.NewTime(now.Add(-time.Second))
				}
				pod.Status.Conditions = []corev1.PodCondition{c.condition}
			}
			if got, _ := resizeState(pod, now); got != c.want {
				t.Errorf("got %q, want %q: %s", got, c.want, c.reason)
			}
		})
	}
}

// TestRestartsAreDeaths: only what nobody ordered is a restart, in every runtime.
func TestRestartsAreDeaths(t *testing.T) {
	pod := func(uid string, restarts int32) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{UID: types.UID(uid)},
			Status:     corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{RestartCount: restarts}}},
		}
	}
	steps := []struct {
		reason string
		pod    *corev1.Pod
		end    bool // it is told to end afterwards
		want   int32
	}{
		{"the first pod of a new guest", pod("1", 0), false, 0},
		{"its container died", pod("1", 1), false, 1},
		{"no pod for a moment", nil, false, 1},
		{"the pod vanished without an order", pod("2", 0), false, 2},
		{"its container died twice", pod("2", 2), true, 4},
		{"it was told to end", pod("3", 0), false, 4},
		{"the new one died", pod("3", 1), false, 5},
	}
	m := &memory{}
	for _, step := range steps {
		m.see(step.pod)
		if got := m.before + m.restarts; got != step.want {
			t.Errorf("%s: %d restarts, want %d", step.reason, got, step.want)
		}
		if step.end {
			m.ended = step.pod.UID
		}
	}
}
