package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/objects"
	"github.com/myriad-fleet/myriad/test/lab"
)

// TestLabResizeInPlace gives the components of a running guest twice the CPU and memory, and takes it
// away again, under load. No pod and no container is replaced, no request fails, and the kernel holds
// every container to what was ordered.
func TestLabResizeInPlace(t *testing.T) {
	// A guest of its own: the kubelet takes no memory from a container that has been restarted once
	// (v1.36: it cannot tell how much the dead container uses).
	g := labFleet(t).create(t, "elastic", "--region", "eu-frankfurt", "--availability", "zonal")
	plane, err := g.controlPlane(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	small := plane.Spec.Size
	resize := func(size v1alpha1.ControlPlaneSize) {
		g.order(t, func(spec *v1alpha1.ControlPlaneSpec) { spec.Size = size })
	}
	g.limitedTo(t, small)
	before, pods := g.instances(t), g.podRuns(t)
	run := g.patientLoad(t, 511)
	quiet(t, run)
	for _, step := range []struct {
		name string
		size v1alpha1.ControlPlaneSize
	}{{"up", twice(small)}, {"down", small}} {
		run.Mark(step.name)
		resize(step.size)
		g.limitedTo(t, step.size)
		g.healthy(t, nil)
		quiet(t, run)
	}
	if err := stop(t, run).Flawless(); err != nil {
		t.Error(err)
	}
	g.sameInstances(t, before, "resizing")
	if diff := cmp.Diff(pods, g.podRuns(t)); diff != "" {
		t.Errorf("resizing replaced pods or restarted containers (-before +after):\n%s", diff)
	}
}

// podRuns tells the pods of the guest apart from others, and their containers' runs.
func (g *guest) podRuns(t *testing.T) map[string]string {
	t.Helper()
	runs := map[string]string{}
	for component, pod := range g.pods(t) {
		runs[component] = fmt.Sprintf("pod %s, %d restarts", pod.UID, pod.Status.ContainerStatuses[0].RestartCount)
	}
	return runs
}

// limitedTo waits until the cgroups of all containers hold them to a size.
func (g *guest) limitedTo(t *testing.T, size v1alpha1.ControlPlaneSize) {
	t.Helper()
	wanted := map[string]lab.Limits{}
	for kind, component := range sizes(&size) {
		wanted[kind] = lab.Limits{MilliCPU: component.CPULimit.MilliValue(), Memory: component.MemoryLimit.Value()}
	}
	eventually(t, healBudget, "the limits of every container's cgroup", func(context.Context) (string, bool) {
		var wrong []string
		pods := g.pods(t)
		for _, component := range slices.Sorted(maps.Keys(pods)) {
			kind := pods[component].Labels[objects.LabelKind]
			limits, err := g.lab.Limits(pods[component], kind)
			if err != nil || limits != wanted[kind] {
				wrong = append(wrong, fmt.Sprintf("%s has %+v (error: %v), want %+v", component, limits, err, wanted[kind]))
			}
		}
		return fmt.Sprintf("%d pods, wrong: %q", len(pods), wrong), len(pods) == 10 && len(wrong) == 0
	})
}

func sizes(size *v1alpha1.ControlPlaneSize) map[string]*v1alpha1.ComponentSize {
	return map[string]*v1alpha1.ComponentSize{
		"etcd": &size.Etcd, "kube-apiserver": &size.APIServer,
		"kube-controller-manager": &size.ControllerManager, "kube-scheduler": &size.Scheduler,
	}
}

func twice(size v1alpha1.ControlPlaneSize) v1alpha1.ControlPlaneSize {
	double := *size.DeepCopy()
	for _, component := range sizes(&double) {
		for _, amount := range []*resource.Quantity{&component.CPU, &component.Memory, component.CPULimit, component.MemoryLimit} {
			amount.Add(amount.DeepCopy())
		}
	}
	return double
}
