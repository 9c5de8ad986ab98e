package cli

import (
	"context"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func newClusterDelete(s *session) *cobra.Command {
	wait := true
	command := &cobra.Command{
		Use:               "delete NAME...",
		Aliases:           []string{"rm"},
		Short:             "Delete clusters with all that is in them",
		Long:              "Delete clusters with all that is in them. Nothing of a deleted cluster can be brought back.",
		Example:           "  myriad cluster delete hello\n  myriad cluster delete hello --wait=false",
		Args:              arguments(1, -1),
		ValidArgsFunction: s.completeWords(true, s.clusterNames),
		RunE: func(command *cobra.Command, given []string) error {
			hub, err := s.hub()
			if err != nil {
				return err
			}
			for _, name := range given {
				if err := s.deleteCluster(command.Context(), hub, name, wait); err != nil {
					return err
				}
			}
			return nil
		},
	}
	command.Flags().BoolVar(&wait, "wait", wait, "wait until nothing of the cluster is left")
	return command
}

func (s *session) deleteCluster(ctx context.Context, hub client.Client, name string, wait bool) error {
	cluster, err := s.findCluster(ctx, hub, name)
	if err != nil {
		return err
	}
	uid := cluster.UID
	// Without the uid a cluster that was made anew in between would be deleted in its stead.
	err = hub.Delete(ctx, cluster, client.Preconditions{UID: &uid})
	if client.IgnoreNotFound(err) != nil {
		return explain("delete cluster "+name, err)
	}
	if !wait {
		return s.say(hub.Scheme(), cluster, "cluster %s is being deleted", name)
	}
	if !apierrors.IsNotFound(err) {
		if _, err := s.awaitGone(ctx, hub, name, uid); err != nil {
			return err
		}
	}
	return s.say(hub.Scheme(), cluster, "cluster %s is deleted", name)
}
