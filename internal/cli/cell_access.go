package cli

import (
	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/objects"
)

// agentAccount is the service account that an agent in its own cell runs as.
const agentAccount = "system:serviceaccount:" + objects.SystemNamespace + ":" + objects.AgentName

func newCellAccess(s *session) *cobra.Command {
	var user string
	command := &cobra.Command{
		Use:   "access",
		Short: "Print what lets an agent work in a Kubernetes cluster",
		Long: `Print, as YAML, what lets an agent work in a Kubernetes cluster, and no more: a namespace, a role with its
binding, and an admission policy that confines the agent to namespaces named myriad-*. An administrator of that cluster applies it.
docs/security.md says why each right is needed.`,
		Example: "  myriad cell access --user myriad-agent | kubectl --kubeconfig cell.kubeconfig apply --server-side -f -",
		Args:    arguments(0, 0),
		RunE: func(*cobra.Command, []string) error {
			for _, object := range objects.Access(user) {
				text, err := yaml.Marshal(object)
				if err != nil {
					return fail(exitFailure, "print the agent's rights: %v", err)
				}
				if err := s.print("---\n" + string(text)); err != nil {
					return err
				}
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	command.Flags().StringVar(&user, "user", agentAccount, "the agent's name as the cluster sees it")
	return command
}
