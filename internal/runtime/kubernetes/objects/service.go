package objects

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
)

// port that a kind of component listens on.
type port struct {
	name   string
	number int32
}

// ports of each kind.
var ports = map[controlplane.Kind][]port{
	controlplane.Etcd: {
		{"client", controlplane.EtcdClientPort},
		{"peer", controlplane.EtcdPeerPort},
		{"metrics", controlplane.EtcdMetricsPort},
		{"health", controlplane.EtcdHealthPort},
	},
	controlplane.APIServer:         {{"https", controlplane.APIServerPort}},
	controlplane.ControllerManager: {{"https", controlplane.ControllerManagerPort}},
	controlplane.Scheduler:         {{"https", controlplane.SchedulerPort}},
}

// kinds that have ports, in the order of the alphabet.
func kinds() []controlplane.Kind { return slices.Sorted(maps.Keys(ports)) }

// Services of the components of those names, made before anything else: their addresses are what the
// manifest is rendered with. Kind and zone are parsed from the names.
func Services(cell Cell, id string, names []string) ([]*applycorev1.ServiceApplyConfiguration, error) {
	services := make([]*applycorev1.ServiceApplyConfiguration, 0, len(names))
	if err := checkID(id); err != nil {
		return nil, fmt.Errorf("guest %s in cell %s: %w", id, cell.Name, err)
	}
	for _, name := range names {
		instance, err := parseInstance(name)
		if err == nil {
			err = checkName(name)
		}
		if err != nil {
			return nil, fmt.Errorf("guest %s in cell %s: %w", id, cell.Name, err)
		}
		services = append(services, service(cell, id, instance))
	}
	return services, nil
}

// service leads to a component's only pod from the moment that it has an address: etcd members find
// each other before they are ready, and clients of a component have probes of their own.
func service(cell Cell, id string, i controlplane.Instance) *applycorev1.ServiceApplyConfiguration {
	spec := applycorev1.ServiceSpec().
		WithType(corev1.ServiceTypeClusterIP).
		WithIPFamilyPolicy(corev1.IPFamilyPolicySingleStack).
		WithInternalTrafficPolicy(corev1.ServiceInternalTrafficPolicyCluster).
		WithPublishNotReadyAddresses(true).
		WithSelector(selector(id, i.Name))
	for _, p := range ports[i.Kind] {
		spec.WithPorts(applycorev1.ServicePort().
			WithName(p.name).
			WithProtocol(corev1.ProtocolTCP).
			WithPort(p.number).
			WithTargetPort(intstr.FromInt32(p.number)))
	}
	return applycorev1.Service(i.Name, NamespaceName(id)).
		WithLabels(componentLabels(cell.Name, id, i)).
		WithSpec(spec)
}

// selector of a component's pods. Workloads' selectors can never be changed: keep it as it is.
func selector(id, component string) map[string]string {
	return map[string]string{v1alpha1.LabelID: id, LabelComponent: component}
}
