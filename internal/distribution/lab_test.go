package distribution

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// labSources are the modules of a lab's programs in small, beside those in sources.
var labSources = map[string]string{
	"containerd/go.mod": `module example.org/containerd

go 1.26.0

require github.com/containerd/containerd/v2 v2.99.1

replace github.com/containerd/containerd/v2 => ./upstream
`,
	"containerd/go.sum":                      "",
	"containerd/upstream/go.mod":             "module github.com/containerd/containerd/v2\n\ngo 1.26.0\n",
	"containerd/upstream/version/version.go": "package version\n\nvar Version = \"2.99.1+unknown\"\n",
	"coredns/go.mod": `module example.org/coredns

go 1.26.0

require github.com/coredns/coredns v1.99.2

replace github.com/coredns/coredns => ./upstream
`,
	"coredns/go.sum":                       "",
	"coredns/upstream/go.mod":              "module github.com/coredns/coredns\n\ngo 1.26.0\n",
	"coredns/upstream/coremain/version.go": "package coremain\n\nconst CoreVersion = \"1.99.2\"\n",
	"coredns/main.go": `package main

import (
	"fmt"

	"github.com/coredns/coredns/coremain"
)

func main() { fmt.Println("CoreDNS-" + coremain.CoreVersion) }
`,
	"kwok/go.mod": `module example.org/kwok

go 1.26.0

require sigs.k8s.io/kwok v0.99.3

replace sigs.k8s.io/kwok => ./upstream
`,
	"kwok/go.sum":                 "",
	"kwok/upstream/go.mod":        "module sigs.k8s.io/kwok\n\ngo 1.26.0\n",
	"kwok/upstream/pkg/consts.go": "package consts\n\nconst Version = \"v0.99.3\"\n",
	"kwok/main.go": `package main

import (
	"fmt"

	consts "sigs.k8s.io/kwok/pkg"
)

func main() { fmt.Println("kwok version", consts.Version, "go1.26.0") }
`,
}

// containerdProgram prints the version like those of containerd. It does not compile with a
// snapshotter that the recipe leaves out.
const containerdProgram = `//go:build no_btrfs && no_devmapper

package main

import (
	"fmt"

	"github.com/containerd/containerd/v2/version"
)

func main() { fmt.Println("containerd github.com/containerd/containerd/v2", version.Version) }
`

// addLabSources gives a builder what MakeLab compiles.
func addLabSources(t *testing.T, b *Builder) {
	t.Helper()
	for name, content := range labSources {
		writeFile(t, filepath.Join(b.Source, name), []byte(content), 0o644)
	}
	for _, name := range programsOf(projectContainerd) {
		writeFile(t, filepath.Join(b.Source, "containerd/upstream/cmd", name, "main.go"), []byte(containerdProgram), 0o644)
	}
}

func TestMakeLab(t *testing.T) {
	b, shown := newBuilder(t)
	addLabSources(t, b)
	set := t.TempDir()
	if err := b.MakeLab(t.Context(), "v1.99.1", set); err != nil {
		t.Fatal(err)
	}
	programs := open(t, set)
	want := map[string]string{
		"containerd":              "v2.99.1",
		"containerd-shim-runc-v2": "v2.99.1",
		"coredns":                 "v1.99.2",
		"ctr":                     "v2.99.1",
		"kube-proxy":              "v1.99.1",
		"kubelet":                 "v1.99.1",
		"kwok":                    "v0.99.3",
	}
	got := map[string]string{}
	for _, name := range listFinished(t, filepath.Join(set, "lab")) {
		version, err := askVersion(t.Context(), name, filepath.Join(set, "lab", name))
		if err != nil {
			t.Error(err)
		}
		got[name] = version
		if _, err := programs.Path(name, version); err != nil {
			t.Errorf("the set hands out what the lab has: %v", err)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("programs in lab/ and the versions that they say they are:\n%s", diff)
	}
	if versions, err := programs.CoreDNSVersions(); err != nil || !cmp.Equal(versions, []string{"v1.99.2"}) {
		t.Errorf("the set has CoreDNS %v, %v", versions, err)
	}
	if versions, err := programs.KwokVersions(); err != nil || !cmp.Equal(versions, []string{"v0.99.3"}) {
		t.Errorf("the set has kwok %v, %v", versions, err)
	}
	for _, line := range []string{"Kubernetes for nodes v1.99.1: compiled in", "containerd v2.99.1: compiled in", "CoreDNS v1.99.2: compiled in", "kwok v0.99.3: compiled in"} {
		if !strings.Contains(shown.String(), line) {
			t.Errorf("the time it took is not shown, %q:\n%s", line, shown)
		}
	}

	shown.Reset()
	if err := b.MakeLab(t.Context(), "v1.99.1", set); err != nil || shown.Len() > 0 {
		t.Errorf("a second call did something: %v; shown:\n%s", err, shown)
	}
}

func TestMakeLabBuildsEachProgramOnce(t *testing.T) {
	b, shown := newBuilder(t)
	addLabSources(t, b)
	if err := b.MakeLab(t.Context(), "v1.99.1", t.TempDir()); err != nil {
		t.Fatal(err)
	}
	shown.Reset()
	appendFile(t, filepath.Join(b.Source, "coredns/main.go"), "\n// another plugin\n")
	if err := b.MakeLab(t.Context(), "v1.99.1", t.TempDir()); err != nil {
		t.Fatal(err)
	}
	if text := shown.String(); !strings.Contains(text, "CoreDNS") || strings.Contains(text, "containerd") || strings.Contains(text, "nodes") {
		t.Errorf("only CoreDNS changed, but this was done:\n%s", text)
	}
	shown.Reset()
	if _, err := b.BuildKubernetes(t.Context(), "v1.99.1"); err != nil {
		t.Fatal(err)
	}
	shown.Reset()
	appendFile(t, filepath.Join(b.Source, "kubernetes/node/main.go"), "\n// changed\n")
	if _, err := b.BuildKubernetes(t.Context(), "v1.99.1"); err != nil || shown.Len() > 0 {
		t.Errorf("control planes do not depend on what nodes run: %v; shown:\n%s", err, shown)
	}
}

func TestMakeLabFails(t *testing.T) {
	b, _ := newBuilder(t)
	set := t.TempDir()
	checkError(t, "a checkout without the modules", b.MakeLab(t.Context(), "v1.99.1", set), "containerd")
	addLabSources(t, b)
	checkError(t, "a version without a pin", b.MakeLab(t.Context(), "v1.98.0", set), `"v1.98.0"`, "pins only v1.99.1")
	kubelet := filepath.Join(set, "lab/kubelet")
	if err := os.MkdirAll(kubelet, 0o755); err != nil {
		t.Fatal(err)
	}
	checkError(t, "somebody's directory is not replaced", b.MakeLab(t.Context(), "v1.99.1", set), "link kubelet v1.99.1", "remove "+kubelet)
}
