package e2e

import (
	"context"
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// TestRevokedAgentJoinsAnew revokes a running agent's certificate. 'myriad up' signs another one, and
// the agent goes on with it: neither it nor a guest restarts.
func TestRevokedAgentJoinsAnew(t *testing.T) {
	s := sharedFleet(t)
	const agent = "platform/cell-hz-2/agent"
	before := s.pids(t, agent)
	s.run(t, "cell", "revoke", "hz-2")
	s.mustUp(t, "--no-hello")
	eventually(t, healBudget, "the agent to report under its new name", func(ctx context.Context) (string, bool) {
		var cell v1alpha1.Cell
		if err := s.hub.Get(ctx, client.ObjectKey{Name: "hz-2"}, &cell); err != nil {
			return err.Error(), false
		}
		ready := meta.IsStatusConditionTrue(cell.Status.Conditions, v1alpha1.ConditionReady)
		return fmt.Sprintf("ready %t, generation %d", ready, cell.Spec.CredentialGeneration), ready && cell.Spec.CredentialGeneration == 2
	})
	// Ready may be left over from before the revocation: only an agent with rights makes guests.
	s.run(t, "cell", "cordon", "hz-1")
	defer s.run(t, "cell", "uncordon", "hz-1")
	if g := s.create(t, "after-revoke", "--region", "cn-hangzhou"); g.cell != "hz-2" {
		t.Errorf("the cluster is in cell %q, want hz-2", g.cell)
	}
	if after := s.pids(t, agent); after[agent] != before[agent] {
		t.Errorf("the agent restarted: process %d, before %d", after[agent], before[agent])
	}
}
