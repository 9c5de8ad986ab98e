package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/capacity"
	"github.com/myriad-fleet/myriad/internal/suggest"
)

func newPlan(s *session) *cobra.Command {
	command := group(&cobra.Command{
		Use:   "plan",
		Short: "See how much room is left and until when, and plan cells and fleets",
	})
	command.AddCommand(newPlanCapacity(s), newPlanFleet(s), newPlanWhatIf(s), newPlanRebalance(s))
	return command
}

// readFleet reads what the planner plans with. Only operators may: tenants do not see each other's guests.
func (s *session) readFleet(ctx context.Context) (capacity.Fleet, error) {
	hub, err := s.hub()
	if err != nil {
		return capacity.Fleet{}, err
	}
	var (
		regions   v1alpha1.RegionList
		cells     v1alpha1.CellList
		planes    v1alpha1.ControlPlaneList
		clusters  v1alpha1.ClusterList
		templates v1alpha1.ClusterTemplateList
	)
	for _, list := range []client.ObjectList{&regions, &cells, &planes, &clusters, &templates} {
		if err := hub.List(ctx, list); err != nil {
			return capacity.Fleet{}, explainPlan(err)
		}
	}
	box, _ := s.todaysGearbox(ctx)
	return capacity.FleetOf(capacity.Objects{
		Regions: regions.Items, Cells: cells.Items, ControlPlanes: planes.Items, Clusters: clusters.Items, Templates: templates.Items,
		Gears: box.Ladder,
	}), nil
}

func explainPlan(err error) error {
	if apierrors.IsForbidden(err) {
		return fail(exitFailure, "plan: only operators may plan, for it takes all cells and all tenants' guests: %w; point --kubeconfig at an operator's credentials", err)
	}
	return explain("read the fleet to plan", err)
}

// mustHaveRegion refuses a region that has no cells.
func mustHaveRegion(fleet capacity.Fleet, region string) error {
	for _, name := range fleet.Regions() {
		if region == name || region == "" {
			return nil
		}
	}
	if region == "" {
		return fail(exitNotFound, "the fleet has no cell; run 'myriad up', or have a Kubernetes cluster join: myriad up --cell NAME=KUBECONFIG")
	}
	return fail(exitNotFound, "%s", suggest.NotFound("region with cells:", region, fleet.Regions()))
}

// htmlFlag adds --html.
func htmlFlag(command *cobra.Command, file *string) {
	command.Flags().StringVar(file, "html", "", "also write a report with charts to this file: one HTML file that needs nothing else")
	must(command.MarkFlagFilename("html", "html"))
}

// writeHTML writes a report, whole or not at all.
func (s *session) writeHTML(file string, write func(*renameio.PendingFile) error) error {
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		return fail(exitUsage, "--html %s is a directory: name a file in it, for example %s/plan.html", file, file)
	}
	pending, err := renameio.NewPendingFile(file, renameio.WithPermissions(0o644))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fail(exitUsage, "--html: the directory of %s does not exist; make it, or name another file", file)
		}
		return fail(exitFailure, "--html: %w", err)
	}
	defer func() { _ = pending.Cleanup() }()
	if err := write(pending); err != nil {
		return err
	}
	if err := pending.CloseAtomicallyReplace(); err != nil {
		return fail(exitFailure, "--html: %w", err)
	}
	s.notef("the report is in %s", file)
	return nil
}

// ladderToPlan is that of the fleet, or else of a new fleet's Gearbox; and which of them it is.
func (s *session) ladderToPlan(ctx context.Context) ([]capacity.Rung, string) {
	box, source := s.todaysGearbox(ctx)
	return capacity.LadderOf(box.Ladder), source
}

// kindText names a guest for people.
func kindText(gearName, availability string) string {
	return fmt.Sprintf("%s %s", availability, gearName)
}
