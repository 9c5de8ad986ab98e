package images

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/myriad-fleet/myriad/internal/distribution"
)

// names are the images of the distribution that newDistribution makes.
var names = []string{
	"registry.k8s.io/kube-apiserver:v1.99.1",
	"registry.k8s.io/kube-controller-manager:v1.99.1",
	"registry.k8s.io/kube-scheduler:v1.99.1",
	"registry.k8s.io/etcd:3.99.2-0",
	"registry.k8s.io/coredns/coredns:v1.98.0",
	"registry.k8s.io/pause:3.10",
}

func writeScript(t *testing.T, path, line string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, fmt.Appendf(nil, "#!/bin/sh\necho '%s'\n", line), 0o755); err != nil {
		t.Fatal(err)
	}
}

// newDistribution makes the programs of a distribution as `make distro` and `make lab-distro` lay
// them out: Kubernetes as one file with several names, here of two versions.
func newDistribution(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, version := range []string{"v1.99.1", "v1.9.0"} {
		binary := filepath.Join(dir, "kubernetes", version, "kubernetes")
		writeScript(t, binary, "Kubernetes "+version)
		for _, link := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"} {
			if err := os.Symlink("kubernetes", filepath.Join(filepath.Dir(binary), link)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, program := range []string{"etcd", "etcdctl", "etcdutl"} {
		writeScript(t, filepath.Join(dir, "etcd/v3.99.2", program), program)
	}
	writeScript(t, filepath.Join(dir, "coredns/v1.98.0/coredns"), "CoreDNS-1.98.0")
	return dir
}

func write(t *testing.T, distro, dir string) []Image {
	t.Helper()
	set, err := distribution.Open(distro)
	if err != nil {
		t.Fatal(err)
	}
	images, err := Write(t.Context(), set, dir)
	if err != nil {
		t.Fatal(err)
	}
	return images
}

// load reads an image from its archive, as a container runtime would find it.
func load(t *testing.T, image Image) v1.Image {
	t.Helper()
	tag, err := name.NewTag(image.Name)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := tarball.ImageFromPath(image.Archive, &tag)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// list describes what is in an image, a line per file.
func list(t *testing.T, image v1.Image) []string {
	t.Helper()
	content := mutate.Extract(image)
	defer content.Close()
	var lines []string
	for archive := tar.NewReader(content); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("%s %#o %d:%d", header.Name, header.Mode, header.Uid, header.Gid)
		if header.Linkname != "" {
			line += " -> " + header.Linkname
		}
		if !header.ModTime.Equal(epoch) {
			line += " " + header.ModTime.String()
		}
		lines = append(lines, line)
	}
}

func TestWrite(t *testing.T) {
	images := write(t, newDistribution(t), t.TempDir())
	var got []string
	for _, image := range images {
		got = append(got, image.Name)
		loaded := load(t, image)
		if err := validate.Image(loaded); err != nil {
			t.Errorf("%s: %v", image.Name, err)
		}
		config, err := loaded.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		command := strings.TrimSuffix(filepath.Base(strings.Split(image.Name, ":")[0]), "/")
		want := v1.Config{User: "65532:65532", Env: []string{"PATH=/usr/local/bin"}, Cmd: []string{command}, WorkingDir: "/"}
		if diff := cmp.Diff(want, config.Config); diff != "" {
			t.Errorf("%s: how it is run:\n%s", image.Name, diff)
		}
	}
	if diff := cmp.Diff(names, got); diff != "" {
		t.Errorf("images of the newest versions:\n%s", diff)
	}
	if archives := Archives(images); len(archives) != 4 {
		t.Errorf("got %q; want one archive for Kubernetes and one for each of etcd, CoreDNS and pause", archives)
	}
}

func TestContentOfImages(t *testing.T) {
	images := write(t, newDistribution(t), t.TempDir())
	common := []string{"tmp 01777 0:0", "usr 0755 0:0", "usr/local 0755 0:0", "usr/local/bin 0755 0:0"}
	tests := []struct {
		image, reason string
		want          []string
	}{{
		image:  "registry.k8s.io/kube-scheduler:v1.99.1",
		reason: "one file for all of Kubernetes' components, found by any name on the PATH",
		want: []string{
			"usr/local/bin/kubernetes 0755 0:0",
			"usr/local/bin/kube-apiserver 0777 0:0 -> kubernetes",
			"usr/local/bin/kube-controller-manager 0777 0:0 -> kubernetes",
			"usr/local/bin/kube-scheduler 0777 0:0 -> kubernetes",
		},
	}, {
		image:  "registry.k8s.io/etcd:3.99.2-0",
		reason: "what looks after etcd runs in its image, too",
		want:   []string{"usr/local/bin/etcd 0755 0:0", "usr/local/bin/etcdctl 0755 0:0", "usr/local/bin/etcdutl 0755 0:0"},
	}, {
		image:  Pause,
		reason: "nothing but the program",
		want:   []string{"usr/local/bin/pause 0755 0:0"},
	}}
	for _, test := range tests {
		for _, image := range images {
			if image.Name != test.image {
				continue
			}
			// An extracted image lists its upper layer first.
			if diff := cmp.Diff(append(test.want, common...), list(t, load(t, image))); diff != "" {
				t.Errorf("%s: %s:\n%s", test.image, test.reason, diff)
			}
		}
	}
}

func TestKubernetesImagesShareTheirLayers(t *testing.T) {
	images := write(t, newDistribution(t), t.TempDir())
	layers := map[v1.Hash]bool{}
	for _, image := range images[:3] {
		of, err := load(t, image).Layers()
		if err != nil {
			t.Fatal(err)
		}
		for _, layer := range of {
			digest, err := layer.DiffID()
			if err != nil {
				t.Fatal(err)
			}
			layers[digest] = true
		}
	}
	if len(layers) != 2 {
		t.Errorf("three images have %d layers; want the two that they share", len(layers))
	}
}

func TestSameProgramsMakeTheSameImages(t *testing.T) {
	digests := func(distro string) map[string]string {
		found := map[string]string{}
		for _, image := range write(t, distro, t.TempDir()) {
			digest, err := load(t, image).Digest()
			if err != nil {
				t.Fatal(err)
			}
			found[image.Name] = filepath.Base(image.Archive) + " " + digest.String()
		}
		return found
	}
	first, second := newDistribution(t), newDistribution(t)
	yesterday := time.Now().Add(-24 * time.Hour)
	for _, program := range []string{"kubernetes/v1.99.1/kubernetes", "etcd/v3.99.2/etcd"} {
		if err := os.Chtimes(filepath.Join(second, program), yesterday, yesterday); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(digests(first), digests(second)); diff != "" {
		t.Errorf("another place and another time made other images:\n%s", diff)
	}
}

func TestWriteReusesArchives(t *testing.T) {
	distro, dir := newDistribution(t), t.TempDir()
	// Archives of a name that merely begins the same belong to somebody else.
	other, err := WriteProgram(t.Context(), "example.org/etcd-tools:dev", filepath.Join(distro, "etcd/v3.99.2/etcdctl"), dir)
	if err != nil {
		t.Fatal(err)
	}
	first := write(t, distro, dir)
	before := identities(t, Archives(first))
	if diff := cmp.Diff(before, identities(t, Archives(write(t, distro, dir)))); diff != "" {
		t.Errorf("archives that are up to date were written again:\n%s", diff)
	}

	writeScript(t, filepath.Join(distro, "etcd/v3.99.2/etcd"), "changed")
	after := identities(t, Archives(write(t, distro, dir)))
	for archive := range before {
		_, kept := after[archive]
		if isEtcd := strings.HasPrefix(filepath.Base(archive), "etcd-"); kept == isEtcd {
			t.Errorf("another etcd: %s was kept: %t", archive, kept)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) != len(after)+1 {
		t.Errorf("what is out of date is gone: %d files for %d archives and another one: %v", len(left), len(after), err)
	}
	if _, err := os.Stat(other.Archive); err != nil {
		t.Error(err)
	}
}

// identities tells files apart from others that were put in their place.
func identities(t *testing.T, files []string) map[string]time.Time {
	t.Helper()
	found := map[string]time.Time{}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		found[file] = info.ModTime()
	}
	return found
}

func TestWriteFails(t *testing.T) {
	tests := []struct {
		reason string
		spoil  func(t *testing.T, distro string)
		want   []string
	}{{
		reason: "the lab's programs are made by a target of their own",
		spoil: func(t *testing.T, distro string) {
			if err := os.RemoveAll(filepath.Join(distro, "coredns")); err != nil {
				t.Fatal(err)
			}
		},
		want: []string{"CoreDNS", "run 'make lab-distro'"},
	}, {
		reason: "a cache that was cleared leaves links to nothing",
		spoil: func(t *testing.T, distro string) {
			for _, version := range []string{"v1.99.1", "v1.9.0"} {
				if err := os.Remove(filepath.Join(distro, "kubernetes", version, "kubernetes")); err != nil {
					t.Fatal(err)
				}
			}
		},
		want: []string{"Kubernetes", "run 'make distro"},
	}}
	for _, test := range tests {
		distro, dir := newDistribution(t), t.TempDir()
		test.spoil(t, distro)
		set, err := distribution.Open(distro)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Write(t.Context(), set, dir)
		for _, word := range test.want {
			if err == nil || !strings.Contains(err.Error(), word) {
				t.Errorf("%s: got %v, want an error with %q", test.reason, err, word)
			}
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
			t.Errorf("%s: left over: %q", test.reason, left)
		}
	}
}

func TestWriteProgram(t *testing.T) {
	executable := filepath.Join(t.TempDir(), "myriad")
	writeScript(t, executable, "myriad")
	image, err := WriteProgram(t.Context(), "myriad.dev/myriad:dev", executable, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if got := list(t, load(t, image))[0]; got != "usr/local/bin/myriad 0755 0:0" {
		t.Errorf("the program is not where it should be: %s", got)
	}
	_, err = WriteProgram(t.Context(), "Not A Name", executable, t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "Not A Name") {
		t.Errorf("got %v, want an error about the name", err)
	}
}
