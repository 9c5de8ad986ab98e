package cell

import (
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	applyflowcontrolv1 "k8s.io/client-go/applyconfigurations/flowcontrol/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

const (
	// shares of a cell. The API server's own levels have 245 together; 5 is enough for an agent
	// that reports, and 40 cells still leave half of the server to everyone else.
	shares = 5
	// borrowPercent lets a cell that catches up use three times its shares while others are idle.
	borrowPercent = 200
	// queues, handSize and queueLength hold what comes in a burst: 160 requests at most.
	queues, handSize, queueLength = 8, 2, 20
	// precedence puts the level before those of the API server's own catch-all (9000 and up).
	precedence = 1000
)

// priority gives a cell a priority level of its own, so that a mad agent starves nobody else.
func priority(cell *v1alpha1.Cell) []runtime.ApplyConfiguration {
	name := "myriad-" + v1alpha1.CellNamespace(cell.Name)
	agent := v1alpha1.AgentUser(cell.Name, cell.Spec.CredentialGeneration)
	return []runtime.ApplyConfiguration{
		applyflowcontrolv1.PriorityLevelConfiguration(name).WithOwnerReferences(owner(cell)).
			WithSpec(applyflowcontrolv1.PriorityLevelConfigurationSpec().
				WithType(flowcontrolv1.PriorityLevelEnablementLimited).
				WithLimited(applyflowcontrolv1.LimitedPriorityLevelConfiguration().
					WithNominalConcurrencyShares(shares).
					WithBorrowingLimitPercent(borrowPercent).
					WithLimitResponse(applyflowcontrolv1.LimitResponse().
						WithType(flowcontrolv1.LimitResponseTypeQueue).
						WithQueuing(applyflowcontrolv1.QueuingConfiguration().
							WithQueues(queues).WithHandSize(handSize).WithQueueLengthLimit(queueLength))))),
		applyflowcontrolv1.FlowSchema(name).WithOwnerReferences(owner(cell)).
			WithSpec(applyflowcontrolv1.FlowSchemaSpec().
				WithMatchingPrecedence(precedence).
				WithPriorityLevelConfiguration(applyflowcontrolv1.PriorityLevelConfigurationReference().WithName(name)).
				WithRules(applyflowcontrolv1.PolicyRulesWithSubjects().
					WithSubjects(applyflowcontrolv1.Subject().WithKind(rbacv1.UserKind).
						WithUser(applyflowcontrolv1.UserSubject().WithName(agent))).
					WithResourceRules(applyflowcontrolv1.ResourcePolicyRule().
						WithVerbs("*").WithAPIGroups("*").WithResources("*").WithNamespaces("*").WithClusterScope(true)).
					WithNonResourceRules(applyflowcontrolv1.NonResourcePolicyRule().WithVerbs("*").WithNonResourceURLs("*")))),
	}
}
