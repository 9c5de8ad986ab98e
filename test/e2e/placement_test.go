package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/ledger"
	"github.com/myriad-fleet/myriad/internal/placement"
)

// setCell changes a cell as an operator does, until the test ends.
func (s *suite) setCell(t *testing.T, name string, change func(*v1alpha1.CellSpec)) {
	t.Helper()
	edit := func(change func(*v1alpha1.CellSpec)) (before v1alpha1.CellSpec) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), commandLimit)
		defer cancel()
		var cell v1alpha1.Cell
		if err := s.hub.Get(ctx, client.ObjectKey{Name: name}, &cell); err != nil {
			t.Fatal(err)
		}
		was := cell.DeepCopy()
		change(&cell.Spec)
		if err := s.hub.Patch(ctx, &cell, client.MergeFrom(was)); err != nil {
			t.Fatal(err)
		}
		return was.Spec
	}
	before := edit(change)
	t.Cleanup(func() { edit(func(spec *v1alpha1.CellSpec) { *spec = before }) })
}

// guestsOf a cell, by the Ledger that placement goes by.
func (s *suite) guestsOf(t *testing.T, cell string) int32 {
	t.Helper()
	volume, err := ledger.Fetch(t.Context(), s.hub, v1alpha1.CellLedger(cell))
	if err != nil {
		t.Fatal(err)
	}
	return int32(len(volume.Bookings()))
}

// TestPlacement: clusters land by residency, kind, room and spread; describe explains every cell that was rejected;
// those past the room wait, say why, and are placed in order when a cell joins.
func TestPlacement(t *testing.T) {
	s := sharedFleet(t)
	lawful := s.create(t, "lawful", "--area", "eu", "--certification", "gdpr")
	if lawful.cell != "fra-1" {
		t.Errorf("a cluster for eu lies in cell %s", lawful.cell)
	}
	s.says(t, []string{"gdpr", "eu-frankfurt"}, "residency", "report")
	s.refuses(t, exitBadInput, []string{"eu"}, "cluster", "create", "torn", "--region", "cn-hangzhou", "--area", "eu")

	s.setCell(t, "hz-1", func(c *v1alpha1.CellSpec) { c.Kinds = []string{"AI"} })
	planned := s.create(t, "planned", "--region", "cn-hangzhou", "--vpc", "shared", "--nodes", "8")
	if planned.cell != "hz-2" {
		t.Errorf("a cluster that hz-1 does not accept lies in cell %s", planned.cell)
	}
	s.says(t, []string{"hz-1", placement.ReasonKindNotAccepted, "density"}, "cluster", "describe", "planned")
	s.says(t, []string{"shared", "8 nodes"}, "network", "explain", "planned")
	s.burst(t)
	s.spread(t)
	s.violated(t, lawful)
}

// spread has a region part a tenant's guests over its cells, however full those are.
func (s *suite) spread(t *testing.T) {
	t.Helper()
	var region v1alpha1.Region
	if err := s.hub.Get(t.Context(), client.ObjectKey{Name: "cn-hangzhou"}, &region); err != nil {
		t.Fatal(err)
	}
	was := region.Spec.Placement.DeepCopy()
	set := func(ctx context.Context, weights *v1alpha1.PlacementWeights) {
		before := region.DeepCopy()
		region.Spec.Placement = was.DeepCopy()
		region.Spec.Placement.Weights = weights
		if err := s.hub.Patch(ctx, &region, client.MergeFrom(before)); err != nil {
			t.Fatal(err)
		}
	}
	set(t.Context(), &v1alpha1.PlacementWeights{Density: new(int32), Fit: new(int32), Spread: new(int32(100))})
	t.Cleanup(func() { set(context.WithoutCancel(t.Context()), nil) })
	if err := s.hub.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "parting"}}); err != nil {
		t.Fatal(err)
	}
	var cells []string
	for _, name := range []string{"left", "right"} {
		cells = append(cells, s.createIn(t, "parting", name, "--region", "cn-hangzhou").cell)
	}
	if slices.Sort(cells); !slices.Equal(cells, []string{"hz-1", "hz-2"}) {
		t.Errorf("two guests of one tenant lie in %v", cells)
	}
}

// exitBadInput and exitViolated are exit codes of docs/cli.md.
const exitBadInput, exitViolated = 2, 7

// says runs a command that must succeed and say all of the words.
func (s *suite) says(t *testing.T, words []string, arguments ...string) {
	t.Helper()
	output := s.run(t, arguments...)
	for _, word := range words {
		if !strings.Contains(output, word) {
			t.Errorf("myriad %s does not say %q:\n%s", strings.Join(arguments, " "), word, output)
		}
	}
}

// burst creates three clusters for a region with room for one, and then lets a second cell in.
func (s *suite) burst(t *testing.T) {
	t.Helper()
	room := s.guestsOf(t, "hz-2") + 1
	s.setCell(t, "hz-2", func(c *v1alpha1.CellSpec) { c.MaxGuests = room })
	names := []string{"wave-1", "wave-2", "wave-3"}
	for _, name := range names {
		s.run(t, "cluster", "create", name, "--region", "cn-hangzhou")
		t.Cleanup(func() { s.deleteCluster(t, "default", name) })
		s.awaitCondition(t, name, v1alpha1.ConditionScheduled, map[bool]metav1.ConditionStatus{true: metav1.ConditionTrue, false: metav1.ConditionFalse}[name == "wave-1"], "")
	}
	for _, name := range names[1:] {
		s.says(t, []string{"hz-1", placement.ReasonKindNotAccepted, "hz-2", placement.ReasonFull, fmt.Sprintf("spec.maxGuests is %d", room)}, "cluster", "describe", name)
	}
	one := s.guestsOf(t, "hz-1") + 1
	s.setCell(t, "hz-1", func(c *v1alpha1.CellSpec) { c.Kinds, c.MaxGuests = nil, one })
	s.awaitCondition(t, "wave-2", v1alpha1.ConditionScheduled, metav1.ConditionTrue, v1alpha1.ReasonBound, "hz-1")
	s.awaitCondition(t, "wave-3", v1alpha1.ConditionScheduled, metav1.ConditionFalse, v1alpha1.ReasonNoRoom, "hz-1: "+placement.ReasonFull)
	for _, cell := range []string{"hz-1", "hz-2"} {
		s.setCell(t, cell, func(c *v1alpha1.CellSpec) { c.MaxGuests = 0 })
	}
	s.run(t, append([]string{"cluster", "wait"}, names...)...)
	if cells := []string{s.guest(t, "default", "wave-1").cell, s.guest(t, "default", "wave-2").cell}; !slices.Equal(cells, []string{"hz-2", "hz-1"}) {
		t.Errorf("the first two of the burst lie in %v", cells)
	}
}

// violated changes the law of a guest: nothing moves, and whoever asks is told.
func (s *suite) violated(t *testing.T, g *guest) {
	t.Helper()
	cluster := s.cluster(t, g.namespace, g.name)
	before := cluster.DeepCopy()
	cluster.Spec.Residency = &v1alpha1.Residency{Areas: []string{"cn"}}
	if err := s.hub.Patch(t.Context(), cluster, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	s.awaitCondition(t, g.name, v1alpha1.ConditionResident, metav1.ConditionFalse, v1alpha1.ReasonResidencyViolated, "fra-1", "cn")
	s.refuses(t, exitViolated, []string{g.name, "fra-1"}, "residency", "report")
}
