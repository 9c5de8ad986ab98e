package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strconv"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"
	yamlnode "go.yaml.in/yaml/v3"
	strictjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/myriad-fleet/myriad/internal/capacity"
	"github.com/myriad-fleet/myriad/internal/capacity/report"
	"github.com/myriad-fleet/myriad/internal/suggest"
)

// fleetOrder is what 'plan fleet' is asked for.
type fleetOrder struct {
	file, html string
	seed       uint64
}

func newPlanFleet(s *session) *cobra.Command {
	var order fleetOrder
	command := &cobra.Command{
		Use:   "fleet -f FILE",
		Short: "Plan the cells, nodes, addresses and cost of a fleet that is to be",
		Long: `Plan a fleet that a file describes: its regions, how many guests of which gears they have and how they grow, what a node is, and how
large a cell may be. The guests are placed one after the other, by the function that the hub places them by, into the fewest
cells that hold them all: one fewer does not, and the plan says how far it comes. Then the fewest nodes are found.
No fleet is needed; where there is one its ladder of gears is used, otherwise that of a new fleet.
docs/examples/fleet.yaml is a file to start from.`,
		Example: "  myriad plan fleet -f fleet.yaml\n  myriad plan fleet -f fleet.yaml --html plan.html\n  myriad plan fleet -f fleet.yaml -o json",
		Args:    arguments(0, 0),
		RunE: func(command *cobra.Command, _ []string) error {
			return s.planFleet(command.Context(), order)
		},
	}
	fileFlag(command, &order.file, "the fleet that is to be (YAML or JSON; required)")
	command.Flags().Uint64Var(&order.seed, "seed", 1, "seed of the order in which guests come: the same seed gives the same plan")
	htmlFlag(command, &order.html)
	return command
}

func (s *session) planFleet(ctx context.Context, order fleetOrder) error {
	if err := s.onlyFields(); err != nil {
		return err
	}
	ladder, source := s.ladderToPlan(ctx)
	target, err := readTarget(order.file, ladder)
	if err != nil {
		return err
	}
	plan, err := capacity.PlanFleet(target, ladder, order.seed)
	if err != nil {
		return fail(exitUsage, "plan %s: %w", order.file, err)
	}
	if order.html != "" {
		at := s.clock.Now()
		if err := s.writeHTML(order.html, func(file *renameio.PendingFile) error { return report.Plan(file, plan, at) }); err != nil {
			return err
		}
	}
	if s.output != outputTable {
		return s.encode(plan)
	}
	return s.showPlan(plan, source)
}

// readTarget reads a fleet that is to be and checks it. The error lists all problems.
func readTarget(file string, ladder []capacity.Rung) (capacity.Target, error) {
	var target capacity.Target
	if file == "" {
		return target, fail(exitUsage, "-f is missing: name the file of the fleet that is to be; docs/examples/fleet.yaml is one to start from")
	}
	data, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return target, fail(exitNotFound, "read the fleet to plan: there is no file %s; docs/examples/fleet.yaml is one to start from", file)
	}
	if err != nil {
		return target, fail(exitUsage, "read the fleet to plan: %w", err)
	}
	if err := decodeTarget(data, &target); err != nil {
		return target, fail(exitUsage, "read the fleet to plan: %s: %w", file, err)
	}
	if problems := target.Problems(ladder); len(problems) > 0 {
		return target, fail(exitUsage, "fleet %s cannot be planned:%s", file, lines(problems))
	}
	return target, nil
}

func decodeTarget(data []byte, target *capacity.Target) error {
	converted, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		return errors.New(strings.ReplaceAll(strings.TrimPrefix(err.Error(), "error converting YAML to JSON: "), "\n", ""))
	}
	var document yamlnode.Node
	decoder := yamlnode.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) || string(converted) == "null" {
		return errors.New("it is empty; write at least node, cell, mix and regions")
	} else if err != nil {
		return err
	}
	if err := decoder.Decode(&yamlnode.Node{}); !errors.Is(err, io.EOF) {
		return errors.New("it holds more than one document; write one fleet")
	}
	misplaced, err := strictjson.UnmarshalStrict(converted, target)
	if err != nil {
		return wrongType(err)
	}
	var problems []string
	for _, problem := range misplaced {
		problems = append(problems, unknownField(&document, problem))
	}
	if len(problems) > 0 {
		return errors.New(strings.TrimPrefix(lines(problems), " "))
	}
	return nil
}

