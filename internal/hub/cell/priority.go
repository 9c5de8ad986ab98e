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
	// queues, handSize and queueLength hold what comes in a burst: 40 requests, as a cell is one flow with a
	// hand of 2 queues.
	queues, handSize, queueLength = 8, 2, 20
	// precedence puts the level before those of the API server's own catch-all (9000 and up).
	precedence = 1000
	// peopleShares are as many as 40 cells have. Where two threads carry 40 agents that come back together, a
	// level's seats are its part of the CPU: with the 20 of upstream's global-default 422 of 1,490 requests of
	// users had no answer within 2 s (docs/scale.md).
	peopleShares = 200
	// peopleLend is what they lend while they do not need it, in per cent: upstream's of global-default, as the
	// next three are.
	peopleLend                                      = 50
	peopleQueues, peopleHandSize, peopleQueueLength = 128, 6, 50
	// peoplePrecedence is right before upstream's global-default (9900): whoever no other schema knows.
	peoplePrecedence = 9800
	peopleName       = "myriad-people"
)

// people gives those who use the hub, and gateways, a priority level of their own, user by user.
func people() []runtime.ApplyConfiguration {
	subjects := []*applyflowcontrolv1.SubjectApplyConfiguration{
		applyflowcontrolv1.Subject().WithKind(rbacv1.GroupKind).WithGroup(applyflowcontrolv1.GroupSubject().WithName("system:authenticated")),
	}
	return []runtime.ApplyConfiguration{
		applyflowcontrolv1.PriorityLevelConfiguration(peopleName).
			WithSpec(applyflowcontrolv1.PriorityLevelConfigurationSpec().
				WithType(flowcontrolv1.PriorityLevelEnablementLimited).
				WithLimited(applyflowcontrolv1.LimitedPriorityLevelConfiguration().
					WithNominalConcurrencyShares(peopleShares).
					WithLendablePercent(peopleLend).
					WithLimitResponse(queue(peopleQueues, peopleHandSize, peopleQueueLength)))),
		applyflowcontrolv1.FlowSchema(peopleName).
			WithSpec(applyflowcontrolv1.FlowSchemaSpec().
				WithMatchingPrecedence(peoplePrecedence).
				WithPriorityLevelConfiguration(applyflowcontrolv1.PriorityLevelConfigurationReference().WithName(peopleName)).
				WithDistinguisherMethod(applyflowcontrolv1.FlowDistinguisherMethod().WithType(flowcontrolv1.FlowDistinguisherMethodByUserType)).
				WithRules(everything(subjects...))),
	}
}

func queue(queues, handSize, length int32) *applyflowcontrolv1.LimitResponseApplyConfiguration {
	return applyflowcontrolv1.LimitResponse().
		WithType(flowcontrolv1.LimitResponseTypeQueue).
		WithQueuing(applyflowcontrolv1.QueuingConfiguration().
			WithQueues(queues).WithHandSize(handSize).WithQueueLengthLimit(length))
}

// everything that these ask for.
func everything(subjects ...*applyflowcontrolv1.SubjectApplyConfiguration) *applyflowcontrolv1.PolicyRulesWithSubjectsApplyConfiguration {
	return applyflowcontrolv1.PolicyRulesWithSubjects().
		WithSubjects(subjects...).
		WithResourceRules(applyflowcontrolv1.ResourcePolicyRule().
			WithVerbs("*").WithAPIGroups("*").WithResources("*").WithNamespaces("*").WithClusterScope(true)).
		WithNonResourceRules(applyflowcontrolv1.NonResourcePolicyRule().WithVerbs("*").WithNonResourceURLs("*"))
}

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
					WithLimitResponse(queue(queues, handSize, queueLength)))),
		applyflowcontrolv1.FlowSchema(name).WithOwnerReferences(owner(cell)).
			WithSpec(applyflowcontrolv1.FlowSchemaSpec().
				WithMatchingPrecedence(precedence).
				WithPriorityLevelConfiguration(applyflowcontrolv1.PriorityLevelConfigurationReference().WithName(name)).
				WithRules(everything(applyflowcontrolv1.Subject().WithKind(rbacv1.UserKind).
					WithUser(applyflowcontrolv1.UserSubject().WithName(agent))))),
	}
}
