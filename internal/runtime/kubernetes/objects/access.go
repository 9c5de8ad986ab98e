package objects

import (
	"fmt"
	"slices"
	"strconv"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	applyadmissionv1 "k8s.io/client-go/applyconfigurations/admissionregistration/v1"
	rbacv1 "k8s.io/client-go/applyconfigurations/rbac/v1"
)

// AgentName names the agent's role, its binding and the policy that confines it.
const AgentName = "myriad-agent"

// Rule is one right of the agent in the whole cell, and why it has it.
type Rule struct {
	Groups, Resources, Verbs []string
	// Names that it is limited to; none: all.
	Names []string
	// Why the agent needs it.
	Why string
}

// Rules are the agent's rights outside of SystemNamespace. Roles cannot be limited to namespaces by
// name or label, so that the rights to write reach everywhere by themselves: the admission policy of
// Access confines them to namespaces named myriad-*. It cannot confine reading: no rule here lets the
// agent read a Secret or a ConfigMap, enter a container, or make a pod other than by a workload.
func Rules() []Rule {
	read, apply := []string{"get", "list", "watch"}, []string{"create", "patch"}
	with := func(verbs []string, more ...string) []string { return slices.Concat(verbs, more) }
	all := with(read, "create", "patch", "delete")
	return []Rule{
		{[]string{""}, []string{"namespaces"}, all, nil, "A guest's namespace is made with it and deleted for its tombstone."},
		{[]string{""}, []string{"nodes"}, read, nil, "Capacity and zones are the nodes'."},
		{[]string{""}, []string{"nodes/metrics"}, []string{"get"}, nil, "What guests' components use their nodes' kubelets tell."},
		{[]string{"storage.k8s.io"}, []string{"storageclasses", "csinodes"}, read, nil, "A cell without storage for etcd says so; how many volumes a node can have counts for capacity."},
		{[]string{"scheduling.k8s.io"}, []string{"priorityclasses"}, apply, priorityNames(), "Guests' pods name them."},
		{[]string{""}, []string{"pods"}, with(read, "delete"), nil, "Pods of everybody count against capacity; those of guests are deleted to restart them."},
		{[]string{""}, []string{"pods/resize"}, []string{"patch"}, nil, "CPU and memory change while a component runs."},
		{[]string{""}, []string{"events"}, read, nil, "They say what keeps a volume or an image away."},
		{[]string{""}, []string{"services", "serviceaccounts"}, all, nil, "Each component has a Service."},
		{[]string{""}, []string{"secrets"}, with(apply, "delete"), nil, "Components' files. They are written and never read."},
		{[]string{""}, []string{"persistentvolumeclaims"}, with(read, "patch", "delete"), nil, "Volumes grow, and one that was lost is thrown away."},
		{[]string{""}, []string{"persistentvolumes"}, []string{"get", "list"}, nil, "A guest is deleted when its volumes are."},
		{[]string{"apps"}, []string{"statefulsets", "replicasets"}, all, nil, "They run the components."},
		{[]string{"networking.k8s.io"}, []string{"networkpolicies"}, all, nil, "They open the paths that exist."},
		{[]string{"policy"}, []string{"poddisruptionbudgets"}, all, nil, "They order the draining of nodes."},
	}
}

// systemRules are the agent's rights in SystemNamespace.
func systemRules() []Rule {
	all := []string{"get", "list", "watch", "create", "update", "patch"}
	return []Rule{
		{[]string{"coordination.k8s.io"}, []string{"leases"}, all, nil, "One agent works in a cell at a time."},
	}
}

func priorityNames() []string {
	return []string{classEtcd, classAPIServer, classController}
}

// Access returns what lets an agent work in a cell, and no more, in the order in which whoever
// administers the cell installs it. User is the agent's name as the cell's API server sees it, for
// example system:serviceaccount:myriad-system:myriad-agent.
func Access(user string) []Object {
	subject := rbacv1.Subject().WithAPIGroup(rbacGroup).WithKind("User").WithName(user)
	return []Object{
		restrictedNamespace(SystemNamespace, managed()),
		confinement(user),
		applyadmissionv1.ValidatingAdmissionPolicyBinding(AgentName).WithLabels(managed()).
			WithSpec(applyadmissionv1.ValidatingAdmissionPolicyBindingSpec().
				WithPolicyName(AgentName).WithValidationActions(admissionv1.Deny)),
		rbacv1.ClusterRole(AgentName).WithLabels(managed()).WithRules(policyRules(Rules())...),
		rbacv1.ClusterRoleBinding(AgentName).WithLabels(managed()).WithSubjects(subject).
			WithRoleRef(rbacv1.RoleRef().WithAPIGroup(rbacGroup).WithKind("ClusterRole").WithName(AgentName)),
		rbacv1.Role(AgentName, SystemNamespace).WithLabels(managed()).WithRules(policyRules(systemRules())...),
		rbacv1.RoleBinding(AgentName, SystemNamespace).WithLabels(managed()).WithSubjects(subject).
			WithRoleRef(rbacv1.RoleRef().WithAPIGroup(rbacGroup).WithKind("Role").WithName(AgentName)),
	}
}

const rbacGroup = "rbac.authorization.k8s.io"

func policyRules(rules []Rule) []*rbacv1.PolicyRuleApplyConfiguration {
	var out []*rbacv1.PolicyRuleApplyConfiguration
	for _, r := range rules {
		out = append(out, rbacv1.PolicyRule().
			WithAPIGroups(r.Groups...).WithResources(r.Resources...).WithVerbs(r.Verbs...).WithResourceNames(r.Names...))
	}
	return out
}

const (
	// theAgent's own writes, except questions about itself, which have no name and change nothing.
	theAgent = `request.userInfo.username == %s && !(request.resource.group in ["authentication.k8s.io", "authorization.k8s.io"])`
	// inItsNamespaces: a namespace is its own request's namespace, and what belongs to the cluster has none.
	inItsNamespaces = `(has(request.namespace) && request.namespace != "" ? request.namespace : request.name).startsWith("` + namespacePrefix + `")`
	// staysRestricted: who may write namespaces and workloads could otherwise make a pod that owns its node.
	staysRestricted = `request.resource.resource != "namespaces" || object == null || ` +
		`object.metadata.?labels[?"pod-security.kubernetes.io/enforce"].orValue("") == "restricted"`
)

// confinement keeps an agent's writes to Myriad's own namespaces, and those restricted.
func confinement(user string) Object {
	everything := applyadmissionv1.NamedRuleWithOperations().
		WithOperations(admissionv1.OperationAll).WithAPIGroups("*").WithAPIVersions("*").WithResources("*/*")
	return applyadmissionv1.ValidatingAdmissionPolicy(AgentName).WithLabels(managed()).
		WithSpec(applyadmissionv1.ValidatingAdmissionPolicySpec().
			WithFailurePolicy(admissionv1.Fail).
			WithMatchConstraints(applyadmissionv1.MatchResources().WithResourceRules(everything)).
			WithMatchConditions(applyadmissionv1.MatchCondition().
				WithName("agent").WithExpression(fmt.Sprintf(theAgent, strconv.Quote(user)))).
			WithValidations(
				applyadmissionv1.Validation().WithExpression(inItsNamespaces).
					WithMessage("Myriad's agent writes only in namespaces, and things, that are named "+namespacePrefix+"*"),
				applyadmissionv1.Validation().WithExpression(staysRestricted).
					WithMessage("namespaces of Myriad's agent enforce the restricted profile of pod security")))
}
