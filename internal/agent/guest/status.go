package guest

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// Problem is why an order could not be carried out.
type Problem struct{ Reason, Message string }

// Facts is all that the conditions of a guest follow from.
type Facts struct {
	// Order in force; nil when none could be kept.
	Order *v1alpha1.ControlPlaneSpec
	// Instances that the order asks for.
	Instances []controlplane.Instance
	// Observation of the runtime.
	Observation runtime.Observation
	// Bootstrapped says that the inside of the guest has been set up.
	Bootstrapped bool
	// Served says that the guest has been ready before: what is missing is lost, not on its way.
	Served bool
	// Problem kept the order from being carried out; nil for none.
	Problem *Problem
	// Notice is something that people should know and that stops nothing; nil for none.
	Notice *Problem
}

// verdict is a condition before it has a type and a time.
type verdict struct {
	status          metav1.ConditionStatus
	reason, message string
}

func no(reason, message string) (verdict, bool) {
	return verdict{status: metav1.ConditionFalse, reason: reason, message: message}, true
}

// readyChain decides the Ready condition: the first rule that has something to say does.
var readyChain = []func(Facts) (verdict, bool){
	isFrozen, hasProblem, keepsFailing, isBlocked, waitsForSlot, hasNoAPIServer, isNotBootstrapped, hasNoLeader, lacksInstances, isReady,
}

// Ready judges whether the guest does what it is for.
func Ready(f Facts) metav1.Condition {
	for _, rule := range readyChain {
		if v, ok := rule(f); ok {
			return metav1.Condition{Type: v1alpha1.ConditionReady, Status: v.status, Reason: v.reason, Message: v.message}
		}
	}
	return metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonStarting}
}

// Progressing judges whether the guest moves towards its order, and why not.
func Progressing(f Facts, ready metav1.Condition) metav1.Condition {
	condition := metav1.Condition{
		Type: v1alpha1.ConditionProgressing, Status: metav1.ConditionFalse, Reason: ready.Reason, Message: ready.Message,
	}
	for _, problem := range []*Problem{f.Problem, f.Notice} {
		if problem != nil {
			condition.Reason, condition.Message = problem.Reason, problem.Message
			return condition
		}
	}
	if ready.Reason == v1alpha1.ReasonStarting || ready.Reason == v1alpha1.ReasonWaitingForSlot {
		condition.Status = metav1.ConditionTrue
	}
	if behind := outdated(f); ready.Status == metav1.ConditionTrue && behind != "" {
		condition.Status, condition.Reason, condition.Message = metav1.ConditionTrue, v1alpha1.ReasonUpdating, "not yet as the order says: "+behind
	}
	return condition
}

// outdated names the instances that run otherwise than the order says.
func outdated(f Facts) string {
	var list []string
	for _, instance := range f.Instances {
		if c, ok := f.Observation.Component(instance.Name); ok && c.Outdated {
			list = append(list, instance.Name)
		}
	}
	return strings.Join(list, ", ")
}

func isFrozen(f Facts) (verdict, bool) {
	if f.Order == nil || !frozen(f.Order) {
		return verdict{}, false
	}
	return no(v1alpha1.ReasonFrozen, frozenMessage(f.Order))
}

func frozenMessage(order *v1alpha1.ControlPlaneSpec) string {
	return fmt.Sprintf("epoch %d lives in another cell and supersedes this copy, which has epoch %d; its data is kept",
		order.SupersededBy, order.Epoch)
}

// hasProblem: a guest that serves goes on serving by its last order, and Progressing tells the
// problem. An order that makes no sense is told in both: it is for the hub to put right.
func hasProblem(f Facts) (verdict, bool) {
	if f.Problem == nil || (serves(f) && f.Problem.Reason != v1alpha1.ReasonInvalidOrder) {
		return verdict{}, false
	}
	return no(f.Problem.Reason, f.Problem.Message)
}

// keepsFailing looks at a guest that has not been ready yet for the component that keeps it from that:
// one that has died, is not ready again, and has no twin that is.
func keepsFailing(f Facts) (verdict, bool) {
	if f.Served {
		return verdict{}, false
	}
	for _, instance := range f.Instances {
		c, ok := f.Observation.Component(instance.Name)
		if ok && !c.Ready && c.State != runtime.Held && c.LastExit != "" && readyOf(f, instance.Kind) == 0 {
			return no(v1alpha1.ReasonComponentsFailed, instance.Name+": "+c.LastExit)
		}
	}
	return verdict{}, false
}

