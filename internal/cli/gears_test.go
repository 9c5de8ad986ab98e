package cli

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

var gearboxFile = filepath.Join("testdata", "gearbox.yaml")

// testGearbox is that of testdata/gearbox.yaml, as it is in the hub.
func testGearbox(t *testing.T) *v1alpha1.Gearbox {
	t.Helper()
	box, err := readGearboxFile(gearboxFile)
	if err != nil {
		t.Fatal(err)
	}
	box.Status.Conditions = []metav1.Condition{condition(v1alpha1.ConditionAccepted, metav1.ConditionTrue, "Accepted", "")}
	return box
}

// geared is a fleet with a Gearbox, whose template has gears, and the cluster hello in gear small.
type geared struct {
	box      *v1alpha1.Gearbox
	template *v1alpha1.ClusterTemplate
	cell     *v1alpha1.Cell
	cluster  *v1alpha1.Cluster
	plane    *v1alpha1.ControlPlane
	others   []client.Object
}

func newGeared(t *testing.T) *geared {
	t.Helper()
	g := &geared{box: testGearbox(t), cluster: hello(), plane: helloPlane()}
	for _, object := range fleet() {
		switch object := object.(type) {
		case *v1alpha1.ClusterTemplate:
			object.Spec.Gears = &v1alpha1.GearBounds{Max: "medium"}
			g.template = object
		case *v1alpha1.Cell:
			if object.Name == "hz-1" {
				g.cell = object
				continue
			}
			g.others = append(g.others, object)
		default:
			g.others = append(g.others, object)
		}
	}
	g.cluster.Status.Gear = &v1alpha1.ClusterGear{
		Size: "small", Tuning: "small", Wanted: "small", Reason: "Steady", Message: "small carries the load",
		Moves: []v1alpha1.GearMove{
			{Time: ago(time.Hour), Kind: v1alpha1.GearMoveTuning, From: "nano", To: "small", Reason: "Tuned", Message: "demand 137m, 405Mi"},
			{Time: ago(61 * time.Minute), Kind: v1alpha1.GearMoveSize, From: "nano", To: "small", Reason: "ShiftedUp", Message: "CPU demand of 137m is more than 80 % of the 100m of nano"},
			{Time: ago(5 * time.Hour), Kind: v1alpha1.GearMoveSize, To: "nano", Reason: "FirstGear", Message: "demand 22m, 310Mi"},
		},
	}
	g.plane.Spec.Size.Gear = "small"
	g.plane.Spec.Tuning = &v1alpha1.ControlPlaneTuning{Gear: "small"}
	g.plane.Status.Load = testLoad(map[v1alpha1.LoadMetricName]string{
		v1alpha1.LoadNodes: "12", v1alpha1.LoadPods: "260", v1alpha1.LoadWatches: "310",
		v1alpha1.LoadWritesPerSecond: "11700m", v1alpha1.LoadDatabaseBytes: "40Mi", v1alpha1.LoadObjects: "4100",
	})
	return g
}

// testLoad was sampled 40 seconds ago.
func testLoad(values map[v1alpha1.LoadMetricName]string) *v1alpha1.Load {
	load := &v1alpha1.Load{SampledAt: ago(40 * time.Second)}
	for _, name := range []v1alpha1.LoadMetricName{
		v1alpha1.LoadNodes, v1alpha1.LoadPods, v1alpha1.LoadObjects, v1alpha1.LoadWatches, v1alpha1.LoadWritesPerSecond, v1alpha1.LoadDatabaseBytes,
	} {
		if value, ok := values[name]; ok {
			load.Metrics = append(load.Metrics, v1alpha1.LoadMetric{Name: name, Value: resource.MustParse(value)})
		}
	}
	return load
}

func (g *geared) objects() []client.Object {
	return append([]client.Object{g.box, g.template, g.cell, g.cluster, g.plane}, g.others...)
}

