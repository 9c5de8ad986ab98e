package cell

import (
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	applymetav1 "k8s.io/client-go/applyconfigurations/meta/v1"
	applyrbacv1 "k8s.io/client-go/applyconfigurations/rbac/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/region"
)

// Names of the rights in a cell's namespace.
const (
	agentRole   = "agent"
	gatewayRole = "gateway"
)

func namespace(cell *v1alpha1.Cell) []runtime.ApplyConfiguration {
	return []runtime.ApplyConfiguration{applycorev1.Namespace(v1alpha1.CellNamespace(cell.Name))}
}

// agentRights let an agent read its orders, report on them, and read and report on its own Cell.
// It can edit none of its orders and read nothing of other cells.
func agentRights(cell *v1alpha1.Cell) []runtime.ApplyConfiguration {
	namespace := v1alpha1.CellNamespace(cell.Name)
	fleet := v1alpha1.GroupVersion.Group
	own := "myriad:" + namespace
	agent := applyrbacv1.Subject().WithAPIGroup(rbacv1.GroupName).WithKind(rbacv1.UserKind).
		WithName(v1alpha1.AgentUser(cell.Name, cell.Spec.CredentialGeneration))
	return []runtime.ApplyConfiguration{
		applyrbacv1.Role(agentRole, namespace).WithOwnerReferences(owner(cell)).WithRules(
			rule(fleet, "controlplanes", "get", "list", "watch"),
			rule(fleet, "controlplanes/status", "get", "update", "patch"),
			rule(fleet, "clustercredentials", "get", "list", "watch"),
			rule(fleet, "clustercredentials/status", "get", "update", "patch"),
			rule(coordinationv1.GroupName, "leases", "create"),
			rule(coordinationv1.GroupName, "leases", "get", "update").WithResourceNames(v1alpha1.AgentLease),
			rule(corev1.GroupName, "events", "create", "patch"),
			rule(eventsv1.GroupName, "events", "create", "patch"),
			rule(corev1.GroupName, "configmaps", "get").WithResourceNames(v1alpha1.AgentCredentialConfigMap),
		),
		applyrbacv1.RoleBinding(agentRole, namespace).WithOwnerReferences(owner(cell)).WithRoleRef(role("Role", agentRole)).WithSubjects(agent),
		applyrbacv1.ClusterRole(own).WithOwnerReferences(owner(cell)).WithRules(
			rule(fleet, "cells", "get", "list", "watch").WithResourceNames(cell.Name),
			rule(fleet, "cells/status", "get", "update", "patch").WithResourceNames(cell.Name),
		),
		applyrbacv1.ClusterRoleBinding(own).WithOwnerReferences(owner(cell)).WithRoleRef(role("ClusterRole", own)).WithSubjects(agent),
	}
}

// gatewayRights let the gateways of the cell's region read its orders, for their routes.
func gatewayRights(cell *v1alpha1.Cell, gateways int) []runtime.ApplyConfiguration {
	namespace := v1alpha1.CellNamespace(cell.Name)
	return []runtime.ApplyConfiguration{
		applyrbacv1.Role(gatewayRole, namespace).WithOwnerReferences(owner(cell)).WithRules(
			rule(v1alpha1.GroupVersion.Group, "controlplanes", "get", "list", "watch")),
		applyrbacv1.RoleBinding(gatewayRole, namespace).WithOwnerReferences(owner(cell)).WithRoleRef(role("Role", gatewayRole)).
			WithSubjects(region.Gateways(cell.Spec.Region, gateways)...),
	}
}

func rule(group, resource string, verbs ...string) *applyrbacv1.PolicyRuleApplyConfiguration {
	return applyrbacv1.PolicyRule().WithAPIGroups(group).WithResources(resource).WithVerbs(verbs...)
}

func role(kind, name string) *applyrbacv1.RoleRefApplyConfiguration {
	return applyrbacv1.RoleRef().WithAPIGroup(rbacv1.GroupName).WithKind(kind).WithName(name)
}

func owner(cell *v1alpha1.Cell) *applymetav1.OwnerReferenceApplyConfiguration {
	return applymetav1.OwnerReference().
		WithAPIVersion(v1alpha1.GroupVersion.String()).WithKind("Cell").WithName(cell.Name).WithUID(cell.UID)
}
