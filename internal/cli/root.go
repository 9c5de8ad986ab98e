package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/myriad-fleet/myriad/internal/suggest"
)

// defaultTimeout for everything that is waited for: a control plane is ready in seconds on an idle
// machine and in two minutes when twenty start at once on two cores.
const defaultTimeout = 5 * time.Minute

// commands are the subcommands of myriad.
var commands = []func(*session) *cobra.Command{
	newUp,
	newDown,
	newStatus,
	newCluster,
	newKubectl,
	newCell,
	newZone,
	newGears,
	newPlan,
	newNetwork,
	newResidency,
	newVersion,
	newHub,
	newAgent,
	newGateway,
	newSupervisor,
	newDocs,
}

// Main runs the command line and returns its exit code. Canceling ctx interrupts it.
func Main(ctx context.Context, arguments []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return newSession(streams{in: stdin, out: stdout, err: stderr}).main(ctx, arguments)
}

func (s *session) main(ctx context.Context, arguments []string) int {
	root := newRoot(s)
	root.SetArgs(arguments)
	err := root.ExecuteContext(ctx)
	code := codeOf(err)
	switch {
	case code == exitInterrupted:
		s.notef("interrupted")
	case err != nil && !errors.Is(err, errTold):
		s.notef("error: %v", err)
	}
	return code
}

// newRoot makes the myriad command over a session.
func newRoot(s *session) *cobra.Command {
	root := group(&cobra.Command{
		Use:               "myriad",
		Short:             "Run a fleet of Kubernetes clusters",
		Long:              "Myriad runs thousands of Kubernetes clusters as one fleet.\n\n'myriad up' starts a fleet on this machine, 'myriad cluster create' adds a cluster to it.",
		SilenceUsage:      true,
		SilenceErrors:     true,
		PersistentPreRunE: func(*cobra.Command, []string) error { return s.complete() },
	})
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.SetFlagErrorFunc(func(command *cobra.Command, err error) error {
		return fail(exitUsage, "%w; see '%s --help'", err, command.CommandPath())
	})
	flags := root.PersistentFlags()
	flags.StringVar(&s.home, "home", "", "directory of the local fleet (default $MYRIAD_HOME or ~/.myriad)")
	flags.StringVar(&s.kubeconfig, "kubeconfig", "", "kubeconfig of the hub (default <home>/kubeconfig)")
	flags.StringVarP(&s.namespace, "namespace", "n", "default", "namespace of the clusters in the hub")
	flags.StringVarP(&s.output, "output", "o", outputTable, "how to print: "+strings.Join(outputs, ", "))
	flags.DurationVar(&s.timeout, "timeout", defaultTimeout, "how long to wait for what is waited for")
	must(root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(outputs, cobra.ShellCompDirectiveNoFileComp)))
	for _, construct := range commands {
		root.AddCommand(construct(s))
	}
	return root
}

// complete fills in the global flags that were left out and checks the others.
func (s *session) complete() error {
	if !slices.Contains(outputs, s.output) {
		return fail(exitUsage, "--output %s is not known; use one of: %s", s.output, strings.Join(outputs, ", "))
	}
	if s.timeout < 0 {
		return fail(exitUsage, "--timeout %s is negative; use a duration such as 5m", s.timeout)
	}
	if s.home == "" {
		s.home = os.Getenv("MYRIAD_HOME")
	}
	if s.home != "" {
		return nil
	}
	directory, err := os.UserHomeDir()
	if err != nil {
		return fmt.Errorf("find the home directory: %w; set MYRIAD_HOME", err)
	}
	s.home = filepath.Join(directory, ".myriad")
	return nil
}

// group makes a command that only holds others: alone it shows its help, and an unknown word is an error.
func group(command *cobra.Command) *cobra.Command {
	command.Args = cobra.ArbitraryArgs
	command.RunE = func(command *cobra.Command, arguments []string) error {
		if len(arguments) == 0 {
			return command.Help()
		}
		var known []string
		for _, sub := range command.Commands() {
			if sub.IsAvailableCommand() {
				known = append(known, sub.Name())
			}
		}
		return fail(exitUsage, "command '%s %s' does not exist%s", command.CommandPath(), arguments[0], suggest.Among(arguments[0], known))
	}
	return command
}

// arguments checks how many words follow a command; most is -1 for any number. The command's usage
// names them.
func arguments(least, most int) cobra.PositionalArgs {
	return func(command *cobra.Command, given []string) error {
		if len(given) < least || (most >= 0 && len(given) > most) {
			return fail(exitUsage, "%s takes other arguments; usage: %s", command.CommandPath(), command.UseLine())
		}
		return nil
	}
}

// must panics on the errors of cobra that only a mistake in this package can cause, such as a
// completion for a flag that does not exist. Every test of the package would see it.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