func TestGearsOutput(t *testing.T) {
	cases := map[string]struct {
		words  string
		change func(*geared)
	}{
		"gears-ladder":       {words: "gears ladder"},
		"gears-ladder-name":  {words: "gears ladder -o name"},
		"gears-history":      {words: "gears history hello"},
		"gears-history-yaml": {words: "gears history hello -o yaml"},
		"gears-explain":      {words: "gears explain hello"},
		"gears-explain-json": {words: "gears explain hello -o json"},
		"gears-explain-up": {words: "gears explain hello", change: func(g *geared) {
			g.plane.Spec.Availability = v1alpha1.Zonal
			g.plane.Spec.Tuning.Gear = "nano"
			g.plane.Status.Load = testLoad(map[v1alpha1.LoadMetricName]string{
				v1alpha1.LoadNodes: "130", v1alpha1.LoadPods: "900", v1alpha1.LoadWatches: "1000", v1alpha1.LoadWritesPerSecond: "30", v1alpha1.LoadDatabaseBytes: "300Mi",
			})
			g.cluster.Spec.MaintenanceWindow = &v1alpha1.MaintenanceWindow{Days: []string{"Monday"}, Start: "02:30", DurationMinutes: 90}
			g.cluster.Spec.Gears = &v1alpha1.GearBounds{Min: "small"}
			status := g.cluster.Status.Gear
			status.Wanted, status.Reason, status.Message = "medium", "Waiting", "130 nodes are more than the 120 of small"
			status.Toward, status.TowardSince = "medium", new(ago(18*time.Second))
		}},
		"gears-explain-down": {words: "gears explain hello", change: func(g *geared) {
			g.plane.Status.Load = testLoad(map[v1alpha1.LoadMetricName]string{
				v1alpha1.LoadNodes: "1", v1alpha1.LoadPods: "5", v1alpha1.LoadWatches: "100", v1alpha1.LoadWritesPerSecond: "1200m", v1alpha1.LoadDatabaseBytes: "5Mi",
			})
			status := g.cluster.Status.Gear
			status.Wanted, status.Reason, status.Message = "nano", "Waiting", "it fits nano"
			status.Toward, status.TowardSince = "nano", new(ago(5*time.Minute))
		}},
		"gears-explain-held": {words: "gears explain hello", change: func(g *geared) {
			g.box.Spec.Frozen, g.cell.Spec.GearsFrozen = true, true
			g.cluster.Spec.Gears = &v1alpha1.GearBounds{Pinned: "small"}
			g.plane.Status.Load.Metrics = g.plane.Status.Load.Metrics[:3]
			g.plane.Status.Load.Missing = []v1alpha1.LoadMetricName{v1alpha1.LoadExecutingSeats}
			g.plane.Status.Load.SampledAt = ago(20 * time.Minute)
			g.cluster.Status.Gear.Reason, g.cluster.Status.Gear.Message = "Frozen", "shifts are frozen by Gearbox default"
		}},
		"gears-explain-unsampled": {words: "gears explain hello", change: func(g *geared) { g.plane.Status.Load = nil }},
		"gears-explain-uncomputed": {words: "gears explain hello", change: func(g *geared) {
			g.template.Spec.Gears, g.cluster.Status.Gear, g.plane.Spec.Tuning = nil, nil, nil
			g.plane.Spec.Size.Gear = "fixed"
		}},
		"gears-cluster-describe": {words: "cluster describe hello", change: func(g *geared) { g.plane.Spec.Tuning.Gear = "nano" }},
		"gears-cell-describe": {words: "cell describe hz-1", change: func(g *geared) {
			g.cell.Spec.GearsFrozen = true
			g.cell.Status.Conditions = append(g.cell.Status.Conditions,
				condition(v1alpha1.ConditionGearsFit, metav1.ConditionFalse, "NoRoom", "1 guest wants a larger gear than there is room for: default/hello"))
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			g := newGeared(t)
			if tc.change != nil {
				tc.change(g)
			}
			f := newFixture(t, interceptor.Funcs{}, g.objects()...)
			f.want(exitOK, strings.Fields(tc.words)...)
			f.golden(name)
		})
	}
}

func TestGearsLadderOfAFile(t *testing.T) {
	f := newFixture(t, interceptor.Funcs{})
	f.want(exitOK, "gears", "ladder", "--home", t.TempDir(), "-f", gearboxFile)
	f.golden("gears-ladder-file")
	f.want(exitNoFleet, "gears", "ladder", "--home", t.TempDir())
}

// TestGearsExplainForATenant: what a tenant may not read is named, and the rest is told.
func TestGearsExplainForATenant(t *testing.T) {
	f := newFixture(t, interceptor.Funcs{
		Get: func(ctx context.Context, hub client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			if _, ok := object.(*v1alpha1.Cluster); !ok {
				return apierrors.NewForbidden(schema.GroupResource{Resource: "things"}, key.Name, nil)
			}
			return hub.Get(ctx, key, object, options...)
		},
	}, newGeared(t).objects()...)
	f.want(exitOK, "gears", "explain", "hello")
	f.golden("gears-explain-tenant")
}

