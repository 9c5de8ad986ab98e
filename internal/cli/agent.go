package cli

import (
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/internal/agent"
	"github.com/myriad-fleet/myriad/internal/distribution"
	"github.com/myriad-fleet/myriad/internal/runtime/process"
)

func newAgent(s *session) *cobra.Command {
	var cell, dir, runtimeDir, binaries, snapshots string
	var leafLifetime time.Duration
	command := &cobra.Command{
		Use:   "agent",
		Short: "Run the agent of a cell",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return agent.Run(cmd.Context(), agent.Options{
				Cell:         cell,
				Dir:          dir,
				Kubeconfig:   filepath.Join(dir, "hub", "kubeconfig"),
				Runtime:      process.NewClient(runtimeDir),
				Versions:     kubernetesVersions(binaries),
				Version:      clientVersion(),
				LeafLifetime: leafLifetime,
				Clock:        clock.RealClock{},
				Log:          s.daemonLog(),
			})
		},
	}
	command.Flags().StringVar(&cell, "cell", "", "name of the cell")
	command.Flags().StringVar(&dir, "dir", "", "directory of the agent's state; <dir>/hub/kubeconfig leads to the hub")
	command.Flags().StringVar(&runtimeDir, "runtime-dir", "", "directory of the cell's supervisor")
	command.Flags().StringVar(&binaries, "distribution", "", "directory of the binaries of Kubernetes and etcd")
	command.Flags().DurationVar(&leafLifetime, "leaf-lifetime", 30*24*time.Hour, "lifetime of the guests' leaf certificates")
	command.Flags().StringVar(&snapshots, "snapshots", "", "store of etcd's snapshots, as a URL such as file:///var/lib/snapshots or s3://bucket?region=eu-central-1; none without it")
	return mustHave(command, "cell", "dir", "runtime-dir", "distribution")
}

// kubernetesVersions looks anew at each call: 'myriad up' may link another version.
func kubernetesVersions(directory string) func() ([]string, error) {
	return func() ([]string, error) {
		set, err := distribution.Open(directory)
		if err != nil {
			return nil, err
		}
		return set.KubernetesVersions()
	}
}

