package cli

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/client-go/discovery"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// version of this program; the build sets it (-ldflags -X …/internal/cli.version=v0.1.0).
var version string

// versions is what 'myriad version' prints.
type versions struct {
	// Client is the version of this program.
	Client string `json:"client"`
	// Go is the version of Go that built it.
	Go string `json:"go"`
	// Hub is the version of Kubernetes that the hub's API server is.
	Hub string `json:"hub,omitempty"`
	// Agents maps each cell to the version of its agent.
	Agents map[string]string `json:"agents,omitempty"`
}

func newVersion(s *session) *cobra.Command {
	clientOnly := false
	command := &cobra.Command{
		Use:     "version",
		Short:   "Print the versions of this program, of the hub and of the agents",
		Example: "  myriad version\n  myriad version --client -o json",
		Args:    arguments(0, 0),
		RunE: func(command *cobra.Command, _ []string) error {
			found := versions{Client: clientVersion(), Go: runtime.Version()}
			var unreachable error
			if !clientOnly {
				unreachable = s.hubVersions(command.Context(), &found)
			}
			if err := s.showVersions(found); err != nil {
				return err
			}
			return unreachable
		},
	}
	command.Flags().BoolVar(&clientOnly, "client", false, "do not ask the hub")
	return command
}

// clientVersion is what the build set, or else what Go knows of the source.
func clientVersion() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

func (s *session) hubVersions(ctx context.Context, found *versions) error {
	config, err := s.hubConfig()
	if err != nil {
		return err
	}
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("ask the hub for its version: %w", err)
	}
	server, err := client.ServerVersion()
	if err != nil {
		return explain("ask the hub for its version", err)
	}
	found.Hub = server.GitVersion
	hub, err := s.dial(config)
	if err != nil {
		return err
	}
	var cells v1alpha1.CellList
	if err := hub.List(ctx, &cells); err != nil {
		return explain("list cells", err)
	}
	found.Agents = map[string]string{}
	for _, cell := range cells.Items {
		found.Agents[cell.Name] = cell.Status.AgentVersion
	}
	return nil
}

func (s *session) showVersions(found versions) error {
	if s.output == outputJSON || s.output == outputYAML {
		return s.encode(found)
	}
	d := &description{out: s.out}
	d.fields([][2]string{{"Client", found.Client + " (" + found.Go + ")"}})
	if found.Hub != "" {
		d.fields([][2]string{{"Hub", "Kubernetes " + found.Hub}})
	}
	var rows [][]string
	for _, cell := range slices.Sorted(maps.Keys(found.Agents)) {
		rows = append(rows, []string{cell, found.Agents[cell]})
	}
	d.section("Agents", []string{"CELL", "VERSION"}, rows)
	return d.err
}
