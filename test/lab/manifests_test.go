package lab

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/myriad-fleet/myriad/internal/controlplane"
)

func testPrograms() *programs {
	return &programs{
		self: "/lab/bin/lab", shim: "/lab/bin/shim", kubernetes: "v1.36.3", etcd: "v3.6.16",
		paths: map[string]string{"etcd": "/distro/etcd", "kubelet": "/distro/lab/kubelet", "runc": "/usr/sbin/runc"},
	}
}

// componentsOf all manifests, by name.
func componentsOf(t *testing.T, l *Lab) map[string]controlplane.Component {
	t.Helper()
	p := testPrograms()
	own, err := p.controlPlane()
	if err != nil {
		t.Fatal(err)
	}
	services, err := l.services(p)
	if err != nil {
		t.Fatal(err)
	}
	components := map[string]controlplane.Component{}
	manifests := []controlplane.Manifest{own, services}
	for _, zone := range Zones() {
		manifest, err := p.nodeManifest(l.node(zone))
		if err != nil {
			t.Fatal(err)
		}
		manifests = append(manifests, manifest)
	}
	for _, manifest := range manifests {
		for _, component := range manifest.Components {
			if _, twice := components[component.Name]; twice {
				t.Errorf("two components are called %s: they would share certificates", component.Name)
			}
			components[component.Name] = component
		}
	}
	return components
}

func TestManifests(t *testing.T) {
	components := componentsOf(t, &Lab{dir: "/lab"})
	for name, component := range components {
		if component.Program != "/lab/bin/lab" || component.Args[0] != "join" || len(component.FirstArgs) > 0 {
			t.Errorf("%s starts outside of the lab's cgroups: %s %v", name, component.Program, component.Args)
		}
	}
	for _, test := range []struct {
		component, reason string
		want              []string
		not               []string
	}{
		{
			"kubelet-b", "it belongs to its zone and waits for its containerd",
			[]string{
				"--cgroup=myriad-lab/b/daemons", "--socket=/lab/zones/b/containerd.sock", "/distro/lab/kubelet",
				"--hostname-override=lab-b", "--node-labels=topology.kubernetes.io/zone=b,topology.kubernetes.io/region=lab",
			},
			nil,
		},
		{"kube-apiserver-system", "pods reach it", []string{"--endpoint-reconciler-type=lease", "--cgroup=myriad-lab/system"}, []string{"--endpoint-reconciler-type=none"}},
		{"kube-controller-manager-system", "pod networks are fixed", []string{"--allocate-node-cidrs=false"}, []string{"--allocate-node-cidrs=true"}},
		{"etcd-system", "it founds its cluster", []string{"--initial-cluster-state=new", "--unsafe-no-fsync=true"}, nil},
	} {
		t.Run(test.component, func(t *testing.T) {
			args := components[test.component].Args
			for _, want := range test.want {
				if !slices.Contains(args, want) {
					t.Errorf("%s: no %s in %q", test.reason, want, args)
				}
			}
			for _, not := range test.not {
				if slices.Contains(args, not) {
					t.Errorf("%s: still %s in %q", test.reason, not, args)
				}
			}
		})
	}
	for _, zone := range Zones() {
		if got := components["containerd-"+zone].Zone; got != zone {
			t.Errorf("containerd-%s fails with zone %q", zone, got)
		}
	}
}

func TestSetArgument(t *testing.T) {
	before := []string{"--a=1", "--ab=2"}
	if got := setArgument(before, "--a=3"); !slices.Equal(got, []string{"--a=3", "--ab=2"}) {
		t.Errorf("replaced: %q", got)
	}
	if got := setArgument(before, "--b=3"); !slices.Equal(got, []string{"--a=1", "--ab=2", "--b=3"}) {
		t.Errorf("added: %q", got)
	}
	if before[0] != "--a=1" {
		t.Error("the arguments of another component changed")
	}
}

func TestConfigurations(t *testing.T) {
	n := newNode("/lab/zones/c", "c")
	kubelet, err := n.kubeletConfiguration()
	if err != nil {
		t.Fatal(err)
	}
	var configuration map[string]any
	if err := yaml.UnmarshalStrict(kubelet, &configuration); err != nil {
		t.Fatalf("%v in\n%s", err, kubelet)
	}
	for key, want := range map[string]any{
		"address": "10.252.0.13", "cgroupRoot": "/myriad-lab/c", "podLogsDir": "/lab/zones/c/logs",
		"containerRuntimeEndpoint": "unix:///lab/zones/c/containerd.sock",
	} {
		if configuration[key] != want {
			t.Errorf("the kubelet's %s is %v, want %v", key, configuration[key], want)
		}
	}
	network, err := n.cniConfigurationFile("/lab/policy.sock")
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(network) || !strings.Contains(string(network), "10.251.3.0/24") {
		t.Errorf("the pod network is\n%s", network)
	}
	runtime, err := n.containerdConfiguration(testPrograms())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(runtime), "<no value>") || !strings.Contains(string(runtime), `runtime_path = "/lab/bin/shim"`) {
		t.Errorf("containerd's configuration is\n%s", runtime)
	}
	objects, err := cellObjects("registry.k8s.io/coredns/coredns:v1")
	if err != nil || len(objects) != 8 {
		t.Errorf("%d objects (%v)", len(objects), err)
	}
}
