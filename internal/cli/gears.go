package cli

import (
	"context"
	"math"
	"strconv"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/gear"
)

func newGears(s *session) *cobra.Command {
	command := group(&cobra.Command{
		Use:     "gears",
		Aliases: []string{"gear"},
		Short:   "See how control planes are sized by their load, and try out other sizes",
	})
	command.AddCommand(
		newGearsLadder(s), newGearsExplain(s), newGearsHistory(s), newGearsBacktest(s), newGearsRecord(s),
		newGearsFreeze(s), newGearsUnfreeze(s),
	)
	return command
}

// findGearbox reads the Gearbox that the fleet's guests are sized by.
func findGearbox(ctx context.Context, hub client.Client) (*v1alpha1.Gearbox, error) {
	box := &v1alpha1.Gearbox{}
	err := hub.Get(ctx, client.ObjectKey{Name: v1alpha1.DefaultGearbox}, box)
	if apierrors.IsNotFound(err) && !isUnknownKind(err) {
		return nil, fail(exitNotFound, "the fleet has no Gearbox %s: no guest is sized by its load; 'myriad up' makes one", v1alpha1.DefaultGearbox)
	}
	return box, explain("read Gearbox "+v1alpha1.DefaultGearbox, err)
}

// gearNames are those of the fleet's ladder.
func gearNames(ctx context.Context, hub client.Client) ([]string, error) {
	box, err := findGearbox(ctx, hub)
	if err != nil {
		return nil, err
	}
	return rungs(box.Spec), nil
}

func rungs(box v1alpha1.GearboxSpec) []string {
	names := make([]string, 0, len(box.Ladder))
	for _, rung := range box.Ladder {
		names = append(names, rung.Name)
	}
	return names
}

// onlyFields refuses --output name for results that are no objects of the hub.
func (s *session) onlyFields() error {
	if s.output == outputName {
		return fail(exitUsage, "--output name says nothing here: the result is no object; use table, json or yaml")
	}
	return nil
}

// resources are an amount as the API writes it.
func resources(amount gear.Amount) v1alpha1.Resources {
	return v1alpha1.Resources{
		CPU:    *resource.NewMilliQuantity(amount.MilliCPU, resource.DecimalSI),
		Memory: *resource.NewQuantity(amount.Memory, resource.BinarySI),
	}
}

// coresText is CPU as Kubernetes writes it: 35m, 1210m, 12.
func coresText(milli int64) string {
	return resource.NewMilliQuantity(milli, resource.DecimalSI).String()
}

// bytesText rounds bytes to what a person reads: 512, 35Ki, 1472Mi, 12.4Gi.
func bytesText(count int64) string {
	const kibi, mebi, gibi = 1 << 10, 1 << 20, 1 << 30
	switch {
	case count >= 10*gibi && count%gibi != 0:
		return strconv.FormatFloat(float64(count)/gibi, 'f', 1, 64) + "Gi"
	case count >= gibi && count%gibi == 0:
		return strconv.FormatInt(count/gibi, 10) + "Gi"
	case count >= mebi:
		return strconv.FormatInt((count+mebi/2)/mebi, 10) + "Mi"
	case count >= kibi:
		return strconv.FormatInt((count+kibi/2)/kibi, 10) + "Ki"
	}
	return strconv.FormatInt(count, 10)
}

// metricText is a metric's value: bytes of a database in their short form, everything else as a number
// with at most two digits behind the point.
func metricText(metric v1alpha1.LoadMetricName, value float64) string {
	if metric == v1alpha1.LoadDatabaseBytes || metric == v1alpha1.LoadDatabaseInUseBytes {
		return bytesText(int64(value))
	}
	return strconv.FormatFloat(math.Round(value*100)/100, 'f', -1, 64)
}

// percentText of a whole; nothing is a share of nothing.
func percentText(part, whole float64) string {
	if whole == 0 {
		return "-"
	}
	return strconv.FormatFloat(math.Round(1000*part/whole)/10, 'f', -1, 64) + " %"
}
