package controlplane

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

var update = flag.Bool("update", false, "write the golden files anew")

// input is a good one; cases change it.
func input(availability v1alpha1.Availability, profile Profile, revision int64) Input {
	size := func(cpu, memory string) v1alpha1.ComponentSize {
		return v1alpha1.ComponentSize{CPU: resource.MustParse(cpu), Memory: resource.MustParse(memory)}
	}
	in := Input{
		Order: v1alpha1.ControlPlaneSpec{
			ID: "abcdefghij", Version: "v1.36.3", EtcdVersion: "v3.6.16", RenderRevision: revision, Epoch: 3,
			Availability: availability, Zones: []string{"a", "b", "c"},
			Network:  v1alpha1.ClusterNetwork{PodCIDR: "10.244.0.0/16", ServiceCIDR: "10.96.0.0/16"},
			Endpoint: v1alpha1.GuestEndpoint{ServerName: "abcdefghij.cn-hangzhou.example", Address: "127.9.0.1"},
			Size: v1alpha1.ControlPlaneSize{
				Etcd: size("100m", "128Mi"), APIServer: size("250m", "512Mi"),
				ControllerManager: size("100m", "128Mi"), Scheduler: size("50m", "64Mi"),
			},
			Tuning: &v1alpha1.ControlPlaneTuning{Gear: "nano", GearTuning: v1alpha1.GearTuning{
				MaxRequestsInFlight: 150, MaxMutatingRequestsInFlight: 50, APIServerMemory: new(resource.MustParse("900Mi")),
				ControllerRequestsPerSecond: 120,
			}},
			EtcdQuotaBytes: 2 << 30,
		},
		Profile: profile,
		Hosts:   map[string]string{},
	}
	for i, instance := range Instances(&in.Order, profile) {
		in.Hosts[instance.Name] = fmt.Sprintf("127.9.1.%d", i+1)
	}
	return in
}

// TestRenderGolden shows every flag and file of every shape. What a revision renders never changes:
// if a released revision's file differs, make a new revision instead.
func TestRenderGolden(t *testing.T) {
	for _, shape := range []struct {
		profile      Profile
		availability v1alpha1.Availability
	}{{Guest, v1alpha1.Single}, {Guest, v1alpha1.Zonal}, {Hub, v1alpha1.Single}, {Hub, v1alpha1.Zonal}} {
		for _, revision := range Revisions() {
			name := fmt.Sprintf("%s-%s-r%d", shape.profile, strings.ToLower(string(shape.availability)), revision)
			t.Run(name, func(t *testing.T) {
				manifest, err := Render(input(shape.availability, shape.profile, revision))
				if err != nil {
					t.Fatal(err)
				}
				checkGolden(t, name+".yaml", readable(t, manifest))
			})
		}
	}
}

// TestRenderBehindServices shows what differs where addresses only lead to components.
func TestRenderBehindServices(t *testing.T) {
	in := input(v1alpha1.Zonal, Guest, LatestRevision())
	in.AnyAddress = true
	in.Order.Images = map[string]string{"etcd": "registry.example/etcd:own"}
	manifest, err := Render(in)
	if err != nil {
		t.Fatal(err)
	}
	checkGolden(t, "guest-zonal-services.yaml", readable(t, manifest))
}

