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
	name, region, other := "hz-2", "cn-hangzhou", "hz-1"
	if s.lab != nil {
		name, region, other = s.labCell(), "eu-frankfurt", "fra-1"
	}
	agent := "platform/cell-" + name + "/agent"
	before := s.pids(t, agent)
	s.run(t, "cell", "revoke", name)
	s.mustUp(t, "--no-hello")
	eventually(t, healBudget, "the agent to report under its new name", func(ctx context.Context) (string, bool) {
		var cell v1alpha1.Cell
		if err := s.hub.Get(ctx, client.ObjectKey{Name: name}, &cell); err != nil {
			return err.Error(), false
		}
		ready := meta.IsStatusConditionTrue(cell.Status.Conditions, v1alpha1.ConditionReady)
		return fmt.Sprintf("ready %t, generation %d", ready, cell.Spec.CredentialGeneration), ready && cell.Spec.CredentialGeneration == 2
	})
	// Ready may be left over from before the revocation: only an agent with rights makes guests.
	s.run(t, "cell", "cordon", other)
	if s.lab == nil {
		defer s.run(t, "cell", "uncordon", other)
	}
	if g := s.create(t, "after-revoke", "--region", region); g.cell != name {
		t.Errorf("the cluster is in cell %q, want %s", g.cell, name)
	}
	if after := s.pids(t, agent); after[agent] != before[agent] {
		t.Errorf("the agent restarted: process %d, before %d", after[agent], before[agent])
	}
}
