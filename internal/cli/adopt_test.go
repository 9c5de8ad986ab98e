package cli

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

func TestAdopt(t *testing.T) {
	cases := map[string]struct {
		reason string
		words  string
		code   int
		want   []string // annotations of the clusters that were made
		err    string
	}{
		"Fleet":  {reason: "all of the fleet", words: "--all", want: []string{"fra-1/o000000003", "hz-1/o000000001", "hz-1/o000000002"}},
		"Cell":   {reason: "all of a cell", words: "hz-1 --all", want: []string{"hz-1/o000000001", "hz-1/o000000002"}},
		"One":    {reason: "one of a cell", words: "hz-1 o000000002", want: []string{"hz-1/o000000002"}},
		"AnyOne": {reason: "ids are unique in the fleet: the cell may be left out", words: "o000000003", want: []string{"fra-1/o000000003"}},
		"Nothing": {
			reason: "adopting everything by accident must not happen", words: "", code: exitUsage,
			err: "say which orphans to adopt: --all, or their ids; 'myriad cell describe CELL' lists them",
		},
		"CellAlone": {
			reason: "a cell alone says not which", words: "hz-1", code: exitUsage,
			err: "say which orphans of the cell to adopt: --all, or their ids (existing: o000000001, o000000002)",
		},
		"Unknown": {
			reason: "an id that no cell reports", words: "hz-1 o000000003", code: exitNotFound,
			err: "there is no orphan o000000003; did you mean o000000001? (existing: o000000001, o000000002)",
		},
		"UnknownCell": {
			reason: "a mistyped cell", words: "hz-7 --all", code: exitNotFound,
			err: "there is no cell hz-7; did you mean hz-1? (existing: fra-1, hz-1)",
		},
		"Both": {
			reason: "--all and an id contradict each other", words: "hz-1 o000000001 --all", code: exitUsage,
			err: "say which orphans to adopt: --all, or their ids; 'myriad cell describe CELL' lists them",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := orphanage(t)
			f.want(tc.code, append([]string{"cell", "adopt"}, strings.Fields(tc.words)...)...)
			if diff := cmp.Diff(tc.want, f.adopted()); diff != "" {
				t.Errorf("%s: -want +got\n%s", tc.reason, diff)
			}
			if tc.err != "" {
				f.wantError(tc.err)
			}
		})
	}
}

// orphanage is a fleet with three orphans whose hub binds whatever is adopted.
func orphanage(t *testing.T, more ...client.Object) *fixture {
	t.Helper()
	objects := fleet()
	objects[2].(*v1alpha1.Cell).Status.Orphans = []v1alpha1.Orphan{orphan("o000000001", "team-a", "one"), orphan("o000000002", "team-b", "two")}
	objects[3].(*v1alpha1.Cell).Status.Orphans = []v1alpha1.Orphan{orphan("o000000003", "team-a", "three")}
	f := newFixture(t, interceptor.Funcs{}, append(objects, more...)...)
	f.clock.onWait = func(int) {
		var list v1alpha1.ClusterList
		if err := f.hub.List(t.Context(), &list); err != nil {
			t.Fatal(err)
		}
		for _, cluster := range list.Items {
			cluster.Status.Conditions = []metav1.Condition{condition(v1alpha1.ConditionScheduled, metav1.ConditionTrue, v1alpha1.ReasonBound, "")}
			if err := f.hub.Status().Update(t.Context(), &cluster); err != nil {
				t.Fatal(err)
			}
		}
	}
	return f
}

// adopted lists what the clusters of the hub take over.
func (f *fixture) adopted() []string {
	f.t.Helper()
	var list v1alpha1.ClusterList
	if err := f.hub.List(f.t.Context(), &list); err != nil {
		f.t.Fatal(err)
	}
	found := map[string]bool{}
	var claims []string
	for _, cluster := range list.Items {
		if claim := cluster.Annotations[v1alpha1.AnnotationAdopt]; claim != "" && !found[claim] {
			found[claim] = true
			claims = append(claims, claim)
		}
	}
	slices.Sort(claims)
	return claims
}

func TestAdoptTwice(t *testing.T) {
	f := orphanage(t)
	f.want(exitOK, "cell", "adopt", "o000000001")
	f.want(exitOK, "cell", "adopt", "o000000001")
	if want := "adopted hz-1/o000000001 as cluster one in namespace team-a\n"; f.out.String() != want {
		t.Errorf("asking twice is no error: said %q, want %q", f.out.String(), want)
	}
}

func TestAdoptTakenName(t *testing.T) {
	f := orphanage(t, &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "one"}})
	f.want(exitConflict, "cell", "adopt", "o000000001")
	f.wantError("adopt hz-1/o000000001 as cluster one in namespace team-a: another cluster of that name exists; " +
		"delete it first ('myriad cluster delete -n team-a one'), the orphan keeps running meanwhile")
}

func TestAdoptNothing(t *testing.T) {
	f := newFixture(t, interceptor.Funcs{}, fleet()...)
	f.want(exitOK, "cell", "adopt", "--all")
	if want := "no orphans: every guest that runs has its order\n"; f.err.String() != want {
		t.Errorf("said %q, want %q", f.err.String(), want)
	}
}