// TestRenderTuning: what is tuned is nothing of etcd, and a changed size alone changes no program.
func TestRenderTuning(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(*v1alpha1.ControlPlaneSpec)
		want   []Kind // that have to restart
	}{
		"Size":     {"it is the runtime's business", func(o *v1alpha1.ControlPlaneSpec) { o.Size.APIServer.CPU = resource.MustParse("2") }, nil},
		"Gear":     {"its name is for people", func(o *v1alpha1.ControlPlaneSpec) { o.Tuning.Gear = "micro" }, nil},
		"InFlight": {"API servers read it at their start", func(o *v1alpha1.ControlPlaneSpec) { o.Tuning.MaxRequestsInFlight = 400 }, []Kind{APIServer}},
		"Memory":   {"API servers read it at their start", func(o *v1alpha1.ControlPlaneSpec) { o.Tuning.APIServerMemory = nil }, []Kind{APIServer}},
		"Rate":     {"the controller manager reads it at its start", func(o *v1alpha1.ControlPlaneSpec) { o.Tuning.ControllerRequestsPerSecond = 200 }, []Kind{ControllerManager}},
		"None":     {"upstream's own flags", func(o *v1alpha1.ControlPlaneSpec) { o.Tuning = nil }, []Kind{APIServer, ControllerManager}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			in := input(v1alpha1.Single, Guest, TuningRevision)
			before, err := Render(in)
			if err != nil {
				t.Fatal(err)
			}
			in.Order = *in.Order.DeepCopy()
			tc.change(&in.Order)
			after, err := Render(in)
			if err != nil {
				t.Fatal(err)
			}
			var restarted []Kind
			for i, component := range after.Components {
				component.Size = before.Components[i].Size
				if !cmp.Equal(before.Components[i], component) {
					restarted = append(restarted, component.Kind)
				}
			}
			if diff := cmp.Diff(tc.want, restarted); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestRenderEtcdStarts shows what a member does that finds no data.
// TestRenderInAVPC: each node gets as many addresses for pods as were planned for it. Guests with networks of their
// own keep upstream's 256.
func TestRenderInAVPC(t *testing.T) {
	masks := func(in Input) (found []string) {
		manifest, err := Render(in)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range manifest.Components {
			for _, arg := range c.Args {
				if mask, ok := strings.CutPrefix(arg, "--node-cidr-mask-size="); ok {
					found = append(found, mask)
				}
			}
		}
		return found
	}
	in := input(v1alpha1.Single, Guest, LatestRevision())
	if got := masks(in); len(got) > 0 {
		t.Errorf("a guest without a VPC has masks %v", got)
	}
	for pods, want := range map[int32]string{0: "24", 30: "26", 250: "23"} {
		in.Order.Network.VPC, in.Order.Network.PodsPerNode = "prod", pods
		if got := masks(in); !slices.Equal(got, []string{want}) {
			t.Errorf("%d pods per node: masks %v, want %s", pods, got, want)
		}
	}
}

func TestRenderEtcdStarts(t *testing.T) {
	all := "etcd-a=https://127.9.1.1:2380,etcd-b=https://127.9.1.2:2380,etcd-c=https://127.9.1.3:2380"
	for _, tc := range []struct {
		reason         string
		start          EtcdStart
		cluster, state string
	}{
		{"all members of a new guest found its cluster", EtcdNew, all, "new"},
		{"a member that was replaced joins the others", EtcdJoin, all, "existing"},
		{"a sealed member has nobody to join, so that it refuses", EtcdSealed, "etcd-b=https://127.9.1.2:2380", "existing"},
	} {
		in := input(v1alpha1.Zonal, Guest, LatestRevision())
		before, err := Render(in)
		if err != nil {
			t.Fatal(err)
		}
		in.EtcdStarts = map[string]EtcdStart{"etcd-b": tc.start}
		after, err := Render(in)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"--initial-cluster=" + tc.cluster, "--initial-cluster-state=" + tc.state, "--initial-cluster-token=abcdefghij"}
		if diff := cmp.Diff(want, after.Components[1].FirstArgs); diff != "" {
			t.Errorf("%s: first arguments differ (-want +got):\n%s", tc.reason, diff)
		}
		after.Components[1].FirstArgs = before.Components[1].FirstArgs
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("%s: more than the first arguments differ (-want +got):\n%s", tc.reason, diff)
		}
	}
}

func checkGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: run 'go test ./internal/controlplane -update' and read what it wrote", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// readable is the manifest as YAML with the files' contents as text.
func readable(t *testing.T, manifest Manifest) []byte {
	t.Helper()
	data, err := json.Marshal(manifest)
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(data, &tree); err != nil {
		t.Fatal(err)
	}
	for i, component := range tree["components"].([]any) {
		for j, file := range component.(map[string]any)["files"].([]any) {
			if content := manifest.Components[i].Files[j].Content; content != nil {
				file.(map[string]any)["content"] = string(content)
			}
		}
	}
	out, err := yaml.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRenderRefuses(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(*Input)
		want   []string
	}{
		"NoHost":          {"a component without an address", func(in *Input) { delete(in.Hosts, "etcd-b") }, []string{"no address for etcd-b", "reserve"}},
		"BadHost":         {"it becomes a flag and a name in a certificate", func(in *Input) { in.Hosts["etcd-b"] = "a b" }, []string{"etcd-b", `"a b"`}},
		"OldRevision":     {"dropped by this build", func(in *Input) { in.Order.RenderRevision = 0 }, []string{"renderRevision 0", "[1 2 3 4]"}},
		"NewRevision":     {"ordered by a newer hub", func(in *Input) { in.Order.RenderRevision = 5 }, []string{"renderRevision 5", "[1 2 3 4]"}},
		"TwoZones":        {"no quorum when one is gone", func(in *Input) { in.Order.Zones = []string{"a", "b"} }, []string{"exactly 3"}},
		"FourZones":       {"an even number gains nothing", func(in *Input) { in.Order.Zones = []string{"a", "b", "c", "d"} }, []string{"exactly 3"}},
		"NoZones":         {"a Single one needs a home", func(in *Input) { in.Order.Availability, in.Order.Zones = v1alpha1.Single, nil }, []string{"needs one"}},
		"SameZone":        {"two members would die together", func(in *Input) { in.Order.Zones = []string{"a", "b", "a"} }, []string{`"a" is named twice`}},
		"BadZone":         {"it becomes part of names", func(in *Input) { in.Order.Zones = []string{"a", "b", "../c"} }, []string{`"../c"`}},
		"NoAvailability":  {"an old order", func(in *Input) { in.Order.Availability = "" }, []string{"Single", "Zonal"}},
		"BadProfile":      {"a programming mistake", func(in *Input) { in.Profile = "cell" }, []string{`"cell"`, "guest", "hub"}},
		"BadID":           {"it becomes a path", func(in *Input) { in.Order.ID = "../x" }, []string{`id "../x"`}},
		"BadVersion":      {"it becomes a path", func(in *Input) { in.Order.Version = "../x" }, []string{`version "../x"`, "v1.2.3"}},
		"BadEtcdVersion":  {"it becomes a path", func(in *Input) { in.Order.EtcdVersion = "3.6" }, []string{`etcdVersion "3.6"`}},
		"NoServices":      {"kube-apiserver would take its own default", func(in *Input) { in.Order.Network.ServiceCIDR = "" }, []string{"network.serviceCIDR", "10.96.0.0/16"}},
		"UnmaskedPods":    {"two ways to write one network", func(in *Input) { in.Order.Network.PodCIDR = "10.244.1.0/16" }, []string{"podCIDR", "shortest form"}},
		"SmallPods":       {"not one node's pods fit", func(in *Input) { in.Order.Network.PodCIDR = "10.244.0.0/25" }, []string{"8 to 24"}},
		"LargeServices":   {"kube-apiserver refuses it", func(in *Input) { in.Order.Network.ServiceCIDR = "10.0.0.0/8" }, []string{"12 to 24"}},
		"IPv6":            {"not supported yet", func(in *Input) { in.Order.Network.PodCIDR = "fd00::/64" }, []string{"IPv4"}},
		"NoLimit":         {"kube-apiserver takes 0 for no limit", func(in *Input) { in.Order.Tuning.MaxRequestsInFlight = 0 }, []string{"tuning.maxRequestsInFlight 0"}},
		"NoMemory":        {"the heap would be collected without end", func(in *Input) { in.Order.Tuning.APIServerMemory = new(resource.MustParse("0")) }, []string{"tuning.apiServerMemory 0"}},
		"NegativeQuota":   {"etcd would take its own default", func(in *Input) { in.Order.EtcdQuotaBytes = -1 }, []string{"etcdQuotaBytes -1"}},
		"Overlap":         {"a Service could shadow a pod", func(in *Input) { in.Order.Network.ServiceCIDR = "10.244.0.0/20" }, []string{"overlap"}},
		"ManyAreReported": {"one look shows all", func(in *Input) { in.Hosts = nil; in.Order.Version = "" }, []string{"version", "etcd-a", "kube-scheduler-b"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			in := input(v1alpha1.Zonal, Guest, 2)
			tc.change(&in)
			_, err := Render(in)
			if err == nil {
				t.Fatalf("%s: no error", tc.reason)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %q is not in: %v", tc.reason, want, err)
				}
			}
		})
	}
}

