package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Container of a pod, as the kernel and the zone's containerd know it: of a dead zone the cell's API
// server does not.
type Container struct {
	// Zone that it runs in.
	Zone string
	// Namespace, Pod and PodUID of its pod, and Name in it.
	Namespace, Pod, PodUID, Name string
	// ID is another one after each restart.
	ID string
	// PID of its first process, as this machine counts.
	PID int
	// cgroup below the root of each hierarchy.
	cgroup string
}

// Annotations that containerd's CRI plugin writes into a container's OCI configuration
// (internal/cri/annotations).
const (
	annotationType      = "io.kubernetes.cri.container-type"
	annotationName      = "io.kubernetes.cri.container-name"
	annotationNamespace = "io.kubernetes.cri.sandbox-namespace"
	annotationPod       = "io.kubernetes.cri.sandbox-name"
	annotationPodUID    = "io.kubernetes.cri.sandbox-uid"
)

// Containers that run in a namespace's pods, and are not frozen.
func (l *Lab) Containers(namespace string) ([]Container, error) {
	var running []Container
	for _, zone := range Zones() {
		pattern := l.node(zone).path("containerd", "state", "io.containerd.runtime.v2.task", "k8s.io", "*")
		bundles, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("list containers of zone %s: %w", zone, err)
		}
		for _, bundle := range bundles {
			container, err := readContainer(zone, bundle)
			if err != nil {
				return nil, fmt.Errorf("read container %s of zone %s: %w", filepath.Base(bundle), zone, err)
			}
			if container != nil && container.Namespace == namespace && container.runs() {
				running = append(running, *container)
			}
		}
	}
	return running, nil
}

// readContainer reads a bundle. It is nil for a pod's sandbox, and for what comes or goes right now.
func readContainer(zone, bundle string) (*Container, error) {
	raw, configErr := os.ReadFile(filepath.Join(bundle, "config.json"))
	pid, pidErr := os.ReadFile(filepath.Join(bundle, "init.pid"))
	if err := errors.Join(configErr, pidErr); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	var config struct {
		Annotations map[string]string `json:"annotations"`
		Linux       struct {
			CgroupsPath string `json:"cgroupsPath"`
		} `json:"linux"`
	}
	// A file that is being written is empty or half: its container does not run yet.
	if json.Unmarshal(raw, &config) != nil || config.Annotations[annotationType] != "container" {
		return nil, nil
	}
	number, err := strconv.Atoi(strings.TrimSpace(string(pid)))
	if err != nil {
		return nil, nil
	}
	return &Container{
		Zone:      zone,
		Namespace: config.Annotations[annotationNamespace],
		Pod:       config.Annotations[annotationPod],
		PodUID:    config.Annotations[annotationPodUID],
		Name:      config.Annotations[annotationName],
		ID:        filepath.Base(bundle),
		PID:       number,
		cgroup:    config.Linux.CgroupsPath,
	}, nil
}

// runs tells whether the container's first process is alive, in its cgroup, and not frozen.
func (c *Container) runs() bool {
	procs, err := os.ReadFile(filepath.Join(cgroupMount, freezer, c.cgroup, "cgroup.procs"))
	if err != nil || isFrozen(c.cgroup) {
		return false
	}
	for field := range strings.FieldsSeq(string(procs)) {
		if field == strconv.Itoa(c.PID) {
			return true
		}
	}
	return false
}

// Limit reads a file of the container's cgroup, such as "memory.limit_in_bytes" of the hierarchy
// "memory".
func (c *Container) Limit(hierarchy, file string) (int64, error) {
	text, err := os.ReadFile(filepath.Join(cgroupMount, hierarchy, c.cgroup, file))
	if err != nil {
		return 0, fmt.Errorf("read the limits of container %s: %w", c.Name, err)
	}
	return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
}
