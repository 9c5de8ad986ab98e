package cli

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// networked is a fleet with a VPC in Hangzhou, which hello and shop lie in, and an odd one in Frankfurt; a guest
// lies in a VPC that its region does not name any more.
func networked(t *testing.T) []client.Object {
	t.Helper()
	objects := fleet()
	for _, object := range objects {
		switch object := object.(type) {
		case *v1alpha1.Region:
			object.Spec.VPCs = vpcsOfFleet(object.Name)
		case *v1alpha1.Cell:
			object.Spec.Network = &v1alpha1.CellNetwork{CIDRs: []string{"10.1.240.0/20"}, InterfacesPerNode: new(int32(4)), AddressesPerInterface: new(int32(1))}
			object.Status.Zones = []v1alpha1.ZoneCapacity{{Name: "a", Nodes: new(int64(3))}, {Name: "b"}}
		default:
		}
	}
	cluster, own, waiting := hello(), hello(), unready("waiting", v1alpha1.ReasonNoRoom, "no cell has room")
	cluster.Spec.Network = &v1alpha1.ClusterNetwork{VPC: "main", Nodes: 20, PodCIDR: "10.1.32.0/19"}
	own.Name, own.Status.ID = "own", "ownownown0"
	plane, alone := helloPlane(), helloPlane()
	alone.Name, alone.Spec.ID, alone.Spec.Cluster.Name = own.Status.ID, own.Status.ID, own.Name
	plane.Spec.Network = v1alpha1.ClusterNetwork{VPC: "main", Nodes: 20, NodeCIDR: "10.0.0.0/27", PodCIDR: "10.1.32.0/19", ServiceCIDR: "10.2.0.0/20"}
	for _, p := range []*v1alpha1.ControlPlane{plane, alone} {
		p.Spec.Region = "cn-hangzhou"
	}
	return append(objects, cluster, own, waiting, plane, alone,
		neighbour("shop", "shopshop00", "main", "10.0.0.32/27", "10.1.0.0/20", "10.2.16.0/20"),
		neighbour("twin", "twintwin00", "main", "10.0.0.64/27", "10.1.0.0/24", "10.2.32.0/20"),
		neighbour("late", "latelate00", "gone", "10.0.0.0/27", "10.1.0.0/20", "10.2.0.0/20"))
}

func vpcsOfFleet(region string) []v1alpha1.VPC {
	if region == "cn-hangzhou" {
		return []v1alpha1.VPC{{Name: "main", NodePools: []string{"10.0.0.0/24"}, PodPools: []string{"10.1.0.0/16"}, ServicePools: []string{"10.2.0.0/18"}}}
	}
	return []v1alpha1.VPC{{Name: "odd", Tenants: []string{"team-b"}, NodePools: []string{"10.0.0.0/16"}, PodPools: []string{"10.0.0.0/16"}, ServicePools: []string{"10.3.0.0/16"}}}
}

func neighbour(name, id, vpc, nodes, pods, services string) *v1alpha1.ControlPlane {
	plane := helloPlane()
	plane.Name, plane.Spec.ID, plane.Spec.Region = id, id, "cn-hangzhou"
	plane.Spec.Cluster = v1alpha1.ClusterReference{Namespace: "team-b", Name: name}
	plane.Spec.Network = v1alpha1.ClusterNetwork{VPC: vpc, NodeCIDR: nodes, PodCIDR: pods, ServiceCIDR: services}
	return plane
}

func TestNetworkOutput(t *testing.T) {
	for name, words := range map[string]string{
		"network-list":            "network list",
		"network-list-json":       "network list -o json",
		"network-explain":         "network explain hello",
		"network-explain-yaml":    "network explain hello -o yaml",
		"network-explain-own":     "network explain own",
		"network-explain-waiting": "network explain waiting",
		"network-explain-vpc":     "network explain cn-hangzhou/main",
		"network-explain-odd":     "network explain eu-frankfurt/odd -o json",
		"network-explain-gone":    "network explain cn-hangzhou/gone",
		"network-describe":        "cluster describe hello",
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, interceptor.Funcs{}, networked(t)...)
			f.want(exitOK, strings.Fields(words)...)
			f.golden(name)
		})
	}
}

