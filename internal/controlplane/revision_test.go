package controlplane

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

func TestLatestRevision(t *testing.T) {
	revisions := Revisions()
	if len(revisions) < 2 {
		t.Errorf("revisions %v: guests need the one they have and the one they move to", revisions)
	}
	if latest := LatestRevision(); latest != revisions[len(revisions)-1] {
		t.Errorf("latest is %d of %v", latest, revisions)
	}
}

func TestLatestRevisionOfABuild(t *testing.T) {
	defer func(was string) { latestRevision = was }(latestRevision)
	latestRevision = "1"
	if latest := LatestRevision(); latest != 1 {
		t.Errorf("linked with 1, got %d", latest)
	}
	for _, bad := range []string{"", "x", "99"} {
		latestRevision = bad
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a build with %q went unnoticed", bad)
				}
			}()
			LatestRevision()
		}()
	}
}

// TestRevisionsDiffer: a rollout from one revision to the next must have something to roll out.
func TestRevisionsDiffer(t *testing.T) {
	var manifests []Manifest
	for _, revision := range Revisions() {
		manifest, err := Render(input(v1alpha1.Single, Guest, revision))
		if err != nil {
			t.Fatal(err)
		}
		manifests = append(manifests, manifest)
	}
	for i := range manifests[1:] {
		if cmp.Equal(manifests[i], manifests[i+1]) {
			t.Errorf("revisions %d and %d render the same", Revisions()[i], Revisions()[i+1])
		}
	}
}

func TestInstances(t *testing.T) {
	cases := map[string]struct {
		reason       string
		availability v1alpha1.Availability
		profile      Profile
		zones        []string
		want         []string
	}{
		"Single": {
			"one of each, in the first zone", v1alpha1.Single, Guest,
			[]string{"a", "b", "c"},
			[]string{"etcd-a", "kube-apiserver-a", "kube-controller-manager-a", "kube-scheduler-a"},
		},
		"Hub":     {"the hub schedules nothing", v1alpha1.Single, Hub, []string{"a"}, []string{"etcd-a", "kube-apiserver-a", "kube-controller-manager-a"}},
		"NoZones": {"an order that Render refuses", v1alpha1.Single, Guest, nil, nil},
		"Zonal": {
			"leader-elected ones need one twin, not two", v1alpha1.Zonal, Guest,
			[]string{"a", "b", "c"},
			[]string{
				"etcd-a", "etcd-b", "etcd-c", "kube-apiserver-a", "kube-apiserver-b", "kube-apiserver-c",
				"kube-controller-manager-a", "kube-controller-manager-b", "kube-scheduler-a", "kube-scheduler-b",
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, instance := range Instances(&v1alpha1.ControlPlaneSpec{Availability: tc.availability, Zones: tc.zones}, tc.profile) {
				got = append(got, instance.Name)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
