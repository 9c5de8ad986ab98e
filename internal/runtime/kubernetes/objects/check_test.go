package objects

import (
	"net/netip"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
)

func TestBuildRefuses(t *testing.T) {
	type guest struct {
		*Cell
		*controlplane.Manifest
		*controlplane.Component // etcd-a
	}
	cases := map[string]struct {
		reason string
		change func(guest)
		want   string
	}{
		"No image":           {"the kubelet would refuse the pod", func(g guest) { g.Image = "" }, "component etcd-a: image: none is given"},
		"Bad image":          {"it could not be pulled", func(g guest) { g.Image = "Registry/UPPER:x" }, "component etcd-a: image"},
		"Floating image":     {"restarts would change the version", func(g guest) { g.Image = "registry.example/etcd" }, "no tag or digest"},
		"No program":         {"the image's own would run", func(g guest) { g.Program = "" }, "component etcd-a: program"},
		"Escaping file":      {"it names a file elsewhere", func(g guest) { g.Files[0].Path = "../x" }, `file "../x": it lies outside`},
		"Absolute file":      {"so does this", func(g guest) { g.Files[0].Path = "/x" }, `file "/x": it lies outside`},
		"Nested file":        {"a Secret has no directories", func(g guest) { g.Files[0].Path = "a/b" }, `file "a/b": it cannot be a Secret's key`},
		"File twice":         {"one would be lost", func(g guest) { g.Files[0].Path = g.Files[1].Path }, "it is given twice"},
		"Unresolved":         {"the program would read an empty key", func(g guest) { g.Files[0].Content = nil }, "resolve"},
		"Name too long":      {"labels of its pods would be refused", func(g guest) { g.Zone, g.Component.Name = strings.Repeat("z", 60), "etcd-"+strings.Repeat("z", 60) }, "no more than 52 characters"},
		"Name twice":         {"one would replace the other", func(g guest) { g.Components = append(g.Components, *g.Component) }, "used twice"},
		"Other name":         {"its Service is made by the name alone", func(g guest) { g.Component.Name = "etcd-b" }, "is called etcd-a"},
		"Unknown kind":       {"nobody knows its ports", func(g guest) { g.Kind = "konnectivity" }, `kind "konnectivity": use one of`},
		"No zone":            {"it would run anywhere", func(g guest) { g.Zone = "" }, "zone: none is given"},
		"After a later one":  {"it would wait for ever", func(g guest) { g.After = []string{"kube-apiserver-a"} }, "must come earlier"},
		"Limit below":        {"the cell would refuse the pod", func(g guest) { g.Size.MemoryLimit = quantity("1Mi") }, "size.memoryLimit 1Mi"},
		"Negative":           {"likewise", func(g guest) { g.Size.CPU = *quantity("-1") }, "size.cpu -1"},
		"Environment form":   {"a variable needs a name", func(g guest) { g.Env = []string{"GOGC"} }, "NAME=value"},
		"Environment twice":  {"one would be lost", func(g guest) { g.Env = []string{"HOME=/root"} }, "HOME is set already"},
		"Probe by client":    {"kubelets have no certificate", func(g guest) { g.Probe.CertFile = "probe.crt" }, "component etcd-a: probe: a kubelet"},
		"Probe by socket":    {"kubelets ask over TCP", func(g guest) { g.Probe.Socket = "/run/x" }, "component etcd-a: probe: a kubelet"},
		"Probe without port": {"there is nothing to ask", func(g guest) { g.Probe.Address = "10.0.0.1" }, "want host:port"},
		"Probe of port 0":    {"there is nothing to ask", func(g guest) { g.Probe.Address = "10.0.0.1:0" }, "1 to 65535"},
		"No id":              {"its namespace would have no name", func(g guest) { g.ID = "" }, `id ""`},
		"Long id":            {"its namespace would have no name", func(g guest) { g.ID = strings.Repeat("x", 57) }, "no more than 56"},
		"System":             {"Myriad itself lives there", func(g guest) { g.ID = "system" }, "Myriad's own"},
		"No volume":          {"etcd keeps its data there", func(g guest) { g.VolumeSize = resource.Quantity{} }, "volume size 0"},
		"No network":         {"it would open to nobody, or to all", func(g guest) { g.Agents = []netip.Prefix{{}} }, "network"},
		"Cell's name":        {"it becomes a label", func(g guest) { g.Cell.Name = "a b" }, "cell: name"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cell, manifest := testCell(), testManifest(t, v1alpha1.Single, nil)
			tc.change(guest{&cell, &manifest, &manifest.Components[0]})
			_, err := Build(cell, manifest)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: want an error with %q, got %v", tc.reason, tc.want, err)
			}
		})
	}
}

func quantity(text string) *resource.Quantity {
	q := resource.MustParse(text)
	return &q
}

func TestServicesRefuse(t *testing.T) {
	for name, tc := range map[string]struct{ reason, id, component, want string }{
		"Kind": {"nobody knows its ports", testID, "konnectivity-a", "<kind>-<zone>"},
		"Zone": {"it dies with none", testID, "etcd-", "<kind>-<zone>"},
		"Form": {"the cell would refuse it", testID, "etcd-A", "name"},
		"Id":   {"its namespace would have no name", "A", "etcd-a", "id"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Services(testCell(), tc.id, []string{tc.component}); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: want an error with %q, got %v", tc.reason, tc.want, err)
			}
		})
	}
}
