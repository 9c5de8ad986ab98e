package lab

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// testFail: a zone fails whole, keeps its pods and volumes, and comes back by itself.
func testFail(f *fixture, t *testing.T, mode Mode) {
	ctx := t.Context()
	claim := "fail-" + string(mode)
	pod := f.run(ctx, t, f.pod(claim, "b", f.withVolume(ctx, t, claim)))
	other := f.running(ctx, t, "service-c")
	if _, err := request(ctx, http.MethodPut, pod.Status.PodIP, "/note", "remember"); err != nil {
		t.Fatal(err)
	}
	if err := f.Fail(ctx, "b", mode); err != nil {
		t.Fatal(err)
	}
	if _, err := get(ctx, pod.Status.PodIP, "/caller"); err == nil {
		t.Error("a pod of the failed zone still answers")
	}
	if _, err := get(ctx, other.Status.PodIP, "/caller"); err != nil {
		t.Errorf("another zone's pod does not answer: %v", err)
	}
	f.nodeIs(ctx, t, "b", false)
	if err := f.Restore(ctx, "b"); err != nil {
		t.Fatal(err)
	}
	f.nodeIs(ctx, t, "b", true)
	after := f.running(ctx, t, pod.Name)
	restarts := after.Status.ContainerStatuses[0].RestartCount
	if after.UID != pod.UID || mode == Hang && restarts != 0 || mode == Kill && restarts != 1 {
		t.Errorf("after %s the pod %s (before: %s) has %d restarts", mode, after.UID, pod.UID, restarts)
	}
	if note, err := get(ctx, after.Status.PodIP, "/note"); err != nil || note != "remember" {
		t.Errorf("the volume holds %q (%v) after its zone failed", note, err)
	}
}

// testUpAgain: up of a lab that runs changes nothing, and repairs one whose supervisor died.
func testUpAgain(f *fixture, t *testing.T) {
	ctx := t.Context()
	before := f.pids(ctx, t)
	if err := f.Up(ctx); err != nil {
		t.Fatal(err)
	}
	if after := f.pids(ctx, t); after != before {
		t.Errorf("another up restarted something: processes %s, then %s", before, after)
	}
	text, err := os.ReadFile(filepath.Join(f.supervisorDir(), "supervisor.lock"))
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(string(text), &pid); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := f.Up(ctx); err != nil {
		t.Fatal(err)
	}
	if after := f.pids(ctx, t); after != before {
		t.Errorf("the death of the supervisor restarted something: processes %s, then %s", before, after)
	}
	if _, err := get(ctx, f.running(ctx, t, "service-a").Status.PodIP, "/caller"); err != nil {
		t.Error(err)
	}
}

// pids of the lab's programs.
func (f *fixture) pids(ctx context.Context, t *testing.T) string {
	t.Helper()
	ids, err := f.supervisor().List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, id := range ids {
		observation, err := f.supervisor().Observe(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		for _, component := range observation.Components {
			all = append(all, fmt.Sprintf("%s:%d", component.Name, component.PID))
		}
	}
	return strings.Join(all, " ")
}

// pid of a zone's program; 0 while there is none.
func (f *fixture) pid(ctx context.Context, t *testing.T, zone, program string) int {
	t.Helper()
	observation, err := f.supervisor().Observe(ctx, nodeID(zone))
	if err != nil {
		t.Fatal(err)
	}
	component, _ := observation.Component(program + "-" + zone)
	return component.PID
}

func testUsage(f *fixture, t *testing.T) {
	usage, err := f.Usage()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d MiB, %.1f s of CPU time", usage.Memory>>20, float64(usage.CPU)/1e9)
	if limit := int64(5 << 29); usage.Memory > limit {
		t.Errorf("the lab takes %d MiB, more than %d", usage.Memory>>20, limit>>20)
	}
}

// machineSettings are those that a lab changes.
func machineSettings(t *testing.T) map[string]string {
	t.Helper()
	values := map[string]string{}
	for key := range machineSysctls {
		value, err := os.ReadFile(sysctlFile(key))
		if err != nil {
			t.Fatal(err)
		}
		values[key] = string(value)
	}
	return values
}

// testDown: nothing is left of a lab with pods, volumes and a failed zone.
func testDown(t *testing.T, l *Lab, before map[string]string) {
	t.Helper()
	ctx := t.Context()
	for zone, mode := range map[string]Mode{"a": Hang, "b": Kill} {
		if err := l.Fail(ctx, zone, mode); err != nil {
			t.Fatal(err)
		}
	}
	full, err := l.Inventory(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(full.Processes) == 0 || len(full.Namespaces) == 0 || len(full.Links) == 0 || len(full.Routes) == 0 || len(full.Cgroups) == 0 || len(full.Files) == 0 {
		t.Errorf("the inventory misses what there is: %+v", full)
	}
	if err := l.Down(ctx); err != nil {
		t.Fatal(err)
	}
	left, err := l.Inventory(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if !left.Empty() {
		t.Errorf("left after down: %+v", left)
	}
	for key, value := range machineSettings(t) {
		if value != before[key] {
			t.Errorf("%s is %q after down, and was %q", key, value, before[key])
		}
	}
}
