package distribution

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// writeScript makes a program that prints the given line.
func writeScript(t *testing.T, path, line string) {
	t.Helper()
	writeFile(t, path, fmt.Appendf(nil, "#!/bin/sh\necho '%s'\n", line), 0o755)
}

func writeFile(t *testing.T, path string, content []byte, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, mode); err != nil {
		t.Fatal(err)
	}
}

// writeVersion makes every program of a version in the layout of 'make distro'.
func writeVersion(t *testing.T, dir, project, version string) {
	t.Helper()
	for _, name := range programsOf(project) {
		writeScript(t, filepath.Join(dir, project, version, name), version)
	}
}

// ownExecutable is the test's own program, an executable of this machine's architecture.
func ownExecutable(t *testing.T) []byte {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func open(t *testing.T, dirs ...string) *Set {
	t.Helper()
	set, err := Open(dirs...)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// checkError compares an error with the words that it has to have; none: no error.
func checkError(t *testing.T, reason string, err error, words ...string) {
	t.Helper()
	if len(words) == 0 && err != nil {
		t.Errorf("%s: unexpected error: %v", reason, err)
	}
	for _, word := range words {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: got error %v, want one with %q", reason, err, word)
		}
	}
}

func TestPathOfBrokenPrograms(t *testing.T) {
	foreign := ownExecutable(t)[:64]
	machineOffset := 18 // e_machine in the header of every ELF file
	binary.LittleEndian.PutUint16(foreign[machineOffset:], uint16(elf.EM_SPARCV9))
	tests := []struct {
		name, reason string
		content      []byte
		mode         os.FileMode
		want         []string
	}{{
		name:    "whole",
		reason:  "an executable of this machine can be run",
		content: ownExecutable(t),
		mode:    0o755,
	}, {
		name:    "not executable",
		reason:  "copies through archives and USB sticks lose the mode",
		content: ownExecutable(t),
		mode:    0o644,
		want:    []string{"kube-apiserver is not executable", "chmod +x"},
	}, {
		name:    "wrong architecture",
		reason:  "the download page offers several architectures",
		content: append(foreign, ownExecutable(t)[64:]...),
		mode:    0o755,
		want:    []string{"kube-apiserver is broken", "built for EM_SPARCV9, this machine is"},
	}, {
		name:    "cut off",
		reason:  "a full disk leaves the first part of a copy",
		content: ownExecutable(t)[:4096],
		mode:    0o755,
		want:    []string{"kube-apiserver is broken", "no whole Linux executable", "make distro VERSION=v1.36.3"},
	}, {
		name:   "empty",
		reason: "a full disk leaves an empty copy",
		mode:   0o755,
		want:   []string{"kube-apiserver is broken: it is empty"},
	}}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "kubernetes", "v1.36.3", "kube-apiserver")
			writeFile(t, path, test.content, test.mode)
			got, err := open(t, dir).Path("kube-apiserver", "v1.36.3")
			checkError(t, test.reason, err, test.want...)
			if err == nil && got != path {
				t.Errorf("%s: got %s, want %s", test.reason, got, path)
			}
		})
	}
}

func TestPathOfMissingPrograms(t *testing.T) {
	dir := t.TempDir()
	writeVersion(t, dir, projectKubernetes, "v1.36.3")
	writeVersion(t, dir, projectEtcd, "v3.6.16")
	dangling := filepath.Join(dir, "kubernetes", "v1.34.4", "kubectl")
	if err := os.MkdirAll(filepath.Dir(dangling), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("gone", dangling); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, reason     string
		program, version string
		want             []string
	}{{
		name:    "there",
		reason:  "what is there is found",
		program: "kubectl", version: "v1.36.3",
	}, {
		name:    "no such version",
		reason:  "the person should learn which file was looked for and the command that makes it",
		program: "kubectl", version: "v1.35.4",
		want: []string{"Kubernetes v1.35.4: kubectl is missing", filepath.Join(dir, "kubernetes/v1.35.4/kubectl"), "run 'make distro VERSION=v1.35.4'"},
	}, {
		name:    "no such etcd",
		reason:  "VERSION is Kubernetes' version, so it must not be suggested for etcd",
		program: "etcd", version: "v3.5.0",
		want: []string{"etcd v3.5.0: etcd is missing", "run 'make distro'"},
	}, {
		name:    "dangling link",
		reason:  "a cache that was cleared leaves links to nothing",
		program: "kubectl", version: "v1.34.4",
		want: []string{dangling + " cannot be read", "run 'make distro VERSION=v1.34.4'"},
	}, {
		name:    "no such program",
		reason:  "a typing error in a manifest is no missing file",
		program: "kube-porxy", version: "v1.36.3",
		want: []string{`"kube-porxy" is no program`, "kube-proxy, kube-scheduler"},
	}, {
		name:    "no such node",
		reason:  "what a lab needs has a target of its own in the Makefile",
		program: "kubelet", version: "v1.35.4",
		want: []string{"Kubernetes for nodes v1.35.4: kubelet is missing", "run 'make lab-distro VERSION=v1.35.4'"},
	}, {
		name:    "no such CoreDNS",
		reason:  "VERSION is Kubernetes' version, here too",
		program: "coredns", version: "v1.15.0",
		want: []string{"CoreDNS v1.15.0: coredns is missing", "run 'make lab-distro'"},
	}}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := open(t, dir).Path(test.program, test.version)
			checkError(t, test.reason, err, test.want...)
		})
	}
}

