package e2e

import (
	"context"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
)

// writesBackBudget in seconds after kill -9 of one process.
const writesBackBudget = 5

// TestEveryProcessOfAGuestMayDie kills each process of a Zonal guest in turn.
func TestEveryProcessOfAGuestMayDie(t *testing.T) {
	g := steadyGuest(t)
	run := g.load(t, 201)
	quiet(t, run)
	for _, component := range slices.Sorted(maps.Keys(g.instances(t))) {
		restarts := g.restarts(t)
		restarts[component]++
		run.Mark(component)
		g.killComponent(t, component)
		g.healthy(t, restarts)
		quiet(t, run)
	}
	report := stop(t, run)
	if err := report.Consistent(); err != nil {
		t.Error(err)
	}
	if len(report.Marks) != 10 {
		t.Errorf("a Zonal guest has 3 etcds, 3 API servers, 2 controller managers and 2 schedulers; %d processes were killed", len(report.Marks))
	}
	for _, mark := range report.Marks {
		if mark.WritesBackSeconds > writesBackBudget {
			t.Errorf("after kill -9 of %s writes are back within %.1fs, want %ds", mark.Name, mark.WritesBackSeconds, writesBackBudget)
		}
		if mark.Failed > 0 && !strings.HasPrefix(mark.Name, "etcd") && !strings.HasPrefix(mark.Name, "kube-apiserver") {
			t.Errorf("kill -9 of %s serves nobody's requests, but %d failed", mark.Name, mark.Failed)
		}
	}
}

// TestEachGatewayMayDie kills the gateways of a region in turn.
func TestEachGatewayMayDie(t *testing.T) {
	g := steadyGuest(t)
	before := g.instances(t)
	run := g.load(t, 202)
	quiet(t, run)
	for _, gateway := range []string{"gateway-1", "gateway-2"} {
		run.Mark(gateway)
		g.kill(t, "platform/gateway-eu-frankfurt/"+gateway)
		quiet(t, run)
	}
	report := stop(t, run)
	if err := report.Consistent(); err != nil {
		t.Error(err)
	}
	for _, mark := range report.Marks {
		if mark.WritesBackSeconds > writesBackBudget {
			t.Errorf("after kill -9 of %s writes are back within %.1fs, want %ds", mark.Name, mark.WritesBackSeconds, writesBackBudget)
		}
	}
	g.sameInstances(t, before, "kill -9 of the gateways")
}

// TestHubAndAgentMayDie kills everything that manages guests and serves none of their requests:
// guests must not notice.
func TestHubAndAgentMayDie(t *testing.T) {
	g := steadyGuest(t)
	before := g.instances(t)
	run := g.patientLoad(t, 203)
	quiet(t, run)
	manages := []string{
		"platform/controllers/hub",
		"platform/hub/kube-controller-manager-hub",
		"platform/hub/kube-apiserver-hub",
		"platform/hub/etcd-hub",
	}
	// The cell's agent, and where guests are processes their supervisor.
	manages = append(manages, slices.Sorted(maps.Keys(g.pids(t, g.daemons())))...)
	for _, instance := range manages {
		run.Mark(path.Base(instance))
		g.kill(t, instance)
	}
	run.Mark("supervisor of the platform")
	supervisor, err := g.Supervisor()
	if err != nil {
		t.Fatal(err)
	}
	if err := supervisor.Kill(); err != nil {
		t.Fatal(err)
	}
	run.Mark("myriad up")
	g.mustUp(t, "--no-hello")
	g.healthy(t, nil)
	quiet(t, run)
	if err := stop(t, run).Flawless(); err != nil {
		t.Error(err)
	}
	g.sameInstances(t, before, "kill -9 of hub, agent and supervisors")

	// What came back has adopted what runs: it heals it, and tells of it.
	restarts, scheduler := g.restarts(t), g.anyOf(t, "kube-scheduler")
	restarts[scheduler]++
	g.killComponent(t, scheduler)
	g.healthy(t, restarts)
}

// daemons of the guest's cell, as their instances begin.
func (g *guest) daemons() string { return "platform/cell-" + g.cell + "/" }

// TestGuestHealsWithoutHubAndAgent: the cell's supervisor, or its kubelets, need neither to restart what
// dies.
func TestGuestHealsWithoutHubAndAgent(t *testing.T) {
	g := steadyGuest(t)
	supervisor, err := g.Supervisor()
	if err != nil {
		t.Fatal(err)
	}
	if err := supervisor.Kill(); err != nil { // so that nothing brings hub and agent back
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), upBudget)
		defer cancel()
		if err := g.up(ctx, "--no-hello"); err != nil {
			t.Error(err)
		}
	})
	for _, instance := range []string{g.daemons() + "agent", "platform/controllers/hub", "platform/hub/kube-apiserver-hub", "platform/hub/etcd-hub"} {
		g.killOnly(t, instance)
	}
	g.killComponent(t, "kube-apiserver-a")
	g.killComponent(t, "etcd-b")
}
