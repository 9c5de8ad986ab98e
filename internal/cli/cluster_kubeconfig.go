package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"
)

// defaultExpiration of the certificate in a kubeconfig that a person asks for: a working day.
const defaultExpiration = 24 * time.Hour

func newClusterKubeconfig(s *session) *cobra.Command {
	order := credentialOrder{role: "admin", expiration: defaultExpiration}
	port, file := "shared", ""
	command := &cobra.Command{
		Use:   "kubeconfig NAME",
		Short: "Print a kubeconfig with a short-lived certificate for a cluster",
		Long: `Print a kubeconfig with a short-lived certificate for a cluster.

The private key is made here and goes nowhere else; the cluster's cell signs its certificate. A
certificate cannot be taken back: choose an expiration that you can live with.`,
		Example: "  myriad cluster kubeconfig hello --output-file hello.kubeconfig\n" +
			"  myriad cluster kubeconfig hello --role viewer --user alice --expiration 1h",
		Args:              arguments(1, 1),
		ValidArgsFunction: s.completeWords(false, s.clusterNames),
		RunE: func(command *cobra.Command, given []string) error {
			if port != "shared" && port != "plain" {
				return fail(exitUsage, "--port %s is not known; use shared or plain", port)
			}
			order.plainPort = port == "plain"
			return s.printKubeconfig(command.Context(), given[0], file, order)
		},
	}
	flags := command.Flags()
	flags.StringVar(&file, "output-file", "", "file to write it to, readable by you alone (default: print it)")
	flags.StringVar(&order.role, "role", order.role, "what it allows: admin or viewer")
	flags.StringVar(&order.user, "user", "", "user that the cluster's audit log shows (default $USER or myriad)")
	flags.DurationVar(&order.expiration, "expiration", order.expiration, "how long the certificate is good: 10m to 168h")
	flags.StringVar(&port, "port", port, "shared: the region's port, for clients that send a server name; plain: the cluster's own port, for those that do not")
	must(command.RegisterFlagCompletionFunc("role", cobra.FixedCompletions([]string{"admin", "viewer"}, cobra.ShellCompDirectiveNoFileComp)))
	must(command.RegisterFlagCompletionFunc("port", cobra.FixedCompletions([]string{"shared", "plain"}, cobra.ShellCompDirectiveNoFileComp)))
	return command
}

func (s *session) printKubeconfig(ctx context.Context, name, file string, order credentialOrder) error {
	hub, err := s.hub()
	if err != nil {
		return err
	}
	cluster, err := s.findCluster(ctx, hub, name)
	if err != nil {
		return err
	}
	if order.user == "" {
		order.user = defaultUser()
	}
	text, err := s.issueKubeconfig(ctx, hub, cluster, order)
	if err != nil {
		return err
	}
	if file == "" {
		_, err = s.out.Write(text)
		return err
	}
	if err := renameio.WriteFile(file, text, 0o600); err != nil {
		return fmt.Errorf("write kubeconfig: %w; choose another --output-file", err)
	}
	s.notef("wrote %s, good for %s; use it: kubectl --kubeconfig %s get namespaces", file, order.expiration, file)
	return nil
}