func TestFlatDirectory(t *testing.T) {
	flat, laidOut, calls := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "calls")
	for _, name := range programsOf(projectKubernetes) {
		writeScript(t, filepath.Join(flat, name), "Kubernetes v1.36.3")
	}
	server := filepath.Join(flat, "kube-apiserver")
	writeFile(t, server, fmt.Appendf(nil, "#!/bin/sh\necho called >>%s\necho 'Kubernetes v1.36.3'\n", calls), 0o755)
	writeScript(t, filepath.Join(laidOut, "etcd"), "etcd Version: 3.6.16")
	writeVersion(t, laidOut, projectKubernetes, "v1.35.4")
	set := open(t, flat, laidOut)

	for range 3 {
		if path, err := set.Path("kube-apiserver", "v1.36.3"); err != nil || path != server {
			t.Errorf("got %q, %v; want %s", path, err, server)
		}
	}
	if content, _ := os.ReadFile(calls); string(content) != "called\n" {
		t.Errorf("the program was asked for its version this often: %q; want once", content)
	}
	path, err := set.Path("kubectl", "v1.35.4")
	if want := filepath.Join(laidOut, "kubernetes/v1.35.4/kubectl"); err != nil || path != want {
		t.Errorf("got %q, %v; want the next directory's %s", path, err, want)
	}
	if _, err := set.Path("etcd", "v3.6.16"); err != nil {
		t.Errorf("etcd prints no v before its version, which must not matter: %v", err)
	}
	_, err = set.Path("kube-apiserver", "v1.34.4")
	checkError(t, "what is there instead helps to see the mistake", err, server+" of v1.36.3")
	got, err := set.KubernetesVersions()
	if diff := cmp.Diff([]string{"v1.35.4", "v1.36.3"}, got); err != nil || diff != "" {
		t.Errorf("versions of both layouts count: %v\n%s", err, diff)
	}

	writeScript(t, server, "Kubernetes v1.36.10 of another length")
	if _, err := set.Path("kube-apiserver", "v1.36.10"); err != nil {
		t.Errorf("a program that was replaced is asked again: %v", err)
	}
}

func TestFlatProgramWithoutVersion(t *testing.T) {
	dir := t.TempDir()
	writeScript(t, filepath.Join(dir, "kubectl"), "hello")
	_, err := open(t, dir).Path("kubectl", "v1.36.3")
	checkError(t, "a program of the same name may be something else", err, "kubectl", "it printed none")
	writeFile(t, filepath.Join(dir, "etcd"), []byte("#!/bin/sh\necho no libc >&2\nexit 3\n"), 0o755)
	_, err = open(t, dir).Path("etcd", "v3.6.16")
	checkError(t, "what a program complains about is the cause", err, "exit status 3", "no libc")
}

func TestVersions(t *testing.T) {
	dir := t.TempDir()
	for _, version := range []string{"v1.36.3", "v1.9.11", "v1.34.4"} {
		writeVersion(t, dir, projectKubernetes, version)
	}
	if err := os.Remove(filepath.Join(dir, "kubernetes/v1.34.4/kubectl")); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "kubernetes/notes.txt"), nil, 0o644)
	set := open(t, dir)
	got, err := set.KubernetesVersions()
	if diff := cmp.Diff([]string{"v1.9.11", "v1.36.3"}, got); err != nil || diff != "" {
		t.Errorf("complete versions in their order: %v\n%s", err, diff)
	}
	_, err = set.EtcdVersions()
	checkError(t, "nothing to run is an error with a remedy", err, "no version of etcd", dir, "run 'make distro'")
}

func TestVersionsNamesWhatIsBroken(t *testing.T) {
	dir := t.TempDir()
	writeVersion(t, dir, projectKubernetes, "v1.36.3")
	path := filepath.Join(dir, "kubernetes/v1.36.3/kube-scheduler")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := open(t, dir).KubernetesVersions()
	checkError(t, "the only version is broken", err, path+" is not executable")
}

func TestOpen(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	writeFile(t, file, nil, 0o644)
	_, err := Open()
	checkError(t, "no directory", err, "no directory was named")
	_, err = Open(file + "s")
	checkError(t, "a directory that is not there", err, file+"s: no such directory", "make distro")
	_, err = Open(file)
	checkError(t, "a file", err, "it is a file")
}
