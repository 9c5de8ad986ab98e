package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Limits that the kernel holds a container to, as its cgroup says.
type Limits struct {
	// CPU time per second in thousandths of a core; 0: no limit.
	MilliCPU int64
	// Memory in bytes; 0: no limit.
	Memory int64
}

// Limits of a running container.
func (l *Lab) Limits(pod *corev1.Pod, container string) (Limits, error) {
	cgroup, err := containerCgroup(pod, container)
	if err != nil {
		return Limits{}, fmt.Errorf("limits of %s/%s %s: %w", pod.Namespace, pod.Name, container, err)
	}
	quota, quotaErr := cgroupNumber("cpu", cgroup, "cpu.cfs_quota_us")
	period, periodErr := cgroupNumber("cpu", cgroup, "cpu.cfs_period_us")
	memory, memoryErr := cgroupNumber("memory", cgroup, "memory.limit_in_bytes")
	if err := errors.Join(quotaErr, periodErr, memoryErr); err != nil {
		return Limits{}, fmt.Errorf("limits of %s/%s %s: %w", pod.Namespace, pod.Name, container, err)
	}
	var limits Limits
	if quota > 0 && period > 0 {
		limits.MilliCPU = quota * 1000 / period
	}
	const noLimit = 1 << 62 // the kernel's, rounded down to pages
	if memory < noLimit {
		limits.Memory = memory
	}
	return limits, nil
}

// containerCgroup is where a pod's container is, below every hierarchy.
func containerCgroup(pod *corev1.Pod, container string) (string, error) {
	for _, status := range pod.Status.ContainerStatuses {
		_, id, found := strings.Cut(status.ContainerID, "://")
		if status.Name != container || !found {
			continue
		}
		// Guaranteed pods lie in kubepods, others in a directory of their class below it.
		pattern := filepath.Join(cgroupMount, freezer, name, "*", "kubepods")
		for _, class := range []string{"", "burstable", "besteffort"} {
			matches, err := filepath.Glob(filepath.Join(pattern, class, "pod"+string(pod.UID), id))
			if err == nil && len(matches) == 1 {
				return filepath.Rel(filepath.Join(cgroupMount, freezer), matches[0])
			}
		}
		return "", fmt.Errorf("container %s has no cgroup", id)
	}
	return "", errors.New("its status names no such container")
}

func cgroupNumber(hierarchy, cgroup, file string) (int64, error) {
	text, err := os.ReadFile(filepath.Join(cgroupMount, hierarchy, cgroup, file))
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
}

// DestroyVolume removes the directory of a claim's volume with all that is in it, as when a disk dies.
// Processes that hold files open go on writing to what nobody finds again. The volume and its claim
// stay: a pod that starts anew finds nothing to mount until both are replaced.
func (l *Lab) DestroyVolume(ctx context.Context, namespace, claim string) error {
	client, err := l.Client()
	if err != nil {
		return err
	}
	found, err := client.CoreV1().PersistentVolumeClaims(namespace).Get(ctx, claim, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("destroy the volume of %s/%s: %w", namespace, claim, err)
	}
	volume, err := client.CoreV1().PersistentVolumes().Get(ctx, found.Spec.VolumeName, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("destroy the volume of %s/%s: %w", namespace, claim, err)
	}
	if volume.Spec.Local == nil || !strings.HasPrefix(volume.Spec.Local.Path, l.dir+"/") {
		return fmt.Errorf("destroy the volume of %s/%s: %s is no directory of the lab", namespace, claim, volume.Name)
	}
	return os.RemoveAll(volume.Spec.Local.Path)
}

// Resources that everything of the lab takes.
type Resources struct {
	// CPU time since its cgroup was made, in nanoseconds.
	CPU int64
	// Memory in bytes that is not backed by files.
	Memory int64
}

// Usage of everything in the lab, pods included.
func (l *Lab) Usage() (Resources, error) {
	used, err := cgroupNumber("cpuacct", name, "cpuacct.usage")
	if err != nil {
		return Resources{}, fmt.Errorf("lab %s: read what it takes: %w", l.dir, err)
	}
	statistics, err := os.ReadFile(filepath.Join(cgroupMount, "memory", name, "memory.stat"))
	if err != nil {
		return Resources{}, fmt.Errorf("lab %s: read what it takes: %w", l.dir, err)
	}
	for line := range strings.Lines(string(statistics)) {
		if value, found := strings.CutPrefix(line, "total_rss "); found {
			memory, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			return Resources{CPU: used, Memory: memory}, err
		}
	}
	return Resources{}, fmt.Errorf("lab %s: read what it takes: memory.stat has no total_rss", l.dir)
}
