package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// completionTimeout keeps the Tab key from hanging when the hub does not answer.
const completionTimeout = 1500 * time.Millisecond

// completer asks the hub for the words that may stand in one place of a command line.
type completer func(ctx context.Context, hub client.Client) ([]string, error)

func (s *session) clusterNames(ctx context.Context, hub client.Client) ([]string, error) {
	return names(ctx, hub, &v1alpha1.ClusterList{}, client.InNamespace(s.namespace))
}

func cellNames(ctx context.Context, hub client.Client) ([]string, error) {
	return names(ctx, hub, &v1alpha1.CellList{})
}

func regionNames(ctx context.Context, hub client.Client) ([]string, error) {
	return names(ctx, hub, &v1alpha1.RegionList{})
}

func templateNames(ctx context.Context, hub client.Client) ([]string, error) {
	return names(ctx, hub, &v1alpha1.ClusterTemplateList{})
}

func releaseNames(ctx context.Context, hub client.Client) ([]string, error) {
	return names(ctx, hub, &v1alpha1.ReleaseList{})
}

// completeWords completes the words after a command: the first with the first completer and so on;
// the last completer serves all further words when repeat is true. Errors complete to nothing.
func (s *session) completeWords(repeat bool, completers ...completer) cobra.CompletionFunc {
	return func(command *cobra.Command, given []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		place := len(given)
		if repeat {
			place = min(place, len(completers)-1)
		}
		if place >= len(completers) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return s.ask(command.Context(), completers[place]), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeFlag completes the value of a flag.
func (s *session) completeFlag(command *cobra.Command, flag string, complete completer) {
	must(command.RegisterFlagCompletionFunc(flag, s.completeWords(true, complete)))
}

func (s *session) ask(ctx context.Context, complete completer) []string {
	if err := s.complete(); err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	hub, err := s.hub()
	if err != nil {
		return nil
	}
	words, err := complete(ctx, hub)
	if err != nil {
		return nil
	}
	return words
}
