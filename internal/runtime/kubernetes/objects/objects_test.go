package objects

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
)

var update = flag.Bool("update", false, "write the golden files anew")

const testID = "abcdefghij"

func testCell() Cell {
	return Cell{
		Name: "hz-1", StorageClass: "fast", VolumeSize: resource.MustParse("10Gi"),
		Agents:   []netip.Prefix{netip.MustParsePrefix("192.0.2.10/32")},
		Gateways: []netip.Prefix{netip.MustParsePrefix("192.0.2.20/31")},
		Private:  []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")},
	}
}

// testManifest is as the agent hands it over: rendered and resolved.
func testManifest(t interface{ Fatal(...any) }, availability v1alpha1.Availability, change func(*controlplane.Input)) controlplane.Manifest {
	size := func(cpu, memory string) v1alpha1.ComponentSize {
		limit, most := resource.MustParse("2"), resource.MustParse("2Gi")
		return v1alpha1.ComponentSize{CPU: resource.MustParse(cpu), Memory: resource.MustParse(memory), CPULimit: &limit, MemoryLimit: &most}
	}
	in := controlplane.Input{
		Order: v1alpha1.ControlPlaneSpec{
			ID: testID, Version: "v1.36.3", EtcdVersion: "v3.6.16", RenderRevision: 3, Epoch: 1,
			Availability: availability, Zones: []string{"a", "b", "c"},
			Network:  v1alpha1.ClusterNetwork{PodCIDR: "10.244.0.0/16", ServiceCIDR: "10.96.0.0/16"},
			Endpoint: v1alpha1.GuestEndpoint{ServerName: testID + ".cn-hangzhou.example", Address: "192.0.2.1"},
			Size: v1alpha1.ControlPlaneSize{
				Etcd: size("100m", "128Mi"), APIServer: size("250m", "512Mi"),
				ControllerManager: size("100m", "128Mi"), Scheduler: size("50m", "64Mi"),
			},
		},
		Profile: controlplane.Guest, AnyAddress: true, Hosts: map[string]string{},
	}
	for i, instance := range controlplane.Instances(&in.Order, in.Profile) {
		in.Hosts[instance.Name] = fmt.Sprintf("10.97.0.%d", i+1)
	}
	if change != nil {
		change(&in)
	}
	manifest, err := controlplane.Render(in)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err = manifest.Resolve(func(component, from string) ([]byte, error) {
		return []byte("material " + from + " of " + component + "\n"), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return manifest
}

// everything that Build and Services give, in the order in which it is applied.
func everything(t interface{ Fatal(...any) }, cell Cell, m controlplane.Manifest) []Object {
	guest, err := Build(cell, m)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range m.Components {
		names = append(names, c.Name)
	}
	services, err := Services(cell, m.ID, names)
	if err != nil {
		t.Fatal(err)
	}
	objects := []Object{Namespace(cell, m.ID)}
	for _, service := range services {
		objects = append(objects, service)
	}
	objects = append(objects, guest.Shared...)
	for _, c := range guest.Components {
		objects = append(objects, c.Secret)
		if c.StatefulSet != nil {
			objects = append(objects, c.StatefulSet)
		}
		if c.ReplicaSet != nil {
			objects = append(objects, c.ReplicaSet)
		}
	}
	return objects
}

// marshal as one YAML stream. What Secrets hold is shown as text.
func marshal(t *testing.T, objects []Object) []byte {
	var out bytes.Buffer
	for _, object := range objects {
		raw, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		if err := json.Unmarshal(raw, &fields); err != nil {
			t.Fatal(err)
		}
		if fields["kind"] == "Secret" {
			var secret corev1.Secret
			if err := json.Unmarshal(raw, &secret); err != nil {
				t.Fatal(err)
			}
			text := map[string]any{}
			for key, value := range secret.Data {
				text[key] = string(value)
			}
			delete(fields, "data")
			fields["stringData"] = text
		}
		document, err := yaml.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString("---\n")
		out.Write(document)
	}
	return out.Bytes()
}

func checkGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs; if that is meant, run: go test ./internal/runtime/kubernetes/objects -update\n(-want +got):\n%s", path, diff)
	}
}

// TestGolden shows every object, as it is applied.
func TestGolden(t *testing.T) {
	for _, availability := range []v1alpha1.Availability{v1alpha1.Single, v1alpha1.Zonal} {
		name := strings.ToLower(string(availability))
		t.Run(name, func(t *testing.T) {
			checkGolden(t, name+".yaml", marshal(t, everything(t, testCell(), testManifest(t, availability, nil))))
		})
	}
	t.Run("cell", func(t *testing.T) {
		objects := append(PriorityClasses(), Access("system:serviceaccount:myriad-system:myriad-agent")...)
		checkGolden(t, "cell.yaml", marshal(t, objects))
	})
}

