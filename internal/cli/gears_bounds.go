package cli

import (
	"context"
	"slices"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/gear"
	"github.com/myriad-fleet/myriad/internal/suggest"
)

// gearFlags adds the flags that bound a cluster's gears.
func (s *session) gearFlags(command *cobra.Command, bounds *v1alpha1.GearBounds) {
	flags := command.Flags()
	flags.StringVar(&bounds.Pinned, "gear", "", "gear to pin it to, whatever its load (default: its gear follows its load)")
	flags.StringVar(&bounds.Min, "min-gear", "", "smallest gear that it may have (default: the template's)")
	flags.StringVar(&bounds.Max, "max-gear", "", "largest gear that it may have (default: the template's)")
	for _, flag := range []string{"gear", "min-gear", "max-gear"} {
		s.completeFlag(command, flag, gearNames)
	}
}

// checkBounds of a new cluster: the API knows no ladder, so that the cluster would be made and then not
// be sized. Tenants may not read the Gearbox; for them the hub tells it in the cluster's status.
func checkBounds(ctx context.Context, hub client.Client, asked v1alpha1.GearBounds, template *v1alpha1.ClusterTemplate) (*v1alpha1.GearBounds, error) {
	switch {
	case asked == (v1alpha1.GearBounds{}):
		return nil, nil
	case asked.Pinned != "" && (asked.Min != "" || asked.Max != ""):
		return nil, fail(exitUsage, "--gear pins the gear, --min-gear and --max-gear let it move; use one or the other")
	case template.Spec.Gears == nil:
		return nil, fail(exitUsage, "template %s sizes no cluster by its load (it has no spec.gears); leave --gear, --min-gear and --max-gear out, or use another template", template.Name)
	}
	box, err := findGearbox(ctx, hub)
	if apierrors.IsForbidden(err) {
		return &asked, nil
	}
	if err != nil {
		return nil, err
	}
	known := rungs(box.Spec)
	for _, name := range []string{asked.Pinned, asked.Min, asked.Max} {
		if name != "" && !slices.Contains(known, name) {
			return nil, fail(exitNotFound, "%s", suggest.NotFound("gear", name, known))
		}
	}
	if _, problem := gear.Merge(box.Spec, &asked, template.Spec.Gears); problem != "" {
		return nil, fail(exitUsage, "gears of the cluster: %s", problem)
	}
	return &asked, nil
}