// wrongType says in the file's words what a value should be.
func wrongType(err error) error {
	wrong, ok := errors.AsType[*json.UnmarshalTypeError](err)
	if !ok {
		return fmt.Errorf("%w; quantities are written as in Kubernetes: 30, 500m, 120Gi", err)
	}
	kinds := map[reflect.Kind]string{reflect.String: "text", reflect.Slice: "a list", reflect.Struct: "fields", reflect.Bool: "true or false"}
	want, found := kinds[wrong.Type.Kind()]
	if !found {
		want = "a number"
	}
	return fmt.Errorf("%s: it is a %s: write %s", dash(wrong.Field), wrong.Value, want)
}

// unknownField says on which line a field is that a target does not have, and which one was meant.
func unknownField(document *yamlnode.Node, problem error) string {
	var field strictjson.FieldError
	if !errors.As(problem, &field) {
		return problem.Error()
	}
	path := pathParts(field.FieldPath())
	text := problem.Error() + suggest.Among(path[len(path)-1], fieldsOf(reflect.TypeFor[capacity.Target](), path[:len(path)-1]))
	if line := lineOf(document, path); line > 0 {
		return fmt.Sprintf("line %d: %s", line, text)
	}
	return text
}

func (s *session) showPlan(plan capacity.FleetPlan, ladder string) error {
	d := &description{out: s.out}
	var rows, addresses, why [][]string
	for _, region := range plan.Regions {
		for _, stage := range region.Stages {
			rows = append(rows, append([]string{region.Region, dayText(stage.Day)}, amountCells(stage.Amounts, plan.Currency,
				fmt.Sprintf("%d × %d zones", stage.NodesPerZone, stage.Zones))...))
			addresses = append(addresses, append([]string{region.Region, dayText(stage.Day)}, addressCells(stage)...))
			why = append(why, []string{region.Region, dayText(stage.Day), stage.Fullest, stage.OneFewer})
		}
	}
	for _, total := range plan.Total {
		rows = append(rows, append([]string{"all", dayText(total.Day)}, amountCells(total, plan.Currency, "")...))
	}
	d.err = table{columns: []string{"REGION", "WHEN", "GUESTS", "CELLS", "NODES PER ZONE", "NODES", "COST/MONTH"}, rows: rows}.write(s.out, "")
	d.section("Addresses (of guests with a VPC, and of one guest; POOL: the smallest of pods in each VPC; CELLS: their own nodes and pods)",
		[]string{"REGION", "WHEN", "NODES", "PODS", "SERVICES", "POOL", "CELLS"}, addresses)
	d.section("Why so many cells", []string{"REGION", "WHEN", "FULLEST", "ONE CELL FEWER"}, why)
	if d.err == nil {
		_, d.err = fmt.Fprintf(s.out, "\nGears: %s. Seed %d.\n", ladder, plan.Seed)
	}
	return d.err
}

func dayText(day int) string {
	if day == 0 {
		return "today"
	}
	return fmt.Sprintf("in %d days", day)
}

func amountCells(a capacity.Amounts, currency, perZone string) []string {
	cost := strings.TrimSpace(fmt.Sprintf("%.0f %s", a.CostPerMonth, currency))
	return []string{strconv.Itoa(a.Guests), strconv.Itoa(a.Cells), perZone, strconv.FormatInt(a.Nodes, 10), cost}
}

func addressCells(stage capacity.Stage) []string {
	with := func(count int64, size string) string {
		if size == "" {
			return "-"
		}
		return fmt.Sprintf("%d (%s)", count, size)
	}
	a := stage.Addresses
	return []string{
		with(a.Nodes, stage.NodeRange), with(a.Pods, stage.PodRange), with(a.Services, stage.ServiceRange), stage.PodPool,
		fmt.Sprintf("%d, %d", a.CellNodes, a.CellPods),
	}
}
