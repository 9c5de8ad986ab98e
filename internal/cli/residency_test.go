package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// resident is a fleet in which hello lies in cn as it should, free lies anywhere, a guest of team-b has lost
// its Cluster, and waiting has no cell. Its cell stores snapshots in its own region.
func resident(t *testing.T) []client.Object {
	t.Helper()
	objects := fleet()
	for _, object := range objects {
		switch object := object.(type) {
		case *v1alpha1.Region:
			object.Spec.EscrowRecipient = "age1" + object.Spec.Area
		case *v1alpha1.Cell:
			object.Status.SnapshotRegion = object.Spec.Region
		default:
		}
	}
	cluster, free, waiting := hello(), hello(), unready("waiting", v1alpha1.ReasonNoRoom, "no cell has room")
	cluster.Spec.Residency = &v1alpha1.Residency{Areas: []string{"cn"}}
	free.Name, free.Status.ID = "free", "freefree00"
	waiting.Spec.Residency = &v1alpha1.Residency{Certifications: []string{"gdpr"}}
	lost := residentPlane("lost", "lostlost00")
	lost.Spec.Cluster.Namespace, lost.Spec.Cluster.Spec.Residency = "team-b", &v1alpha1.Residency{Areas: []string{"eu"}}
	return append(objects, cluster, free, waiting, residentPlane("hello", "k3x9q0v7ab"), residentPlane("free", "freefree00"), lost)
}

func residentPlane(name, id string) *v1alpha1.ControlPlane {
	plane := helloPlane()
	plane.Name, plane.Spec.ID, plane.Spec.Region, plane.Spec.EscrowRecipient = id, id, "cn-hangzhou", "age1cn"
	plane.Spec.Cluster.Name = name
	plane.Status.Etcd = &v1alpha1.EtcdStatus{LastSnapshot: &v1alpha1.EtcdSnapshot{Name: "one", Time: metav1.NewTime(epoch)}}
	return plane
}

func TestResidencyOutput(t *testing.T) {
	cases := map[string]struct {
		words string
		code  int
	}{
		"residency-report":      {"residency report", exitOK},
		"residency-report-all":  {"residency report -A", exitViolated},
		"residency-report-json": {"residency report -A -o json", exitViolated},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, interceptor.Funcs{}, resident(t)...)
			f.want(tc.code, strings.Fields(tc.words)...)
			f.golden(name)
			if tc.code == exitViolated {
				f.wantError("1 of 4 clusters have parts that lie against their residency")
			}
		})
	}
}