// isBlocked looks at a guest that has not been ready yet for a component that cannot start, and that has
// no twin that did.
func isBlocked(f Facts) (verdict, bool) {
	if f.Served {
		return verdict{}, false
	}
	for _, instance := range f.Instances {
		c, ok := f.Observation.Component(instance.Name)
		if ok && c.State == runtime.Blocked && readyOf(f, instance.Kind) == 0 {
			return no(v1alpha1.ReasonBlocked, instance.Name+": "+c.Message)
		}
	}
	return verdict{}, false
}

// waitsForSlot: nothing of the guest has been started, and something is queued for it.
func waitsForSlot(f Facts) (verdict, bool) {
	if f.Served {
		return verdict{}, false
	}
	queued := false
	for _, c := range f.Observation.Components {
		switch c.State {
		case runtime.Queued:
			queued = true
		case runtime.Waiting:
		default:
			return verdict{}, false
		}
	}
	if !queued {
		return verdict{}, false
	}
	return no(v1alpha1.ReasonWaitingForSlot, "start-ups are paced to the cell's cores; the guest waits its turn")
}

func hasNoAPIServer(f Facts) (verdict, bool) {
	if readyOf(f, controlplane.APIServer) > 0 {
		return verdict{}, false
	}
	if f.Served {
		return no(v1alpha1.ReasonUnavailable, "no API server answers: "+unready(f))
	}
	return no(v1alpha1.ReasonStarting, "starting: "+unready(f))
}

func isNotBootstrapped(f Facts) (verdict, bool) {
	if f.Bootstrapped {
		return verdict{}, false
	}
	return no(v1alpha1.ReasonStarting, "the API server answers; waiting for the default ServiceAccount")
}

// hasNoLeader: API servers answer, and nobody acts on what they are told.
func hasNoLeader(f Facts) (verdict, bool) {
	for _, kind := range []controlplane.Kind{controlplane.ControllerManager, controlplane.Scheduler} {
		if readyOf(f, kind) > 0 {
			continue
		}
		if f.Served {
			return no(v1alpha1.ReasonDegraded, fmt.Sprintf("no %s is ready: %s", kind, unready(f)))
		}
		return no(v1alpha1.ReasonStarting, "starting: "+unready(f))
	}
	return verdict{}, false
}

// lacksInstances: the guest serves with fewer instances than it should have. One that starts for the
// first time is given the time to have them all, except those that are held or keep dying.
func lacksInstances(f Facts) (verdict, bool) {
	missing := unready(f)
	if missing == "" {
		return verdict{}, false
	}
	if !f.Served && onTheirWay(f) {
		return no(v1alpha1.ReasonStarting, "starting: "+missing)
	}
	return verdict{metav1.ConditionTrue, v1alpha1.ReasonDegraded, "the guest serves without: " + missing}, true
}

func isReady(f Facts) (verdict, bool) {
	return verdict{metav1.ConditionTrue, v1alpha1.ReasonReady, "every component is ready"}, true
}

// serves tells whether users of the guest miss nothing.
func serves(f Facts) bool {
	return f.Bootstrapped && readyOf(f, controlplane.APIServer) > 0 &&
		readyOf(f, controlplane.ControllerManager) > 0 && readyOf(f, controlplane.Scheduler) > 0
}

// readyOf counts the ready instances of a kind.
func readyOf(f Facts, kind controlplane.Kind) int {
	count := 0
	for _, instance := range f.Instances {
		if c, ok := f.Observation.Component(instance.Name); ok && instance.Kind == kind && c.Ready {
			count++
		}
	}
	return count
}

// unready names the instances that are not ready, and how they are.
func unready(f Facts) string {
	var list []string
	for _, instance := range f.Instances {
		c, ok := f.Observation.Component(instance.Name)
		switch {
		case !ok:
			list = append(list, instance.Name+" (not there)")
		case !c.Ready && c.Message != "" && c.State != runtime.Held:
			list = append(list, fmt.Sprintf("%s (%s: %s)", c.Name, c.State, c.Message))
		case !c.Ready && c.LastExit != "" && c.State != runtime.Held:
			list = append(list, fmt.Sprintf("%s (%s: %s)", c.Name, c.State, c.LastExit))
		case !c.Ready:
			list = append(list, fmt.Sprintf("%s (%s)", c.Name, c.State))
		}
	}
	return strings.Join(list, ", ")
}

// onTheirWay tells whether an instance that is not ready may soon be.
func onTheirWay(f Facts) bool {
	for _, instance := range f.Instances {
		c, ok := f.Observation.Component(instance.Name)
		stuck := c.State == runtime.Held || c.State == runtime.BackOff || c.State == runtime.Blocked
		if !ok || (!c.Ready && !stuck) {
			return true
		}
	}
	return false
}