func TestGearsErrors(t *testing.T) {
	cases := map[string]struct {
		reason string
		words  string
		code   int
		want   string
	}{
		"ExplainTypo": {
			reason: "the name that was meant is offered", words: "gears explain helo", code: exitNotFound,
			want: "there is no cluster helo in namespace default; did you mean hello? (existing: hello)",
		},
		"HistoryTypo": {
			reason: "the name that was meant is offered", words: "gears history helo", code: exitNotFound,
			want: "there is no cluster helo in namespace default; did you mean hello? (existing: hello)",
		},
		"FreezeTypo": {
			reason: "the name that was meant is offered", words: "gears freeze hz1", code: exitNotFound,
			want: "there is no cell hz1; did you mean hz-1? (existing: fra-1, hz-1)",
		},
		"Subcommand": {
			reason: "a mistyped command is not help with exit code 0", words: "gears lader", code: exitUsage,
			want: "command 'myriad gears lader' does not exist; did you mean ladder? (existing: backtest, explain, freeze, history, ladder, record, unfreeze)",
		},
		"NameOfNothing": {
			reason: "an explanation is no object", words: "gears explain hello -o name", code: exitUsage,
			want: "--output name says nothing here: the result is no object; use table, json or yaml",
		},
		"Gear": {
			reason: "refused before anything is written", words: "cluster create a --region cn-hangzhou --gear smal", code: exitNotFound,
			want: "there is no gear smal; did you mean small? (existing: medium, nano, small)",
		},
		"GearAndBounds": {
			reason: "a pinned gear has no bounds", words: "cluster create a --region cn-hangzhou --gear small --max-gear medium", code: exitUsage,
			want: "--gear pins the gear, --min-gear and --max-gear let it move; use one or the other",
		},
		"GearOutside": {
			reason: "the template's bounds hold", words: "cluster create a --region cn-hangzhou --template little --max-gear medium", code: exitUsage,
			want: "gears of the cluster: the Cluster's spec.gears asks for max medium, and its template allows nano to small: write one of nano, small",
		},
		"GearOfNothing": {
			reason: "a template without gears sizes nothing", words: "cluster create a --region cn-hangzhou --template fixed --gear small", code: exitUsage,
			want: "template fixed sizes no cluster by its load (it has no spec.gears); leave --gear, --min-gear and --max-gear out, or use another template",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			g := newGeared(t)
			little, fixed := g.template.DeepCopy(), g.template.DeepCopy()
			little.Name, little.Spec.Gears.Max = "little", "small"
			fixed.Name, fixed.Spec.Gears = "fixed", nil
			f := newFixture(t, interceptor.Funcs{}, append(g.objects(), little, fixed)...)
			if got := f.run(strings.Fields(tc.words)...); got != tc.code {
				t.Errorf("%s: exit code %d, want %d", tc.reason, got, tc.code)
			}
			f.wantError(tc.want)
		})
	}
}

func TestClusterCreateWithGears(t *testing.T) {
	cases := map[string]struct {
		reason string
		words  string
		want   *v1alpha1.GearBounds
	}{
		"Pinned":   {"--gear pins", "--gear small", &v1alpha1.GearBounds{Pinned: "small"}},
		"Bounds":   {"both bounds have their field", "--min-gear nano --max-gear small", &v1alpha1.GearBounds{Min: "nano", Max: "small"}},
		"Template": {"what is left out is left to the template", "", nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, interceptor.Funcs{}, newGeared(t).objects()...)
			f.want(exitOK, append([]string{"cluster", "create", "a", "--region", "cn-hangzhou"}, strings.Fields(tc.words)...)...)
			var cluster v1alpha1.Cluster
			if err := f.hub.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "a"}, &cluster); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, cluster.Spec.Gears); diff != "" {
				t.Errorf("%s: -want +got\n%s", tc.reason, diff)
			}
		})
	}
	f := newFixture(t, interceptor.Funcs{}, newGeared(t).objects()...)
	f.want(exitOK, "__complete", "cluster", "create", "a", "--gear", "")
	if want := "nano\nsmall\nmedium\n"; !strings.HasPrefix(f.out.String(), want) {
		t.Errorf("completed to %q, want the ladder", f.out.String())
	}
}

func TestGearsFreeze(t *testing.T) {
	f := newFixture(t, interceptor.Funcs{}, newGeared(t).objects()...)
	frozen := func() (fleet, cell bool) {
		var box v1alpha1.Gearbox
		if err := f.hub.Get(t.Context(), client.ObjectKey{Name: v1alpha1.DefaultGearbox}, &box); err != nil {
			t.Fatal(err)
		}
		return box.Spec.Frozen, f.cell("hz-1").Spec.GearsFrozen
	}
	for _, step := range []struct {
		words       string
		fleet, cell bool
		said, noted string
	}{
		{"gears freeze", true, false, "gears of the fleet are frozen; undo it: myriad gears unfreeze\n", ""},
		{"gears freeze hz-1", true, true, "gears in cell hz-1 are frozen\n", ""},
		{"gears unfreeze", false, true, "gears of the fleet follow the load\n", "cell hz-1 stays frozen; 'myriad gears unfreeze hz-1' ends it\n"},
		{"gears unfreeze hz-1", false, false, "gears in cell hz-1 follow the load\n", ""},
	} {
		f.want(exitOK, strings.Fields(step.words)...)
		fleet, cell := frozen()
		if fleet != step.fleet || cell != step.cell || f.out.String() != step.said || f.err.String() != step.noted {
			t.Errorf("%s: fleet frozen %t, cell frozen %t, said %q, noted %q", step.words, fleet, cell, f.out.String(), f.err.String())
		}
	}
}

func TestGearsHistoryOfNothing(t *testing.T) {
	g := newGeared(t)
	g.cluster.Status.Gear.Moves = nil
	f := newFixture(t, interceptor.Funcs{}, g.objects()...)
	f.want(exitOK, "gears", "history", "hello")
	if want := "cluster hello has not moved: it has been in gear small from the start\n"; f.err.String() != want {
		t.Errorf("said %q, want %q", f.err.String(), want)
	}
	f.want(exitOK, "gears", "history", "hello", "-o", "json")
	var moves []v1alpha1.GearMove
	if err := json.Unmarshal(f.out.Bytes(), &moves); err != nil || moves == nil {
		t.Errorf("no moves are an empty list: %q, %v", f.out.String(), err)
	}
}
