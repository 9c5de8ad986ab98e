package distribution

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// linkFlags leave out symbol tables and debugging information, a third of a program's size.
const linkFlags = "-s -w"

// multicall is the source in distro/kubernetes that both of its binaries share.
const multicall = "multicall/multicall.go"

// Builder makes the programs of a Set, each version once per machine, in a cache that every
// checkout shares.
type Builder struct {
	Source  string // the repository's distro directory, with the modules that pin upstream
	Cache   string // see CacheDir
	Console Console
}

// recipe is how a project's programs are compiled: everything that the result depends on.
type recipe struct {
	project, version string
	module           string   // the directory of the nested module
	inputs           []string // the files in it that decide what is built
	toolchain        string   // Go's version and the target platform
	outputs          []output
	links            []string // further names of the first output
}

// output is one executable and the arguments of `go build` that make it.
type output struct {
	name      string
	arguments []string
}

// KubernetesVersions lists the versions that distro/kubernetes pins, oldest first.
func (b *Builder) KubernetesVersions() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(b.Source, projectKubernetes, "v*.mod"))
	if err != nil {
		return nil, fmt.Errorf("list the pinned versions: %w", err)
	}
	var found []*semver.Version
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".mod")
		if version, err := semver.StrictNewVersion(strings.TrimPrefix(name, "v")); err == nil {
			found = append(found, version)
		}
	}
	slices.SortFunc(found, (*semver.Version).Compare)
	versions := make([]string, 0, len(found))
	for _, version := range found {
		versions = append(versions, "v"+version.String())
	}
	return versions, nil
}

// BuildKubernetes compiles one version of Kubernetes ("v1.36.3") from the Go module proxy where
// that was not done before, and returns the directory of its programs. It takes about five
// minutes on two cores.
func (b *Builder) BuildKubernetes(ctx context.Context, version string) (string, error) {
	return b.buildKubernetes(ctx, projectKubernetes, ".", "main.go", version)
}

// buildKubernetes compiles the multi-call binary whose package is pkg in distro/kubernetes and
// whose source is main there.
func (b *Builder) buildKubernetes(ctx context.Context, project, pkg, main, version string) (string, error) {
	pinned, err := b.KubernetesVersions()
	if err != nil {
		return "", err
	}
	if !slices.Contains(pinned, version) {
		return "", fmt.Errorf("build Kubernetes %q: %s pins only %s: run 'distro/kubernetes/pin %s' to add it, or 'make distro VERSION=%s FROM=https://dl.k8s.io' to download it",
			version, filepath.Join(b.Source, projectKubernetes), strings.Join(pinned, ", "), version, version)
	}
	parsed, err := semver.StrictNewVersion(version[1:])
	if err != nil {
		return "", fmt.Errorf("build Kubernetes %q: %w", version, err)
	}
	return b.build(ctx, recipe{
		project: project,
		version: version,
		module:  filepath.Join(b.Source, projectKubernetes),
		inputs:  []string{main, multicall, version + ".mod", version + ".sum"},
		outputs: []output{{project, []string{"-modfile=" + version + ".mod", "-ldflags", stamp(parsed), pkg}}},
		links:   programsOf(project),
	})
}

// stamp returns the linker flags that make Kubernetes report its version, as upstream's own
// build sets them. Without them it calls itself v0.0.0-master. The proxy does not tell the commit.
func stamp(version *semver.Version) string {
	variables := fmt.Sprintf("gitVersion=v%s gitMajor=%d gitMinor=%d gitTreeState=clean gitCommit=unknown", version, version.Major(), version.Minor())
	var flags strings.Builder
	flags.WriteString(linkFlags)
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		for variable := range strings.FieldsSeq(variables) {
			fmt.Fprintf(&flags, " -X %s.%s", pkg, variable)
		}
	}
	return flags.String()
}

// BuildEtcd compiles the version of etcd that distro/etcd pins where that was not done before,
// and returns the version ("v3.6.16") and the directory of its programs. It takes about a minute
// on two cores.
func (b *Builder) BuildEtcd(ctx context.Context) (version, dir string, err error) {
	packages := map[string]string{"etcd": "server", "etcdctl": "etcdctl", "etcdutl": "etcdutl"}
	plan := recipe{project: projectEtcd, inputs: []string{"go.mod", "go.sum"}}
	return b.buildPinned(ctx, plan, "go.etcd.io/etcd/server/v3", func(name, _ string) []string {
		return []string{"-ldflags", linkFlags, "go.etcd.io/etcd/" + packages[name] + "/v3"}
	})
}