// TestNetworkWarnings: what may not be meant is said beside the list, not in it.
func TestNetworkWarnings(t *testing.T) {
	f := newFixture(t, interceptor.Funcs{}, networked(t)...)
	f.want(exitOK, "network", "list")
	want := "warning: region cn-hangzhou: VPC gone: the Region does not name it any more; its guests keep what they have\n" +
		"warning: region cn-hangzhou: VPC main: guest twintwin00: the range of the pods, 10.1.0.0/24, overlaps 10.1.0.0/20, the pods of guest shopshop00\n" +
		"warning: region cn-hangzhou: VPC main: 10.1.240.0/20 of 10.1.0.0/16 (pool of pods) are the region's cells' own: no guest gets an address of them\n" +
		"warning: region eu-frankfurt: VPC odd: 10.0.0.0/16 (pool of nodes) and 10.0.0.0/16 (pool of pods) overlap: what one kind takes the other cannot have\n"
	if diff := cmp.Diff(want, f.err.String()); diff != "" {
		t.Errorf("standard error: -want +got\n%s", diff)
	}
	f = newFixture(t, interceptor.Funcs{}, fleet()...)
	f.want(exitOK, "network", "list")
	if want := "no region has a VPC; add one to spec.vpcs of a Region: see docs/network.md\n"; f.err.String() != want {
		t.Errorf("said %q, want %q", f.err.String(), want)
	}
}

func TestNetworkErrors(t *testing.T) {
	cases := map[string]struct {
		reason string
		words  string
		code   int
		want   string
	}{
		"Typo": {
			reason: "the name that was meant is offered", words: "network explain helo", code: exitNotFound,
			want: "there is no cluster helo in namespace default; did you mean hello? (existing: hello, own, waiting)",
		},
		"VPC": {
			reason: "the VPC that was meant is offered", words: "network explain cn-hangzhou/mian", code: exitNotFound,
			want: "there is no VPC cn-hangzhou/mian; did you mean cn-hangzhou/main? (existing: cn-hangzhou/gone, cn-hangzhou/main, eu-frankfurt/odd)",
		},
		"NameOfNothing": {
			reason: "a list of pools is no object", words: "network list -o name", code: exitUsage,
			want: "--output name says nothing here: the result is no object; use table, json or yaml",
		},
		"Subcommand": {
			reason: "a mistyped command is not help with exit code 0", words: "network explan", code: exitUsage,
			want: "command 'myriad network explan' does not exist; did you mean explain? (existing: explain, list)",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, interceptor.Funcs{}, networked(t)...)
			if got := f.run(strings.Fields(tc.words)...); got != tc.code {
				t.Errorf("%s: exit code %d, want %d", tc.reason, got, tc.code)
			}
			f.wantError(tc.want)
		})
	}
}

// TestNetworkForATenant: what only operators may read is named.
func TestNetworkForATenant(t *testing.T) {
	f := newFixture(t, interceptor.Funcs{
		List: func(ctx context.Context, hub client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			if _, ok := list.(*v1alpha1.ControlPlaneList); ok {
				return apierrors.NewForbidden(schema.GroupResource{Group: "fleet.myriad.dev", Resource: "controlplanes"}, "", nil)
			}
			return hub.List(ctx, list, options...)
		},
	}, networked(t)...)
	f.want(exitFailure, "network", "explain", "hello")
	if want := "list control planes: not allowed: "; !strings.Contains(f.err.String(), want) {
		t.Errorf("said %q, want %q", f.err.String(), want)
	}
}

// TestDescribePlacement: the evidence is shown for what is bound, too.
func TestDescribePlacement(t *testing.T) {
	cluster := hello()
	cluster.Spec.Region, cluster.Status.Region = "", "cn-hangzhou"
	cluster.Spec.Residency = &v1alpha1.Residency{Areas: []string{"cn"}, Certifications: []string{"mlps-3"}}
	cluster.Status.Placement = &v1alpha1.ClusterPlacement{
		DecidedAt: ago(0), Region: "cn-hangzhou", Cell: "hz-1", Zones: []string{"a"}, Score: 640, Residency: "area cn is one of cn; holds mlps-3",
		Scores: []v1alpha1.PlacementScore{{Name: "density", Score: 700, Weight: 50}, {Name: "fit", Score: 490, Weight: 20}},
		Others: []v1alpha1.CandidateCell{{Cell: "hz-2", Score: 610}},
	}
	cluster.Status.RejectedCells = []v1alpha1.RejectedCell{{Cell: "fra-1", Reason: "Residency", Message: "area eu is none of cn"}}
	cluster.Status.Conditions = append(cluster.Status.Conditions,
		condition(v1alpha1.ConditionResident, metav1.ConditionTrue, v1alpha1.ReasonResident, ""))
	f := newFixture(t, interceptor.Funcs{}, append(fleet(), cluster, helloPlane())...)
	f.want(exitOK, "cluster", "describe", "hello")
	f.golden("cluster-describe-placement")
	f.want(exitOK, "cluster", "list")
	if !strings.Contains(f.out.String(), "cn-hangzhou") {
		t.Errorf("the region that was chosen is not listed: %s", f.out.String())
	}
}
