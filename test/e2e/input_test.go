package e2e

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// Exit codes of myriad, see docs/cli.md.
const (
	exitFailure  = 1
	exitUsage    = 2
	exitNotFound = 3
	exitConflict = 6
)

func TestCommandRefusesBadInput(t *testing.T) {
	s := sharedFleet(t)
	cases := map[string]struct {
		reason    string
		code      int
		words     []string
		arguments []string
	}{
		"UnknownRegion": {
			reason: "a typo names the region that was meant", code: exitNotFound,
			words:     []string{"cn-hangzou", "did you mean cn-hangzhou?"},
			arguments: []string{"cluster", "create", "x", "--region", "cn-hangzou"},
		},
		"UnknownTemplate": {
			reason: "what exists is listed", code: exitNotFound,
			words:     []string{"no template big", "standard"},
			arguments: []string{"cluster", "create", "x", "--region", "cn-hangzhou", "--template", "big"},
		},
		"UnknownVersion": {
			reason: "the version that was meant is named", code: exitNotFound,
			words:     []string{"v1.36.33", "did you mean v1.36.3?"},
			arguments: []string{"cluster", "create", "x", "--region", "cn-hangzhou", "--version", "v1.36.33"},
		},
		"MissingRegion": {
			reason: "a required flag is named", code: exitUsage,
			words:     []string{"--region"},
			arguments: []string{"cluster", "create", "x"},
		},
		"BadName": {
			reason: "the rule of the API is told", code: exitUsage,
			words:     []string{"must be a DNS label of at most 40 characters", "team-a-prod"},
			arguments: []string{"cluster", "create", "Shop", "--region", "cn-hangzhou"},
		},
		"Overlap": {
			reason: "pods and Services may share no address", code: exitUsage,
			words:     []string{"podCIDR and serviceCIDR overlap", "10.96.0.0/16"},
			arguments: []string{"cluster", "create", "x", "--region", "cn-hangzhou", "--pod-cidr", "10.0.0.0/8", "--service-cidr", "10.96.0.0/16"},
		},
		"NameTaken": {
			reason: "hello is there already", code: exitConflict,
			words:     []string{"hello", "exists already"},
			arguments: []string{"cluster", "create", "hello", "--region", "cn-hangzhou"},
		},
		"NoSuchCluster": {
			reason: "a typo names the cluster that was meant", code: exitNotFound,
			words:     []string{"helo", "did you mean hello?"},
			arguments: []string{"cluster", "get", "helo"},
		},
		"NoSuchCell": {
			reason: "zones belong to cells or regions", code: exitNotFound,
			words:     []string{"hz-9", "hz-1"},
			arguments: []string{"zone", "fail", "hz-9", "a"},
		},
		"NoSuchZone": {
			reason: "the zones of the cell are listed", code: exitNotFound,
			words:     []string{"existing: a, b, c"},
			arguments: []string{"zone", "fail", "hz-1", "z"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			s.refuses(t, tc.code, tc.words, tc.arguments...)
		})
	}
}

