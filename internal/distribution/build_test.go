package distribution

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/clock"
)

// sources are modules that build in a second, shaped like the real ones in distro/.
var sources = map[string]string{
	"kubernetes/go.mod":      "module example.org/kubernetes\n",
	"kubernetes/v1.99.1.mod": "module example.org/kubernetes\n\ngo 1.26.0\n\nrequire k8s.io/component-base v0.99.1\n\nreplace k8s.io/component-base => ./component-base\n",
	"kubernetes/v1.99.1.sum": "",
	"kubernetes/main.go": `package main

import (
	"fmt"

	"k8s.io/component-base/version"
)

func main() { fmt.Println("Kubernetes " + version.Get()) }
`,
	"kubernetes/multicall/multicall.go": "package multicall\n",
	"kubernetes/node/main.go": `package main

import (
	"fmt"

	"k8s.io/component-base/version"
)

func main() { fmt.Println("Kubernetes " + version.Get()) }
`,
	"kubernetes/component-base/go.mod": "module k8s.io/component-base\n\ngo 1.26.0\n",
	"kubernetes/component-base/version/version.go": `package version

var gitVersion = "v0.0.0-master"

func Get() string { return gitVersion }
`,
	"etcd/go.mod": "module example.org/etcd\n\ngo 1.26.0\n",
	"etcd/go.sum": "",
}

// newBuilder returns a builder of small modules, and what it shows.
func newBuilder(t *testing.T) (*Builder, *bytes.Buffer) {
	t.Helper()
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOFLAGS", "-mod=vendor") // a person's own flags must not matter
	var shown bytes.Buffer
	b := &Builder{
		Source:  t.TempDir(),
		Cache:   t.TempDir(),
		Console: Console{Writer: &shown, Clock: clock.RealClock{}},
	}
	for name, content := range sources {
		writeFile(t, filepath.Join(b.Source, name), []byte(content), 0o644)
	}
	for _, name := range []string{"server", "etcdctl", "etcdutl"} {
		module := filepath.Join(b.Source, "etcd", name)
		path := "go.etcd.io/etcd/" + name + "/v3"
		writeFile(t, filepath.Join(module, "go.mod"), []byte("module "+path+"\n\ngo 1.26.0\n"), 0o644)
		writeFile(t, filepath.Join(module, "main.go"), []byte("package main\n\nfunc main() { println(3) }\n"), 0o644)
		appendFile(t, filepath.Join(b.Source, "etcd/go.mod"), "require "+path+" v3.6.99\n\nreplace "+path+" => ./"+name+"\n")
	}
	return b, &shown
}

func appendFile(t *testing.T, path, content string) {
	t.Helper()
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, append(old, content...), 0o644)
}

func TestBuildKubernetes(t *testing.T) {
	b, shown := newBuilder(t)
	first, err := b.BuildKubernetes(t.Context(), "v1.99.1")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range programsOf(projectKubernetes) {
		version, err := askVersion(t.Context(), name, filepath.Join(first, name))
		if err != nil || version != "v1.99.1" {
			t.Errorf("%s says it is %q, %v; want the version that was asked for", name, version, err)
		}
	}
	if !strings.Contains(shown.String(), "Kubernetes v1.99.1: compiled in") {
		t.Errorf("the time it took is not shown:\n%s", shown)
	}

	shown.Reset()
	again, err := b.BuildKubernetes(t.Context(), "v1.99.1")
	if err != nil || again != first || shown.Len() > 0 {
		t.Errorf("a second build did something: %q, %v; shown:\n%s", again, err, shown)
	}

	for _, source := range []string{"main.go", "multicall/multicall.go"} {
		appendFile(t, filepath.Join(b.Source, "kubernetes", source), "\n// changed\n")
		changed, err := b.BuildKubernetes(t.Context(), "v1.99.1")
		if err != nil || changed == first {
			t.Errorf("a changed %s gave the old programs: %q, %v", source, changed, err)
		}
		first = changed
	}
}

func TestBuildKubernetesFails(t *testing.T) {
	b, _ := newBuilder(t)
	_, err := b.BuildKubernetes(t.Context(), "v1.98.0")
	checkError(t, "a version without a pin", err, `"v1.98.0"`, "pins only v1.99.1", "distro/kubernetes/pin v1.98.0", "FROM=")

	appendFile(t, filepath.Join(b.Source, "kubernetes/main.go"), "\nvar broken = missing\n")
	_, err = b.BuildKubernetes(t.Context(), "v1.99.1")
	checkError(t, "the compiler's complaint is the cause", err, "build Kubernetes v1.99.1", "undefined: missing")
	if diff := cmp.Diff([]string{}, listFinished(t, filepath.Join(b.Cache, "distro"))); diff != "" {
		t.Errorf("something of a failed build was kept:\n%s", diff)
	}
}

func TestBuildEtcd(t *testing.T) {
	b, _ := newBuilder(t)
	_, _, err := b.BuildEtcd(t.Context())
	checkError(t, "programs that are not what was asked for are refused", err, "build etcd v3.6.99", "it printed none")

	const source = "package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(\"etcd Version: 3.6.99\") }\n"
	for _, name := range []string{"server", "etcdctl", "etcdutl"} {
		writeFile(t, filepath.Join(b.Source, "etcd", name, "main.go"), []byte(source), 0o644)
	}
	version, dir, err := b.BuildEtcd(t.Context())
	if err != nil || version != "v3.6.99" {
		t.Fatalf("got %q, %v", version, err)
	}
	set := filepath.Join(t.TempDir(), "set")
	if err := LinkEtcd(set, version, dir); err != nil {
		t.Fatal(err)
	}
	if got, err := open(t, set).EtcdVersions(); err != nil || !cmp.Equal(got, []string{"v3.6.99"}) {
		t.Errorf("the set has %v, %v", got, err)
	}
}

func TestDefaultVersionIsPinned(t *testing.T) {
	root := filepath.Join("..", "..")
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(makefile), "\nVERSION ?= ")
	version, _, _ := strings.Cut(rest, "\n")
	b := &Builder{Source: filepath.Join(root, "distro")}
	if pinned, err := b.KubernetesVersions(); err != nil || !slices.Contains(pinned, version) {
		t.Errorf("the Makefile's default is %q, distro/kubernetes pins %v: %v", version, pinned, err)
	}
}

func TestCounter(t *testing.T) {
	shown := &activity{}
	c := &counter{activity: shown}
	for _, piece := range []string{
		"go: downloading k8s.io/api v0.36.3\ngo: downl", "oading k8s.io/kms v0.36.3\n",
	} {
		if _, err := c.Write([]byte(piece)); err != nil {
			t.Fatal(err)
		}
	}
	if shown.status != "2 modules downloaded" {
		t.Errorf("while downloading it shows %q", shown.status)
	}
	if _, err := c.Write([]byte("errors\nk8s.io/api/core/v1\n# example.org/broken\n./main.go:3:2: undefined: x\n")); err != nil {
		t.Fatal(err)
	}
	if shown.status != "2 packages compiled" {
		t.Errorf("while compiling it shows %q", shown.status)
	}
	if diff := cmp.Diff([]string{"# example.org/broken", "./main.go:3:2: undefined: x"}, c.complaints); diff != "" {
		t.Error(diff)
	}
}