// TestRegionRemovedWhileInUse: what lies there violates every rule, for nobody knows its area.
func TestRegionRemovedWhileInUse(t *testing.T) {
	f := newFixture(t, interceptor.Funcs{}, resident(t)...)
	if err := f.hub.Delete(t.Context(), &v1alpha1.Region{ObjectMeta: metav1.ObjectMeta{Name: "cn-hangzhou"}}); err != nil {
		t.Fatal(err)
	}
	f.want(exitViolated, "residency", "report", "-o", "json")
	var guests []guestResidency
	if err := json.Unmarshal(f.out.Bytes(), &guests); err != nil {
		t.Fatal(err)
	}
	violations := map[string][]string{}
	for _, guest := range guests {
		for _, part := range guest.Parts {
			if part.Violation != "" {
				violations[guest.Name] = append(violations[guest.Name], string(part.Kind)+": "+part.Violation)
			}
		}
	}
	const unknown = "there is no region cn-hangzhou: nobody knows its area"
	want := map[string][]string{"hello": {
		"control plane: " + unknown, "escrow: no region names the key any more: nobody knows where it is held", "snapshots: " + unknown, "metrics: " + unknown,
	}}
	if diff := cmp.Diff(want, violations); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestResidencyOfNothing(t *testing.T) {
	f := newFixture(t, interceptor.Funcs{}, fleet()...)
	f.want(exitOK, "residency", "report")
	if want := "no clusters to report on (-A reports on all namespaces)\n"; f.err.String() != want {
		t.Errorf("said %q, want %q", f.err.String(), want)
	}
}

func TestCreateWhere(t *testing.T) {
	cases := map[string]struct {
		reason string
		words  string
		want   v1alpha1.ClusterSpec
		code   int
		wrong  string
	}{
		"Area": {
			reason: "the region is left to placement", words: "--area eu",
			want: v1alpha1.ClusterSpec{Template: "standard", Residency: &v1alpha1.Residency{Areas: []string{"eu"}}},
		},
		"Both": {
			reason: "each may be given more than once", words: "--area eu,cn --certification gdpr --certification c5",
			want: v1alpha1.ClusterSpec{Template: "standard", Residency: &v1alpha1.Residency{Areas: []string{"eu", "cn"}, Certifications: []string{"gdpr", "c5"}}},
		},
		"RegionToo": {
			reason: "a region and a rule that it meets", words: "--region eu-frankfurt --certification gdpr",
			want: v1alpha1.ClusterSpec{Region: "eu-frankfurt", Template: "standard", Residency: &v1alpha1.Residency{Certifications: []string{"gdpr"}}},
		},
		"VPC": {
			reason: "what is not written is planned: the template's ranges are not taken", words: "--region cn-hangzhou --vpc main --nodes 60 --pods-per-node 30",
			want: v1alpha1.ClusterSpec{Region: "cn-hangzhou", Template: "standard", Network: &v1alpha1.ClusterNetwork{VPC: "main", Nodes: 60, PodsPerNode: 30}},
		},
		"VPCAndRange": {
			reason: "one range in a VPC needs no other", words: "--area cn --vpc main --service-cidr 10.2.0.0/20",
			want: v1alpha1.ClusterSpec{
				Template: "standard", Residency: &v1alpha1.Residency{Areas: []string{"cn"}},
				Network: &v1alpha1.ClusterNetwork{VPC: "main", ServiceCIDR: "10.2.0.0/20"},
			},
		},
		"NoArea":          {reason: "what regions say is listed", words: "--area ue", code: exitNotFound, wrong: "there is no area ue (existing: cn, eu)"},
		"NoCertification": {reason: "what regions hold is listed", words: "--certification mlps-4", code: exitNotFound, wrong: "there is no certification mlps-4 (existing: c5, gdpr)"},
		"Unmet": {
			reason: "no waiting makes a region hold it", words: "--area cn --certification gdpr", code: exitUsage,
			wrong: "no region is allowed; cn-hangzhou: region cn-hangzhou does not hold gdpr; eu-frankfurt: area eu is none of cn",
		},
		"RegionAgainstRule": {
			reason: "the region that is named is judged alone", words: "--region cn-hangzhou --area eu", code: exitUsage,
			wrong: "no region is allowed; cn-hangzhou: area cn is none of eu",
		},
		"NoVPC": {
			reason: "only VPCs of regions that are allowed count", words: "--area eu --vpc main", code: exitNotFound,
			wrong: "there is no VPC main (existing: odd)",
		},
		"NodesOfNothing": {
			reason: "without a VPC no addresses are planned", words: "--region cn-hangzhou --nodes 5", code: exitUsage,
			wrong: "--nodes and --pods-per-node plan addresses in a VPC; name it with --vpc, or leave them out",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			objects := networked(t)
			for _, object := range objects {
				if region, ok := object.(*v1alpha1.Region); ok && region.Spec.Area == "eu" {
					region.Spec.Certifications = []string{"gdpr", "c5"}
				}
			}
			f := newFixture(t, interceptor.Funcs{}, objects...)
			if got := f.run(append([]string{"cluster", "create", "a"}, strings.Fields(tc.words)...)...); got != tc.code {
				t.Fatalf("%s: exit code %d, want %d\n%s", tc.reason, got, tc.code, f.err.String())
			}
			if tc.wrong != "" {
				f.wantError(tc.wrong)
				return
			}
			var cluster v1alpha1.Cluster
			if err := f.hub.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "a"}, &cluster); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, cluster.Spec); diff != "" {
				t.Errorf("%s: -want +got\n%s", tc.reason, diff)
			}
		})
	}
}

// TestCompleteWhere: areas and certifications are completed from the regions.
func TestCompleteWhere(t *testing.T) {
	f := newFixture(t, interceptor.Funcs{}, networked(t)...)
	f.want(exitOK, "__complete", "cluster", "create", "a", "--area", "")
	if want := "cn\neu\n"; !strings.HasPrefix(f.out.String(), want) {
		t.Errorf("completed to %q, want the areas", f.out.String())
	}
}

// TestSnapshotsRegionOfNothing: a region without a store would be reported as one.
func TestSnapshotsRegionOfNothing(t *testing.T) {
	f := newFixture(t, interceptor.Funcs{})
	f.want(exitUsage, "agent", "--cell", "hz-1", "--dir", t.TempDir(), "--distribution", t.TempDir(), "--runtime-dir", t.TempDir(), "--snapshots-region", "cn-hangzhou")
	f.wantError("--snapshots-region says where the store of --snapshots lies: name that, too")
}