func TestAPIRefusesBadObjects(t *testing.T) {
	s := sharedFleet(t)
	spec := func(name, fields string) string {
		return "{apiVersion: fleet.myriad.dev/v1alpha1, kind: Cluster, metadata: {name: " + name + "}, spec: {" + fields + "}}"
	}
	cases := map[string]struct{ reason, manifest, want string }{
		"Name":           {"the name becomes part of other names", spec("a.b", "region: cn-hangzhou"), "a Cluster's name must be a DNS label of at most 40 characters"},
		"Version":        {"a version has a form", spec("x", `region: cn-hangzhou, version: "1.36"`), "version must have the form v1.N.P, for example v1.36.3"},
		"Availability":   {"there are two", spec("x", "region: cn-hangzhou, availability: Triple"), `supported values: "Single", "Zonal"`},
		"Overlap":        {"pods and Services share no address", spec("x", "region: cn-hangzhou, network: {podCIDR: 10.96.0.0/16, serviceCIDR: 10.96.0.0/20}"), "podCIDR and serviceCIDR overlap"},
		"TooFewPods":     {"a node alone takes 256 addresses", spec("x", "region: cn-hangzhou, network: {podCIDR: 10.244.0.0/28, serviceCIDR: 10.96.0.0/16}"), "podCIDR must have between 256 and 16,777,216 addresses"},
		"TooFewServices": {"kube-apiserver takes no less", spec("x", "region: cn-hangzhou, network: {podCIDR: 10.244.0.0/16, serviceCIDR: 10.96.0.0/28}"), "serviceCIDR must have between 256 and 1,048,576 addresses"},
		"NoCIDR":         {"half an address", spec("x", "region: cn-hangzhou, network: {podCIDR: 10.244.0, serviceCIDR: 10.96.0.0/16}"), "podCIDR must be an IPv4 unicast network in its shortest form"},
		"NoRegion":       {"nobody guesses where data goes", spec("x", "template: standard"), "write spec.region, for example region: cn-hangzhou, or spec.residency"},
		"RegionChanged":  {"a cluster does not move by itself", spec("hello", "region: eu-frankfurt"), "region is immutable: create a new Cluster in the other region"},
		"NetworkChanged": {"addresses are baked into a cluster", spec("hello", "region: cn-hangzhou, network: {podCIDR: 10.1.0.0/16, serviceCIDR: 10.2.0.0/16}"), "network is immutable: create a new Cluster with the other addresses"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			output, err := s.hubKubectl(t, tc.manifest, "apply", "--filename", "-")
			if err == nil || !strings.Contains(output, tc.want) {
				t.Errorf("%s: want an error that says %q, got %v: %s", tc.reason, tc.want, err, output)
			}
		})
	}
}

// TestAPISaysWhatExists: the API cannot refuse a name that does not exist, so a condition tells.
func TestAPISaysWhatExists(t *testing.T) {
	s := sharedFleet(t)
	cases := map[string]struct {
		fields, reason string
		words          []string
	}{
		"region":   {"region: cn-hangzou", v1alpha1.ReasonRegionNotFound, []string{"cn-hangzou", "did you mean cn-hangzhou?"}},
		"template": {"region: cn-hangzhou, template: standart", v1alpha1.ReasonTemplateNotFound, []string{"did you mean standard?"}},
		"version":  {"region: cn-hangzhou, version: v1.36.4", v1alpha1.ReasonVersionNotFound, []string{"v1.36.3"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cluster := "lost-" + name
			manifest := "{apiVersion: fleet.myriad.dev/v1alpha1, kind: Cluster, metadata: {name: " + cluster + "}, spec: {" + tc.fields + "}}"
			if output, err := s.hubKubectl(t, manifest, "apply", "--filename", "-"); err != nil {
				t.Fatalf("%v: %s", err, output)
			}
			t.Cleanup(func() { s.deleteCluster(t, "default", cluster) })
			s.awaitCondition(t, cluster, v1alpha1.ConditionScheduled, metav1.ConditionFalse, tc.reason, tc.words...)
		})
	}
}

// hubKubectl runs kubectl against the hub and returns all that it prints.
func (s *suite) hubKubectl(t *testing.T, input string, arguments ...string) (string, error) {
	t.Helper()
	programs, err := filepath.Glob(filepath.Join(s.Home, "distro", "kubernetes", "*", "kubectl"))
	if err != nil || len(programs) == 0 {
		t.Fatalf("find kubectl below %s: %v", s.Home, err)
	}
	command := exec.CommandContext(t.Context(), programs[0], append([]string{"--kubeconfig", filepath.Join(s.Home, "kubeconfig")}, arguments...)...)
	command.Stdin = strings.NewReader(input)
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	err = command.Run()
	return output.String(), err
}