func TestRenderFrozen(t *testing.T) {
	in := input(v1alpha1.Zonal, Guest, 2)
	in.Frozen = true
	manifest, err := Render(in)
	if err != nil {
		t.Fatal(err)
	}
	for _, component := range manifest.Components {
		if want := component.Kind != Etcd; component.Stopped != want {
			t.Errorf("%s: stopped %t, want %t: only the data stays", component.Name, component.Stopped, want)
		}
	}
}

func TestRenderNamedHosts(t *testing.T) {
	in := input(v1alpha1.Single, Guest, 2)
	for name := range in.Hosts {
		in.Hosts[name] = name + ".guest.svc"
	}
	manifest, err := Render(in)
	if err != nil {
		t.Fatal(err)
	}
	for _, component := range manifest.Components {
		args := strings.Join(component.Args, "\n")
		if !strings.Contains(args, "0.0.0.0") || strings.Contains(args, "--advertise-address") {
			t.Errorf("%s cannot listen on a name, got\n%s", component.Name, args)
		}
	}
}

// TestRenderHoldsTogether checks what every manifest must keep, whatever is ordered.
func TestRenderHoldsTogether(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := input(
			rapid.SampledFrom([]v1alpha1.Availability{v1alpha1.Single, v1alpha1.Zonal}).Draw(t, "availability"),
			rapid.SampledFrom([]Profile{Guest, Hub}).Draw(t, "profile"),
			rapid.SampledFrom(Revisions()).Draw(t, "revision"),
		)
		in.Frozen = rapid.Bool().Draw(t, "frozen")
		manifest, err := Render(in)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Render(in)
		if diff := cmp.Diff(manifest, again); diff != "" || err != nil {
			t.Fatalf("the second manifest differs: %v\n%s", err, diff)
		}
		var started []string
		for _, component := range manifest.Components {
			checkFiles(t, component)
			checkZone(t, in, component)
			for _, name := range component.After {
				if !slices.Contains(started, name) {
					t.Errorf("%s waits for %s, which comes later or never", component.Name, name)
				}
			}
			started = append(started, component.Name)
		}
	})
}

// checkFiles: every file that a flag or the probe names exists, every certificate has its files, and
// what is renewed needs no restart.
func checkFiles(t *rapid.T, component Component) {
	files := map[string]File{}
	for _, file := range component.Files {
		if _, twice := files[file.Path]; twice {
			t.Errorf("%s: file %s twice", component.Name, file.Path)
		}
		files[file.Path] = file
	}
	named := []string{component.Probe.CAFile, component.Probe.CertFile, component.Probe.KeyFile}
	for _, arg := range component.Args {
		if _, path, ok := strings.Cut(arg, ConfigDir+"/"); ok {
			named = append(named, path)
		}
	}
	for _, path := range named {
		if _, ok := files[path]; path != "" && !ok {
			t.Errorf("%s: no file %s", component.Name, path)
		}
	}
	for _, certificate := range component.Certificates {
		for path, from := range map[string]string{
			certificate.Name + ".crt": CertificateFile(certificate.Name), certificate.Name + ".key": CertificateKey(certificate.Name),
		} {
			if file := files[path]; file.From != from || !file.Live {
				t.Errorf("%s: file %s is from %q, live %t", component.Name, path, file.From, file.Live)
			}
		}
		if slices.Contains(certificate.Organizations, "system:masters") {
			t.Errorf("%s: certificate %s is above all rules", component.Name, certificate.Name)
		}
	}
}

// checkZone: a component names no host outside of its zone; etcd must know its peers.
func checkZone(t *rapid.T, in Input, component Component) {
	if component.Kind == Etcd {
		return
	}
	text := strings.Join(component.Args, "\n")
	for _, file := range component.Files {
		text += string(file.Content)
	}
	for _, other := range Instances(&in.Order, in.Profile) {
		if other.Zone != component.Zone && strings.Contains(text, in.Hosts[other.Name]+":") {
			t.Errorf("%s depends on %s in another zone", component.Name, other.Name)
		}
	}
}
