package cli

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// cell reads a cell from the fake hub.
func (f *fixture) cell(name string) *v1alpha1.Cell {
	f.t.Helper()
	var cell v1alpha1.Cell
	if err := f.hub.Get(f.t.Context(), client.ObjectKey{Name: name}, &cell); err != nil {
		f.t.Fatal(err)
	}
	return &cell
}

// orphan is a guest that a cell reports without an order.
func orphan(id, namespace, name string) v1alpha1.Orphan {
	return v1alpha1.Orphan{ID: id, Since: ago(0), Order: v1alpha1.ControlPlaneSpec{
		ID: id, Epoch: 1,
		Cluster: v1alpha1.ClusterReference{Namespace: namespace, Name: name, Spec: v1alpha1.ClusterSpec{Region: "cn-hangzhou", Template: "standard"}},
	}}
}

func TestCellOutput(t *testing.T) {
	objects := append(fleet(), hello(), helloPlane())
	busy := objects[2].(*v1alpha1.Cell)
	busy.Spec.Cordoned = true
	busy.Spec.Drills = []v1alpha1.Drill{{Zone: "b", Mode: v1alpha1.DrillHang}, {Zone: "a", Mode: v1alpha1.DrillKill}}
	busy.Status.Zones = []v1alpha1.ZoneCapacity{{Name: "a", CPU: resource.MustParse("2"), Memory: resource.MustParse("8Gi")}}
	busy.Status.Orphans = []v1alpha1.Orphan{orphan("o000000001", "team-a", "lost")}
	for name, words := range map[string]string{
		"cell-list":     "cell list",
		"cell-describe": "cell describe hz-1",
		"status":        "status",
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, interceptor.Funcs{}, objects...)
			f.want(exitOK, strings.Fields(words)...)
			f.golden(name)
		})
	}
}

func TestCellChanges(t *testing.T) {
	cases := map[string]struct {
		reason string
		words  string
		code   int
		said   string
		check  func(*v1alpha1.CellSpec) bool
	}{
		"Cordon": {
			reason: "a field of the spec, as kubectl would write it", words: "cell cordon hz-1", said: "cell hz-1 is cordoned\n",
			check: func(spec *v1alpha1.CellSpec) bool { return spec.Cordoned },
		},
		"Uncordon": {
			reason: "what is so already is no error", words: "cell uncordon hz-1", said: "cell hz-1 is uncordoned\n",
			check: func(spec *v1alpha1.CellSpec) bool { return !spec.Cordoned },
		},
		"Revoke": {
			reason: "the generation grows", words: "cell revoke hz-1", said: "cell hz-1: certificates before generation 2 are revoked\n",
			check: func(spec *v1alpha1.CellSpec) bool { return spec.CredentialGeneration == 2 },
		},
		"Unknown": {
			reason: "the name that was meant is offered", words: "cell cordon hz1", code: exitNotFound,
			check: func(spec *v1alpha1.CellSpec) bool { return !spec.Cordoned },
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, interceptor.Funcs{}, fleet()...)
			f.want(tc.code, strings.Fields(tc.words)...)
			if !tc.check(&f.cell("hz-1").Spec) {
				t.Errorf("%s: spec is %+v", tc.reason, f.cell("hz-1").Spec)
			}
			if f.out.String() != tc.said {
				t.Errorf("%s: said %q, want %q", tc.reason, f.out.String(), tc.said)
			}
			if tc.code == exitNotFound {
				f.wantError("there is no cell hz1; did you mean hz-1? (existing: fra-1, hz-1)")
			}
		})
	}
}

func TestCellChangeTriesAgain(t *testing.T) {
	conflicts := 2
	f := newFixture(t, interceptor.Funcs{
		Update: func(ctx context.Context, hub client.WithWatch, object client.Object, options ...client.UpdateOption) error {
			if conflicts--; conflicts >= 0 {
				return apierrors.NewConflict(schema.GroupResource{Resource: "cells"}, object.GetName(), nil)
			}
			return hub.Update(ctx, object, options...)
		},
	}, fleet()...)
	f.want(exitOK, "cell", "cordon", "hz-1")
	if !f.cell("hz-1").Spec.Cordoned {
		t.Error("a conflict must be tried again")
	}
}

func TestZoneDrill(t *testing.T) {
	held := []v1alpha1.Drill{{Zone: "b", Mode: v1alpha1.DrillHang}}
	cases := map[string]struct {
		reason string
		words  string
		code   int
		want   []v1alpha1.Drill
		err    string
	}{
		"Kill": {
			reason: "killing is the default; other zones' drills stay", words: "zone fail hz-1 a",
			want: []v1alpha1.Drill{{Zone: "b", Mode: v1alpha1.DrillHang}, {Zone: "a", Mode: v1alpha1.DrillKill}},
		},
		"Change": {
			reason: "a zone has one drill at a time", words: "zone fail hz-1 b --mode kill",
			want: []v1alpha1.Drill{{Zone: "b", Mode: v1alpha1.DrillKill}},
		},
		"Region": {
			reason: "a region means all its cells", words: "zone fail cn-hangzhou c --mode hang",
			want: []v1alpha1.Drill{{Zone: "b", Mode: v1alpha1.DrillHang}, {Zone: "c", Mode: v1alpha1.DrillHang}},
		},
		"Restore": {reason: "the drill ends", words: "zone restore hz-1 b"},
		"RestoreNothing": {
			reason: "nothing to end is no error", words: "zone restore hz-1 a", want: held,
		},
		"Mode": {
			reason: "unknown mode", words: "zone fail hz-1 a --mode maim", code: exitUsage, want: held,
			err: "--mode maim is not known; use kill or hang",
		},
		"Zone": {
			reason: "unknown zone", words: "zone fail hz-1 d", code: exitNotFound, want: held,
			err: "there is no zone d of hz-1 (existing: a, b, c)",
		},
		"Place": {
			reason: "cells and regions are both offered", words: "zone fail hz-9 a", code: exitNotFound, want: held,
			err: "there is no cell or region hz-9; did you mean hz-1? (existing: cn-hangzhou, eu-frankfurt, fra-1, hz-1)",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			objects := fleet()
			objects[2].(*v1alpha1.Cell).Spec.Drills = held
			objects[2].(*v1alpha1.Cell).Status.Drills = held
			f := newFixture(t, interceptor.Funcs{}, objects...)
			f.clock.onWait = func(int) { // the agent carries the drills out
				cell := f.cell("hz-1")
				cell.Status.Drills = cell.Spec.Drills
				if err := f.hub.Status().Update(t.Context(), cell); err != nil {
					t.Fatal(err)
				}
			}
			f.want(tc.code, strings.Fields(tc.words)...)
			if diff := cmp.Diff(tc.want, f.cell("hz-1").Spec.Drills); diff != "" {
				t.Errorf("%s: -want +got\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(f.cell("hz-1").Spec.Drills, f.cell("hz-1").Status.Drills); tc.code == exitOK && diff != "" {
				t.Errorf("%s: returned before the drill was in force\n%s", tc.reason, diff)
			}
			if tc.err != "" {
				f.wantError(tc.err)
			}
		})
	}
}