// buildPinned carries out a recipe for the version of upstream, a Go module, that the project's
// own module pins. Arguments are those of `go build` for a program and that version.
func (b *Builder) buildPinned(ctx context.Context, plan recipe, upstream string, arguments func(program, version string) []string) (version, dir string, err error) {
	plan.module = filepath.Join(b.Source, plan.project)
	plan.version, err = goOutput(ctx, plan.module, "list", "-m", "-f", "{{.Version}}", upstream)
	if err != nil {
		return "", "", fmt.Errorf("read which %s %s pins: %w", projects[plan.project].title, plan.module, err)
	}
	for _, name := range programsOf(plan.project) {
		plan.outputs = append(plan.outputs, output{name, arguments(name, plan.version)})
	}
	dir, err = b.build(ctx, plan)
	return plan.version, dir, err
}

// build carries a recipe out, once.
func (b *Builder) build(ctx context.Context, plan recipe) (string, error) {
	name := projects[plan.project].title + " " + plan.version
	var err error
	if plan.toolchain, err = goOutput(ctx, plan.module, "env", "GOVERSION", "GOOS", "GOARCH", "GOEXPERIMENT"); err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	key, err := plan.key()
	if err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	dir, err := b.store().get(ctx, key, plan.project, b.waiting(name), func(dir string) error {
		return b.compile(ctx, plan, name, dir)
	})
	if err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	return dir, nil
}

// key names what a recipe makes: the same key means the same programs.
func (r recipe) key() (string, error) {
	sum := sha256.New()
	fmt.Fprintf(sum, "%q %q %q %q", r.toolchain, r.outputs, r.links, environment)
	for _, input := range r.inputs {
		content, err := os.ReadFile(filepath.Join(r.module, input))
		if err != nil {
			return "", fmt.Errorf("read what to build: %w", err)
		}
		fmt.Fprintf(sum, "\n%s %d\n", input, len(content))
		sum.Write(content)
	}
	return fmt.Sprintf("%s-%s-%s", r.project, r.version, hex.EncodeToString(sum.Sum(nil))), nil
}

// compile makes a recipe's programs in dir and asks one of them for its version.
func (b *Builder) compile(ctx context.Context, plan recipe, name, dir string) error {
	shown, done := b.Console.begin(name)
	defer done()
	b.Console.sayf("%s: compiling from the Go module proxy", name)
	counter := &counter{activity: shown}
	for _, output := range plan.outputs {
		arguments := append([]string{"-trimpath", "-o", filepath.Join(dir, output.name)}, output.arguments...)
		if err := goBuild(ctx, plan.module, counter, arguments); err != nil {
			return err
		}
	}
	for _, link := range plan.links {
		if err := os.Symlink(plan.outputs[0].name, filepath.Join(dir, link)); err != nil {
			return fmt.Errorf("name a program: %w", err)
		}
	}
	if err := checkVersion(ctx, plan.project, plan.version, dir); err != nil {
		return err
	}
	done()
	b.Console.sayf("%s: compiled in %s", name, shown.elapsed())
	return nil
}

// checkVersion makes sure that the programs in dir run here and are of the version asked for.
func checkVersion(ctx context.Context, project, version, dir string) error {
	for _, program := range programsOf(project) {
		actual, err := askVersion(ctx, program, filepath.Join(dir, program))
		if err != nil {
			return err
		}
		if actual != version {
			return fmt.Errorf("%s says that it is %s, not %s", program, actual, version)
		}
	}
	return nil
}

// store is where this builder's results are kept.
func (b *Builder) store() store {
	return store{dir: filepath.Join(b.Cache, "distro"), clock: b.Console.Clock}
}

// waiting tells that another process does the same work.
func (b *Builder) waiting(name string) func() {
	return func() { b.Console.sayf("%s: another process is making it, waiting", name) }
}