// TestSpec pins the hash of a component, and says what a restart is needed for. A new hash restarts
// every component of every guest at the next upgrade: if this fails, mend the code and not the test.
func TestSpec(t *testing.T) {
	pinned := &controlplane.Component{
		Image: "registry.example/etcd:v1", Program: "etcd",
		Args: []string{"--data-dir=$(DATA_DIR)/etcd"}, Env: []string{"GOGC=50"},
		Files: []controlplane.File{{Path: "ca.crt", Content: []byte("CA")}},
	}
	if got, want := specHash(pinned), "1173b9b823de36c7ffebcea666897ffd"; got != want {
		t.Errorf("got %s, pinned is %s", got, want)
	}
	cases := map[string]struct {
		reason  string
		change  func(*controlplane.Component)
		restart bool
	}{
		"Live file":  {"the program reads it again itself", func(c *controlplane.Component) { c.Files[1].Content = []byte("renewed") }, false},
		"First args": {"they are read without data only", func(c *controlplane.Component) { c.FirstArgs = nil }, false},
		"Size":       {"it changes in place", func(c *controlplane.Component) { c.Size.CPU = resource.MustParse("3") }, false},
		"Probe":      {"it is the kubelet's", func(c *controlplane.Component) { c.Probe = nil }, false},
		"Stopped":    {"it starts as it was", func(c *controlplane.Component) { c.Stopped = true }, false},
		"File order": {"a directory has none", func(c *controlplane.Component) { c.Files[0], c.Files[1] = c.Files[1], c.Files[0] }, false},
		"Other file": {"it is read at the start", func(c *controlplane.Component) { c.Files[0].Content = []byte("other") }, true},
		"Args":       {"so are flags", func(c *controlplane.Component) { c.Args = append([]string{"--debug"}, c.Args...) }, true},
		"Env":        {"and variables", func(c *controlplane.Component) { c.Env = []string{"GOGC=50"} }, true},
		"Image":      {"another program", func(c *controlplane.Component) { c.Image = "registry.example/etcd:own" }, true},
		"Program":    {"another program", func(c *controlplane.Component) { c.Program = "/etcd" }, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := testManifest(t, v1alpha1.Single, nil).Components[0]
			before := specHash(&c)
			tc.change(&c)
			if restart := specHash(&c) != before; restart != tc.restart {
				t.Errorf("%s: restart is %t, want %t", tc.reason, restart, tc.restart)
			}
		})
	}
}

func TestExpansion(t *testing.T) {
	manifest := testManifest(t, v1alpha1.Single, nil)
	c := &manifest.Components[0]
	c.Args = []string{"--a=$(CONFIG_DIR)/x", "--b=$(HOME)", "--c=$$"}
	c.Env = []string{"K=$(DATA_DIR)/k"}
	c.Files[0].Content = []byte("ca: $(CONFIG_DIR)/ca, log: $(DATA_DIR)/log, price: $(5)")
	guest, err := Build(testCell(), manifest)
	if err != nil {
		t.Fatal(err)
	}
	container := guest.Components[0].StatefulSet.Spec.Template.Spec.Containers[0]
	want := []string{"--a=/etc/myriad/x", "--b=$$(HOME)", "--c=$$$$"} // the kubelet makes one $ of two
	if diff := cmp.Diff(want, container.Args[:3]); diff != "" {
		t.Errorf("args (-want +got):\n%s", diff)
	}
	if got := *container.Env[2].Value; got != "/var/lib/myriad/k" {
		t.Errorf("environment: got %q", got)
	}
	if got := string(guest.Components[0].Secret.Data[c.Files[0].Path]); got != "ca: /etc/myriad/ca, log: /var/lib/myriad/log, price: $(5)" {
		t.Errorf("file: got %q", got)
	}
}

func TestStopped(t *testing.T) {
	guest, err := Build(testCell(), testManifest(t, v1alpha1.Zonal, func(in *controlplane.Input) { in.Frozen = true }))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range guest.Components {
		if c.StatefulSet != nil && (*c.StatefulSet.Spec.Replicas != 1 || c.Stopped) {
			t.Errorf("%s: a frozen guest keeps its etcd", c.Name)
		}
		if c.ReplicaSet != nil && (*c.ReplicaSet.Spec.Replicas != 0 || !c.Stopped) {
			t.Errorf("%s: runs in a frozen guest", c.Name)
		}
	}
}

func TestResourcesLeaveOutWhatIsNotSet(t *testing.T) {
	got := resources(v1alpha1.ComponentSize{CPU: resource.MustParse("100m")})
	if got.Limits != nil || len(got.Requests) != 1 || got.Requests.Cpu().String() != "100m" {
		t.Errorf("a limit or a request of nothing would stop the program, got %v", got)
	}
}

// TestObjectsStayInside: whatever the guest, everything lies in its namespace, carries its labels and
// is named once.
func TestObjectsStayInside(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		availability := rapid.SampledFrom([]v1alpha1.Availability{v1alpha1.Single, v1alpha1.Zonal}).Draw(t, "availability")
		id := rapid.StringMatching(`[a-z0-9]{1,20}`).Draw(t, "id")
		manifest := testManifest(t, availability, func(in *controlplane.Input) {
			in.Order.ID = id
			in.Frozen = rapid.Bool().Draw(t, "frozen")
		})
		seen := map[string]bool{}
		for _, object := range everything(t, testCell(), manifest)[1:] {
			raw, err := json.Marshal(object)
			if err != nil {
				t.Fatal(err)
			}
			var o struct {
				Kind     string
				Metadata struct {
					Name, Namespace string
					Labels          map[string]string
				}
			}
			if err := json.Unmarshal(raw, &o); err != nil {
				t.Fatal(err)
			}
			key, labels := o.Kind+"/"+o.Metadata.Name, o.Metadata.Labels
			if o.Metadata.Namespace != "myriad-"+id || labels[LabelManagedBy] != ManagedBy || labels[v1alpha1.LabelID] != id || labels[v1alpha1.LabelCell] != "hz-1" {
				t.Errorf("%s: namespace %s, labels %v", key, o.Metadata.Namespace, labels)
			}
			if seen[key] {
				t.Errorf("%s: made twice", key)
			}
			seen[key] = true
		}
	})
}
