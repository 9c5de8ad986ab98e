package resolve

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/gear"
)

func catalogue() Catalogue {
	return Catalogue{
		Regions: []v1alpha1.Region{{ObjectMeta: metav1.ObjectMeta{Name: "cn-hangzhou"}}, {ObjectMeta: metav1.ObjectMeta{Name: "eu-frankfurt"}}},
		Templates: []v1alpha1.ClusterTemplate{{ObjectMeta: metav1.ObjectMeta{Name: "standard"}, Spec: v1alpha1.ClusterTemplateSpec{
			Kind: "Standard", Version: "v1.36.3", Availability: v1alpha1.Single, Network: v1alpha1.ClusterNetwork{PodCIDR: "10.244.0.0/16", ServiceCIDR: "10.96.0.0/16"},
		}}},
		Releases: []v1alpha1.Release{
			{ObjectMeta: metav1.ObjectMeta{Name: "v1.35.4"}, Spec: v1alpha1.ReleaseSpec{EtcdVersion: "v3.6.1"}},
			{ObjectMeta: metav1.ObjectMeta{Name: "v1.36.3"}, Spec: v1alpha1.ReleaseSpec{EtcdVersion: "v3.6.16"}},
		},
	}
}

func TestClusterFillsInDefaults(t *testing.T) {
	own := v1alpha1.ClusterNetwork{PodCIDR: "10.1.0.0/16", ServiceCIDR: "10.2.0.0/16"}
	cases := map[string]struct {
		reason string
		spec   v1alpha1.ClusterSpec
		want   Resolved
	}{
		"Defaults": {
			reason: "what is left out comes from the template",
			spec:   v1alpha1.ClusterSpec{Region: "cn-hangzhou", Template: "standard"},
			want:   Resolved{Version: "v1.36.3", EtcdVersion: "v3.6.16", Availability: v1alpha1.Single, Network: v1alpha1.ClusterNetwork{PodCIDR: "10.244.0.0/16", ServiceCIDR: "10.96.0.0/16"}},
		},
		"Own": {
			reason: "what is said counts",
			spec:   v1alpha1.ClusterSpec{Region: "cn-hangzhou", Template: "standard", Version: "v1.35.4", Availability: v1alpha1.Zonal, Network: &own},
			want:   Resolved{Version: "v1.35.4", EtcdVersion: "v3.6.1", Availability: v1alpha1.Zonal, Network: own},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.want.Region, tc.want.Kind = catalogue().Regions[0], "Standard"
			got, problem := Cluster(tc.spec, catalogue())
			if problem != nil {
				t.Fatalf("%s: %v", tc.reason, problem)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestClusterNamesWhatIsMissing(t *testing.T) {
	cases := map[string]struct {
		spec   v1alpha1.ClusterSpec
		reason string
		part   string
	}{
		"Region":   {spec: v1alpha1.ClusterSpec{Region: "cn-hangzou", Template: "standard"}, reason: v1alpha1.ReasonRegionNotFound, part: "did you mean cn-hangzhou?"},
		"Template": {spec: v1alpha1.ClusterSpec{Region: "cn-hangzhou", Template: "gpu"}, reason: v1alpha1.ReasonTemplateNotFound, part: "existing: standard"},
		"Version":  {spec: v1alpha1.ClusterSpec{Region: "cn-hangzhou", Template: "standard", Version: "v1.34.4"}, reason: v1alpha1.ReasonVersionNotFound, part: "existing: v1.35.4, v1.36.3"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, problem := Cluster(tc.spec, catalogue())
			if problem == nil || problem.Reason != tc.reason || !strings.Contains(problem.Message, tc.part) {
				t.Errorf("got %+v, want %s with %q", problem, tc.reason, tc.part)
			}
		})
	}
}

func TestClusterInGear(t *testing.T) {
	box := gear.Default()
	cases := map[string]struct {
		reason   string
		template *v1alpha1.GearBounds
		own      *v1alpha1.GearBounds
		box      *v1alpha1.GearboxSpec
		size     string // empty: the template's own
		tuning   string
		quotaGiB int64
		problem  string
	}{
		"Gearless":        {reason: "the template lets nothing be computed", box: &box},
		"NoGearbox":       {reason: "none is in force", template: &v1alpha1.GearBounds{Min: "nano"}},
		"Smallest":        {reason: "a guest begins at the bottom, with the quota of the top", template: &v1alpha1.GearBounds{Min: "micro"}, box: &box, size: "micro", tuning: "micro", quotaGiB: 8},
		"OwnMax":          {reason: "the quota is that of what it may reach", template: &v1alpha1.GearBounds{Min: "nano"}, own: &v1alpha1.GearBounds{Max: "mini"}, box: &box, size: "nano", tuning: "nano", quotaGiB: 2},
		"Pinned":          {reason: "one gear only", template: &v1alpha1.GearBounds{}, own: &v1alpha1.GearBounds{Pinned: "medium"}, box: &box, size: "medium", tuning: "medium", quotaGiB: 4},
		"NoSuchGear":      {reason: "a name that is no gear", template: &v1alpha1.GearBounds{}, own: &v1alpha1.GearBounds{Pinned: "huge"}, box: &box, problem: "huge"},
		"OutsideTemplate": {reason: "more than the template allows", template: &v1alpha1.GearBounds{Max: "mini"}, own: &v1alpha1.GearBounds{Max: "large"}, box: &box, problem: "nano, micro, mini"},
		"TemplateHasNone": {reason: "asking a template without gears", own: &v1alpha1.GearBounds{Max: "mini"}, box: &box, problem: "leave spec.gears out"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := catalogue()
			c.Gearbox, c.Templates[0].Spec.Gears = tc.box, tc.template
			got, problem := Cluster(v1alpha1.ClusterSpec{Region: "cn-hangzhou", Template: "standard", Gears: tc.own}, c)
			if tc.problem != "" {
				if problem == nil || problem.Reason != v1alpha1.ReasonGearNotFound || !strings.Contains(problem.Message, tc.problem) {
					t.Errorf("%s: %+v, want one with %q", tc.reason, problem, tc.problem)
				}
				return
			}
			tuning := ""
			if got.Tuning != nil {
				tuning = got.Tuning.Gear
			}
			if problem != nil || got.Size.Gear != tc.size || tuning != tc.tuning || got.EtcdQuotaBytes != tc.quotaGiB<<30 {
				t.Errorf("%s: size %q, tuning %q, quota %d, problem %+v", tc.reason, got.Size.Gear, tuning, got.EtcdQuotaBytes, problem)
			}
		})
	}
}
