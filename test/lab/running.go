package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Container of a pod, as the kernel and the zone's containerd know it: of a dead zone the cell's API
// server does not.
type Container struct {
	// Zone that it runs in.
	Zone string
	// Namespace and Pod that it belongs to, and its Name in there.
	Namespace, Pod, Name string
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
)

// Containers that run in a namespace's pods, and are not frozen.
func (l *Lab) Containers(namespace string) ([]Container, error) {
	var running []Container
	for _, zone := range Zones() {
		pattern := l.node(zone).path("containerd", "state", "io.containerd.runtime.v2.task", "k8s.io", "*")
		bundles, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("list the containers of zone %s: %w", zone, err)
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
		Name:      config.Annotations[annotationName],
		ID:        filepath.Base(bundle),
		PID:       number,
		cgroup:    config.Linux.CgroupsPath,
	}, nil
}

// runs tells whether the container's first process is alive, in its cgroup, and not frozen.
func (c *Container) runs() bool {
	processes, err := os.ReadFile(filepath.Join(cgroupMount, freezer, c.cgroup, "cgroup.procs"))
	return err == nil && !isFrozen(c.cgroup) && slices.Contains(strings.Fields(string(processes)), strconv.Itoa(c.PID))
}
