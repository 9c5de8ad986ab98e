package nodes

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

func TestFitness(t *testing.T) {
	good := func() Facts {
		return Facts{
			Version: "v1.36.3", Zones: []string{"a", "b", "c"}, NodeZones: []string{"c", "b", "a", "a"},
			StorageClasses: []StorageClass{{Name: "slow", Waits: true}, {Name: "local", Default: true, Waits: true}}, PodResize: true,
		}
	}
	cases := map[string]struct {
		why    string
		change func(*Facts)
		reason string // empty: fit
		says   []string
	}{
		"Fit":    {"nothing is missing", func(*Facts) {}, "", []string{"control planes can be run here"}},
		"Vendor": {"a vendor's build is as new as its number", func(f *Facts) { f.Version = "v1.33.0-gke.100+abc" }, "", nil},
		"Away": {
			"nothing else is known then", func(f *Facts) { *f = Facts{Away: "dial tcp 10.0.0.1:6443: i/o timeout"} }, v1alpha1.ReasonCellAPIAway,
			[]string{"i/o timeout", "guests run on"},
		},
		"Old": {
			"pods cannot be resized", func(f *Facts) { f.Version = "v1.32.9" }, v1alpha1.ReasonVersionTooOld,
			[]string{"v1.32.9", "upgrade it to v1.33.0", "pods/resize"},
		},
		"NoVersion": {"what is no version cannot be relied on", func(f *Facts) { f.Version = "" }, v1alpha1.ReasonVersionTooOld, []string{"v1.33.0"}},
		"Webhook": {"a webhook refused the trial", func(f *Facts) {
			f.Refused = []string{`create pods in myriad-system: admission webhook "policy.example.com" denied the request: no`}
		}, v1alpha1.ReasonRightsMissing, []string{"policy.example.com", "docs/security.md", "app.kubernetes.io/managed-by=myriad"}},
		"NoClass": {"etcd would have no volumes", func(f *Facts) { f.StorageClasses = nil }, v1alpha1.ReasonNoStorageClass, []string{"install a volume provisioner"}},
		"NoDefault": {
			"nobody said which", func(f *Facts) { f.StorageClasses[1].Default = false }, v1alpha1.ReasonNoStorageClass,
			[]string{"has local, slow", "is-default-class"},
		},
		"OtherClass": {
			"the one that was named is not there", func(f *Facts) { f.StorageClass = "fast" }, v1alpha1.ReasonNoStorageClass,
			[]string{"no StorageClass fast", "has local, slow"},
		},
		"NamedClass": {"one that is not the default was named", func(f *Facts) { f.StorageClass, f.StorageClasses[1].Default = "slow", false }, "", nil},
		"Zones": {
			"a zone of the Cell has no nodes", func(f *Facts) { f.NodeZones = []string{"b", "a", "x", "x"} }, v1alpha1.ReasonTooFewZones,
			[]string{"zone c of the Cell", "nodes lie in a, b, x", "spec.zones"},
		},
		"Unlabelled": {
			"no node says where it is", func(f *Facts) { f.NodeZones = nil }, v1alpha1.ReasonTooFewZones,
			[]string{"zone a, b, c", "topology.kubernetes.io/zone"},
		},
		"OneZone": {
			"the Cell says that it has one", func(f *Facts) { f.Zones, f.NodeZones = []string{"a"}, []string{"a"} }, "",
			[]string{"Single guests only", "need 3 zones, the Cell has 1"},
		},
		"NoResize": {"sizes change by restarts", func(f *Facts) { f.PodResize = false }, "", []string{"lacks pods/resize"}},
		"Immediate": {
			"a volume may be made in the wrong zone", func(f *Facts) { f.StorageClasses[1].Waits = false }, "",
			[]string{"StorageClass local", "WaitForFirstConsumer"},
		},
		"Everything": {
			"the message holds all, the reason the first", func(f *Facts) { f.Version, f.StorageClasses, f.NodeZones = "v1.20.0", nil, nil },
			v1alpha1.ReasonVersionTooOld,
			[]string{"v1.20.0", "StorageClass", "zone a, b, c"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			facts := good()
			c.change(&facts)
			got := Fitness(facts)
			status, reason := metav1.ConditionFalse, c.reason
			if reason == "" {
				status, reason = metav1.ConditionTrue, v1alpha1.ReasonRuntimeReady
			}
			if got.Type != v1alpha1.ConditionRuntimeReady || got.Status != status || got.Reason != reason {
				t.Errorf("%s: got %+v, want %s %s", c.why, got, status, reason)
			}
			for _, part := range c.says {
				if !strings.Contains(got.Message, part) {
					t.Errorf("%s: the message does not say %q: %s", c.why, part, got.Message)
				}
			}
		})
	}
}

// TestFitCellSaysNoMore: a cell without flaw has no notes.
func TestFitCellSaysNoMore(t *testing.T) {
	got := Fitness(Facts{
		Version: "v1.36.3", Zones: []string{"a", "b", "c"}, NodeZones: []string{"a", "b", "c"},
		StorageClass: "local", StorageClasses: []StorageClass{{Name: "local", Waits: true}}, PodResize: true,
	})
	if got.Message != "control planes can be run here" {
		t.Errorf("says %q", got.Message)
	}
}
