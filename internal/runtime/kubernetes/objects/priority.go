package objects

import (
	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/client-go/applyconfigurations/scheduling/v1"

	"github.com/myriad-fleet/myriad/internal/controlplane"
)

// Names of the PriorityClasses.
const (
	classEtcd       = "myriad-etcd"
	classAPIServer  = "myriad-apiserver"
	classController = "myriad-controller"
)

// priorityClassNames of the kinds.
var priorityClassNames = map[controlplane.Kind]string{
	controlplane.Etcd:              classEtcd,
	controlplane.APIServer:         classAPIServer,
	controlplane.ControllerManager: classController,
	controlplane.Scheduler:         classController,
}

// PriorityClasses are the cell's, made once: an etcd member is worth more than an API server, and that
// more than controllers, which have twins or can wait. The scheduler takes them up in that order, and
// a node that runs short of memory gives them up in the opposite one. None preempts: a guest that
// starts must not stop what runs. Values are above those of ordinary workloads and below the system's
// own (2,000,000,000); neither value nor preemption policy can be changed once a class exists.
func PriorityClasses() []Object {
	class := func(name string, value int32, description string) Object {
		return schedulingv1.PriorityClass(name).
			WithLabels(managed()).
			WithValue(value).
			WithPreemptionPolicy(corev1.PreemptNever).
			WithDescription(description)
	}
	return []Object{
		class(classEtcd, 900_000_300, "Members of guests' etcd clusters."),
		class(classAPIServer, 900_000_200, "Guests' API servers."),
		class(classController, 900_000_100, "Guests' controller managers and schedulers."),
	}
}
