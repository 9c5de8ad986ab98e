package cli

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/gear"
)

func newGearsLadder(s *session) *cobra.Command {
	var file string
	command := &cobra.Command{
		Use:   "ladder [-f FILE]",
		Short: "Show the ladder of gears, what load takes, when guests shift, and where the numbers come from",
		Long: `Show the ladder of gears that the fleet's control planes are sized by (its Gearbox 'default'), what each
metric of a load takes, when guests shift, and where every number comes from. With -f the same of a file, without any fleet:
it is checked as the hub would check it, and all problems are listed.`,
		Example: "  myriad gears ladder\n  myriad gears ladder -o yaml >gearbox.yaml\n  myriad gears ladder -f gearbox.yaml",
		Args:    arguments(0, 0),
		RunE: func(command *cobra.Command, _ []string) error {
			return s.showLadder(command.Context(), file)
		},
	}
	fileFlag(command, &file, "Gearbox to show instead of the fleet's (YAML or JSON)")
	return command
}

// fileFlag adds -f for a Gearbox.
func fileFlag(command *cobra.Command, file *string, usage string) {
	command.Flags().StringVarP(file, "filename", "f", "", usage)
	must(command.MarkFlagFilename("filename", "yaml", "yml", "json"))
}

func (s *session) showLadder(ctx context.Context, file string) error {
	scheme, err := newScheme()
	if err != nil {
		return err
	}
	box, err := s.gearbox(ctx, file)
	if err != nil {
		return err
	}
	return s.show(scheme, []client.Object{box}, true, func() error {
		d := &description{out: s.out}
		name, accepted := box.Name, ""
		if file != "" {
			name, accepted = file, "not asked: it is a file; it passes the checks that the hub makes"
		}
		fields := [][2]string{{"Gearbox", name}, {"Frozen", strconv.FormatBool(box.Spec.Frozen)}}
		if accepted != "" {
			fields = append(fields, [2]string{"Accepted", accepted})
		}
		d.fields(fields)
		d.conditions(s, "Conditions", box.Status.Conditions)
		d.ladder(box.Spec)
		d.factors(box.Spec)
		d.shifting(gear.WithDefaults(box.Spec.Shifting))
		return d.err
	})
}

// gearbox reads that of a file, or the fleet's where no file is named.
func (s *session) gearbox(ctx context.Context, file string) (*v1alpha1.Gearbox, error) {
	if file != "" {
		return readGearboxFile(file)
	}
	hub, err := s.hub()
	if err != nil {
		return nil, err
	}
	return findGearbox(ctx, hub)
}

// ladder shows the gears, their tuning, and where the numbers come from.
func (d *description) ladder(box v1alpha1.GearboxSpec) {
	var sizes, tunings, sources [][]string
	for _, rung := range box.Ladder {
		capacity := gear.Capacity(rung)
		tuning, server := rung.Tuning, rung.Size.APIServer
		sizes = append(sizes, []string{
			rung.Name, "≤ " + strconv.FormatInt(rung.Limits.Nodes, 10), "≤ " + bytesText(rung.Limits.DatabaseBytes.Value()),
			coresText(capacity.MilliCPU), bytesText(capacity.Memory), componentText(server), componentText(rung.Size.Etcd),
		})
		tunings = append(tunings, []string{
			rung.Name, strconv.Itoa(int(tuning.MaxRequestsInFlight)), strconv.Itoa(int(tuning.MaxMutatingRequestsInFlight)),
			memoryLimitText(tuning), strconv.Itoa(int(tuning.ControllerRequestsPerSecond)),
		})
		sources = append(sources, []string{rung.Name, rung.Source})
	}
	d.section("Ladder (CPU and MEMORY: capacity, which is the requests of all components in one zone; API SERVER and ETCD: request/limit)",
		[]string{"GEAR", "NODES", "DATABASE", "CPU", "MEMORY", "API SERVER", "ETCD"}, sizes)
	d.section("Tuning (read at start)",
		[]string{"GEAR", "READS IN FLIGHT", "WRITES IN FLIGHT", "API SERVER GOMEMLIMIT", "CONTROLLER REQUESTS/S"}, tunings)
	d.section("Sources of the ladder", []string{"GEAR", "SOURCE"}, sources)
}

// componentText is a component's request, and behind a slash its limit: 500m/- 2Gi/4Gi.
func componentText(size v1alpha1.ComponentSize) string {
	limit := "-"
	if size.CPULimit != nil {
		limit = size.CPULimit.String()
	}
	memory := "-"
	if size.MemoryLimit != nil {
		memory = size.MemoryLimit.String()
	}
	return fmt.Sprintf("%s/%s %s/%s", size.CPU.String(), limit, size.Memory.String(), memory)
}

func memoryLimitText(tuning v1alpha1.GearTuning) string {
	if tuning.APIServerMemory == nil {
		return ""
	}
	return tuning.APIServerMemory.String()
}

// factors shows what a load takes.
func (d *description) factors(box v1alpha1.GearboxSpec) {
	rows := [][]string{{"(nothing)", box.Base.CPU.String(), box.Base.Memory.String(), "what a control plane takes that carries nothing"}}
	for _, factor := range box.Factors {
		rows = append(rows, []string{string(factor.Metric), factor.CPU.String(), factor.Memory.String(), factor.Source})
	}
	d.section("Each unit of a metric takes, in each zone that carries it", []string{"METRIC", "CPU", "MEMORY", "SOURCE"}, rows)
}

// shifting says in words when guests shift.
func (d *description) shifting(rules v1alpha1.GearShifting) {
	if d.err == nil {
		_, d.err = fmt.Fprintf(d.out, `
Shifting:
  up    when demand is above %d %% of a gear's CPU or memory, or a limit is exceeded, for %s: at once to the gear that holds it
  down  one rung, when demand is at most %d %% of the lower gear's CPU and memory for %s
  most  %d moves of one guest in %s; none on samples older than %s
  back  when a shift is not healthy after %s
  Tuning follows size up after %s more, and down after %s more: it restarts API servers, one zone at a time.
`,
			rules.EnterPercent, seconds(rules.UpDelaySeconds), rules.LeavePercent, seconds(rules.DownDelaySeconds),
			rules.Moves, seconds(&rules.WindowSeconds), seconds(&rules.StaleSeconds), seconds(&rules.HealthSeconds),
			seconds(rules.UpDelaySeconds), seconds(rules.TuningDownDelaySeconds))
	}
}

// seconds as a person says them: 30s, 20m, 1h30m.
func seconds(count *int32) string {
	if count == nil {
		return "-"
	}
	return spanText(time.Duration(*count) * time.Second)
}
