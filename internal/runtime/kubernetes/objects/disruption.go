package objects

import (
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	metav1 "k8s.io/client-go/applyconfigurations/meta/v1"
	applypolicyv1 "k8s.io/client-go/applyconfigurations/policy/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
)

// disruptionBudgets let people drain nodes, one zone after the other. All but one instance of a kind
// must be there. That is minAvailable and not maxUnavailable: the disruption controller counts what
// should be there by the pods that are, so with maxUnavailable 1 a member whose pod is gone would let
// a second one go. A kind with one instance has no budget: any would block drains for ever, and who
// orders a Single guest accepts that it goes down with its node. Nor have controllers: whatever
// happens to them, no request waits for them.
func (b *builder) disruptionBudgets() []Object {
	var budgets []Object
	for _, kind := range []controlplane.Kind{controlplane.Etcd, controlplane.APIServer} {
		if instances := b.count(kind); instances > 1 {
			budgets = append(budgets, b.disruptionBudget(kind, instances-1))
		}
	}
	return budgets
}

// count of the instances of a kind, those that are stopped too: without pods a budget means nothing.
func (b *builder) count(kind controlplane.Kind) int {
	count := 0
	for i := range b.manifest.Components {
		if b.manifest.Components[i].Kind == kind {
			count++
		}
	}
	return count
}

func (b *builder) disruptionBudget(kind controlplane.Kind, available int) *applypolicyv1.PodDisruptionBudgetApplyConfiguration {
	// A member that is not ready may be the one that a quorum needs next; an API server that is not
	// ready serves nobody, and must not keep a node from being drained.
	unhealthy := policyv1.IfHealthyBudget
	if kind != controlplane.Etcd {
		unhealthy = policyv1.AlwaysAllow
	}
	return applypolicyv1.PodDisruptionBudget(string(kind), b.namespace()).
		WithLabels(b.guestLabels()).
		WithSpec(applypolicyv1.PodDisruptionBudgetSpec().
			WithMinAvailable(intstr.FromInt(available)).
			WithUnhealthyPodEvictionPolicy(unhealthy).
			WithSelector(metav1.LabelSelector().WithMatchLabels(map[string]string{
				v1alpha1.LabelID: b.manifest.ID, LabelKind: string(kind),
			})))
}
