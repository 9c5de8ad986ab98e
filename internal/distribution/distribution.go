// Package distribution finds, builds and downloads the upstream programs that control planes run,
// Kubernetes and etcd, those that the nodes of a lab run, and kwok, which fakes nodes, each by its
// version.
package distribution

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The upstream projects, named like the directories of a Set.
const (
	projectKubernetes = "kubernetes"
	projectEtcd       = "etcd"
	projectNode       = "node" // what of Kubernetes runs on worker nodes
	projectContainerd = "containerd"
	projectCoreDNS    = "coredns"
	projectKwok       = "kwok"
)

// project is a group of programs that have one version.
type project struct {
	title  string // how messages name it
	target string // what of the Makefile makes it
	server string // the program that stands for the others when a directory is searched
}

// projects are the groups of programs that a Set hands out, by name.
var projects = map[string]project{
	projectKubernetes: {"Kubernetes", "distro", "kube-apiserver"},
	projectEtcd:       {"etcd", "distro", "etcd"},
	projectNode:       {"Kubernetes for nodes", "lab-distro", "kubelet"},
	projectContainerd: {"containerd", "lab-distro", "containerd"},
	projectCoreDNS:    {"CoreDNS", "lab-distro", "coredns"},
	projectKwok:       {"kwok", "lab-distro", "kwok"},
}

// versionTimeout bounds how long a program may take to print its version. They need about 0.1 s;
// the rest is room for a machine whose cores are all busy.
const versionTimeout = 30 * time.Second

// program is one executable of an upstream project.
type program struct {
	project string
	version []string // the arguments that make it print its version
}

// programs are the executables that a Set hands out, by name.
var programs = map[string]program{
	"kube-apiserver":          {projectKubernetes, []string{"--version"}},
	"kube-controller-manager": {projectKubernetes, []string{"--version"}},
	"kube-scheduler":          {projectKubernetes, []string{"--version"}},
	"kubectl":                 {projectKubernetes, []string{"version", "--client"}},
	"etcd":                    {projectEtcd, []string{"--version"}},
	"etcdctl":                 {projectEtcd, []string{"version"}},
	"etcdutl":                 {projectEtcd, []string{"version"}},
	"kubelet":                 {projectNode, []string{"--version"}},
	"kube-proxy":              {projectNode, []string{"--version"}},
	"containerd":              {projectContainerd, []string{"--version"}},
	"containerd-shim-runc-v2": {projectContainerd, []string{"-v"}},
	"ctr":                     {projectContainerd, []string{"--version"}},
	"coredns":                 {projectCoreDNS, []string{"-version"}},
	"kwok":                    {projectKwok, []string{"--version"}},
}

// versionPattern finds a release's version in what a program prints; etcd leaves the v out.
var versionPattern = regexp.MustCompile(`\bv?(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?)`)

// programsOf returns the sorted names of a project's programs.
func programsOf(project string) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(programs)) {
		if programs[name].project == project {
			names = append(names, name)
		}
	}
	return names
}

// askVersion runs a program to learn its version, with a leading v.
func askVersion(ctx context.Context, name, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	arguments := programs[name].version
	output, err := exec.CommandContext(ctx, path, arguments...).Output()
	if err != nil {
		if exit, failed := errors.AsType[*exec.ExitError](err); failed {
			output = exit.Stderr
		}
		return "", fmt.Errorf("ask %s for its version with %q: %w: %s", path, strings.Join(arguments, " "), err, strings.TrimSpace(string(output)))
	}
	found := versionPattern.FindSubmatch(output)
	if found == nil {
		return "", fmt.Errorf("ask %s for its version: it printed none: %q", path, output)
	}
	return "v" + string(found[1]), nil
}
