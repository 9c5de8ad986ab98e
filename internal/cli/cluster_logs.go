package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/local"
	"github.com/myriad-fleet/myriad/internal/suggest"
)

// defaultTail is how many lines of a log are shown.
const defaultTail = 100

func newClusterLogs(s *session) *cobra.Command {
	var options logOptions
	command := &cobra.Command{
		Use:   "logs NAME [COMPONENT]",
		Short: "Print the log of a component of a cluster's control plane",
		Long: `Print the log of a component of a cluster's control plane, such as kube-apiserver-a. The zone may be
left out where there is one such component only. Logs are read from the local fleet's directory, so this works on its machine,
and not for clusters in cells that are Kubernetes clusters: there, 'kubectl logs' in the namespace myriad-<id> shows them.`,
		Example: "  myriad cluster logs hello kube-apiserver -f\n  myriad cluster logs hello etcd-a --tail -1",
		Args:    arguments(1, 2),
		ValidArgsFunction: func(command *cobra.Command, given []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(given) != 1 {
				return s.completeWords(false, s.clusterNames)(command, given, typed)
			}
			components := func(ctx context.Context, hub client.Client) ([]string, error) {
				return s.componentsOf(ctx, hub, given[0])
			}
			return s.ask(command.Context(), components), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(command *cobra.Command, given []string) error {
			if options.tail < -1 {
				return fail(exitUsage, "--tail %d is negative; use a number of lines, or -1 for all", options.tail)
			}
			return s.printLogs(command.Context(), given[0], strings.Join(given[1:], ""), options)
		},
	}
	flags := command.Flags()
	flags.BoolVarP(&options.follow, "follow", "f", false, "go on printing what is added, until Ctrl-C")
	flags.IntVar(&options.tail, "tail", defaultTail, "how many of the last lines to print; -1 for all")
	flags.BoolVar(&options.audit, "audit", false, "print the audit log of a kube-apiserver instead")
	return command
}

// logOptions say what to print of a component's log.
type logOptions struct {
	tail   int // lines; -1 for all
	follow bool
	audit  bool
}

// path of the log below a component's directory.
func (o logOptions) path() string {
	if o.audit {
		return filepath.Join("data", "audit", "audit.log")
	}
	return filepath.Join("log", "current.log")
}

func (s *session) printLogs(ctx context.Context, name, component string, options logOptions) error {
	hub, err := s.hub()
	if err != nil {
		return err
	}
	cluster, err := s.findCluster(ctx, hub, name)
	if err != nil {
		return err
	}
	directory, err := s.guestDirectory(cluster)
	if err != nil {
		return err
	}
	components, err := componentsIn(directory, options.path())
	if err != nil {
		return fmt.Errorf("read logs of cluster %s: %w; run this on the machine of its cell, with its --home", name, err)
	}
	if component, err = chooseComponent(name, component, components); err != nil {
		return err
	}
	if err := s.printLog(ctx, filepath.Join(directory, component, options.path()), options.tail, options.follow); err != nil {
		return fmt.Errorf("log of %s of cluster %s: %w", component, name, err)
	}
	return nil
}

// guestDirectory is where the process runtime of a cluster's cell keeps the components of the guest.
func (s *session) guestDirectory(cluster *v1alpha1.Cluster) (string, error) {
	if cluster.Status.Cell == "" || cluster.Status.ID == "" {
		return "", fail(exitNotReady, "cluster %s has no cell yet, so it has no logs; look with 'myriad cluster describe %s'", cluster.Name, cluster.Name)
	}
	home, err := local.OpenHome(s.home)
	if err != nil {
		return "", err
	}
	return filepath.Join(home.RuntimeDir(cluster.Status.Cell), "guests", cluster.Status.ID), nil
}

func (s *session) componentsOf(ctx context.Context, hub client.Client, name string) ([]string, error) {
	cluster, err := s.findCluster(ctx, hub, name)
	if err != nil {
		return nil, err
	}
	directory, err := s.guestDirectory(cluster)
	if err != nil {
		return nil, err
	}
	return componentsIn(directory, logOptions{}.path())
}

// componentsIn lists the components of a guest that have such a log.
func componentsIn(directory, log string) ([]string, error) {
	entries, err := os.ReadDir(directory)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s does not exist", directory)
	}
	if err != nil {
		return nil, err
	}
	var components []string
	for _, entry := range entries {
		if _, err := os.Stat(filepath.Join(directory, entry.Name(), log)); err == nil {
			components = append(components, entry.Name())
		}
	}
	return components, nil
}

// chooseComponent finds the one component that was meant: by its name, or by its kind where it is
// the only one of it.
func chooseComponent(cluster, wanted string, components []string) (string, error) {
	list := strings.Join(components, ", ")
	var matching []string
	for _, component := range components {
		if component == wanted {
			return component, nil
		}
		if wanted == "" || strings.HasPrefix(component, wanted+"-") {
			matching = append(matching, component)
		}
	}
	switch {
	case len(components) == 0:
		return "", fail(exitNotReady, "cluster %s has no logs yet; look with 'myriad cluster describe %s'", cluster, cluster)
	case len(matching) == 1:
		return matching[0], nil
	case wanted == "":
		return "", fail(exitUsage, "cluster %s has several components; name one: %s", cluster, list)
	case len(matching) > 1:
		return "", fail(exitUsage, "cluster %s has several %s; name one: %s", cluster, wanted, strings.Join(matching, ", "))
	}
	return "", fail(exitNotFound, "%s of cluster %s", suggest.NotFound("component", wanted, components), cluster)
}
