package kubernetes

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/myriad-fleet/myriad/internal/runtime"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/objects"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/roll"
)

// memory is what is remembered of a component between two looks. Losing it costs counts and times.
type memory struct {
	wasReady bool
	// pod that was seen last, and how often its container had restarted.
	pod      types.UID
	restarts int32
	// before is how often the component had died with the pods before.
	before int32
	// ended is the pod that was told to end: the one that follows it is no restart.
	ended types.UID
	// readyRun is the run of the pod's container that has been ready: pod and restart count.
	readyRun string
	lastExit string
	// failure to write what belongs to the component; nil for none.
	failure error
	// fixed is a pod whose resources cannot be changed in place, and why.
	fixed    types.UID
	fixedWhy string
	// events is what the cell's events said last of what keeps it from running.
	events   string
	askedAt  time.Time
	observed runtime.Component
}

// waitingBlocked are the reasons of a waiting container that only somebody else can mend.
var waitingBlocked = []string{
	"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable",
	"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "SignatureValidationFailed",
}

// see takes note of a component's pod, and says how it is.
func (m *memory) see(pod *corev1.Pod) (runtime.State, string) {
	if pod == nil {
		return runtime.Starting, ""
	}
	status := containerStatus(pod)
	if pod.UID != m.pod {
		m.before += m.restarts
		if m.pod != "" && m.pod != m.ended {
			m.before++
		}
		m.pod, m.restarts = pod.UID, 0
	}
	if status != nil {
		m.restarts = max(m.restarts, status.RestartCount)
		if exit := lastExit(status); exit != "" {
			m.lastExit = exit
		}
	}
	run := fmt.Sprintf("%s/%d", pod.UID, m.restarts)
	if podReady(pod) {
		m.wasReady, m.readyRun = true, run
	}
	state, message := podState(pod, status)
	if state == runtime.Starting && m.readyRun == run {
		state = runtime.Running
	}
	return state, message
}

// podState is how a pod is, and the message of what keeps it from running.
func podState(pod *corev1.Pod, status *corev1.ContainerStatus) (runtime.State, string) {
	for i := range pod.Status.Conditions {
		condition := &pod.Status.Conditions[i]
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			return runtime.Blocked, condition.Message
		}
	}
	switch {
	case status == nil:
		return runtime.Starting, ""
	case status.State.Waiting != nil && slices.Contains(waitingBlocked, status.State.Waiting.Reason):
		return runtime.Blocked, strings.TrimSuffix(status.State.Waiting.Reason+": "+status.State.Waiting.Message, ": ")
	case status.State.Waiting != nil && status.State.Waiting.Reason == "CrashLoopBackOff", status.State.Terminated != nil:
		return runtime.BackOff, ""
	case podReady(pod):
		return runtime.Running, ""
	}
	return runtime.Starting, ""
}

// specOf is the hash of what a pod was started with.
func specOf(pod *corev1.Pod) string { return pod.Annotations[objects.AnnotationSpec] }

func podReady(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// podRuns tells whether the pod's container runs, ready or not.
func podRuns(pod *corev1.Pod) bool {
	status := containerStatus(pod)
	return status != nil && status.State.Running != nil
}

// containerStatus of the pod's only container; nil before the kubelet has told of it.
func containerStatus(pod *corev1.Pod) *corev1.ContainerStatus {
	if len(pod.Status.ContainerStatuses) == 0 {
		return nil
	}
	return &pod.Status.ContainerStatuses[0]
}

// lastExit says how a container last ended, as the process runtime does: "exit status 1 after 2s: …".
func lastExit(status *corev1.ContainerStatus) string {
	ended := status.State.Terminated
	if ended == nil {
		ended = status.LastTerminationState.Terminated
	}
	if ended == nil {
		return ""
	}
	how := fmt.Sprintf("exit status %d", ended.ExitCode)
	if ended.Signal != 0 {
		how = fmt.Sprintf("signal %d", ended.Signal)
	}
	if ended.Reason != "" && ended.Reason != "Error" && ended.Reason != "Completed" {
		how += " (" + ended.Reason + ")" // OOMKilled
	}
	if ran := ended.FinishedAt.Sub(ended.StartedAt.Time); !ended.StartedAt.IsZero() && ran >= 0 {
		how += " after " + ran.Round(time.Second).String()
	}
	if message := runtime.LastWords([]byte(ended.Message)); message != "" {
		how += ": " + message
	}
	return how
}

// resizePatience is how long a kubelet may fail to change a pod's resources. One of v1.36.3 tries for
// ever to take memory from a container that has restarted: "missing container usage".
const resizePatience = time.Minute

// resizeState says how far the change of a pod's resources is at a time, and why it is no further.
func resizeState(pod *corev1.Pod, now time.Time) (roll.Resize, string) {
	state, message := roll.NoResize, ""
	if seen := pod.Status.ObservedGeneration; seen != 0 && seen < pod.Generation {
		state = roll.InProgress
	}
	for i := range pod.Status.Conditions {
		condition := &pod.Status.Conditions[i]
		if condition.Status != corev1.ConditionTrue || condition.ObservedGeneration != 0 && condition.ObservedGeneration < pod.Generation {
			continue
		}
		failed := condition.Type == corev1.PodResizeInProgress && condition.Reason == corev1.PodReasonError
		switch {
		case condition.Type == corev1.PodResizePending && condition.Reason == corev1.PodReasonInfeasible,
			failed && now.Sub(condition.LastTransitionTime.Time) >= resizePatience:
			return roll.Impossible, condition.Message
		case condition.Type == corev1.PodResizePending, failed:
			state, message = roll.Deferred, condition.Message
		case condition.Type == corev1.PodResizeInProgress:
			state = roll.InProgress
		}
	}
	return state, message
}

// sized tells whether a pod asks for the resources that are wanted.
func sized(pod *corev1.Pod, wanted corev1.ResourceRequirements) bool {
	if len(pod.Spec.Containers) == 0 {
		return true
	}
	has := pod.Spec.Containers[0].Resources
	return equalResources(has.Limits, wanted.Limits) && equalResources(has.Requests, withDefaults(wanted))
}

// withDefaults are the requests that Kubernetes makes of resources: a limit is also asked for.
func withDefaults(wanted corev1.ResourceRequirements) corev1.ResourceList {
	requests := wanted.Requests.DeepCopy()
	for name, limit := range wanted.Limits {
		if _, ok := requests[name]; !ok {
			if requests == nil {
				requests = corev1.ResourceList{}
			}
			requests[name] = limit
		}
	}
	return requests
}

func equalResources(a, b corev1.ResourceList) bool {
	if len(a) != len(b) {
		return false
	}
	for name, quantity := range a {
		if other, ok := b[name]; !ok || quantity.Cmp(other) != 0 {
			return false
		}
	}
	return true
}

// takesAway names a resource that the pod has and that is not wanted: Kubernetes cannot take one away
// in place.
func takesAway(pod *corev1.Pod, wanted corev1.ResourceRequirements) string {
	if len(pod.Spec.Containers) == 0 {
		return ""
	}
	has := pod.Spec.Containers[0].Resources
	for name := range has.Limits {
		if _, ok := wanted.Limits[name]; !ok {
			return "limit of " + string(name)
		}
	}
	requests := withDefaults(wanted)
	for name := range has.Requests {
		if _, ok := requests[name]; !ok {
			return "request for " + string(name)
		}
	}
	return ""
}
