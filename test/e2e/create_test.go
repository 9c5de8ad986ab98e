package e2e

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// burstBudget is for 20 guests to become ready: 68 s on an idle machine of two cores (docs/benchmarks.md).
const burstBudget = 8 * time.Minute

func TestManyCreatesAtOnce(t *testing.T) {
	s := sharedFleet(t)
	const count = 20
	var names []string
	for i := range count {
		name := fmt.Sprintf("burst-%d", i)
		names = append(names, name)
		region := []string{"cn-hangzhou", "eu-frankfurt"}[i%2]
		s.run(t, "cluster", "create", name, "--region", region)
		t.Cleanup(func() { s.deleteCluster(t, "default", name) })
	}
	ctx, cancel := context.WithTimeout(t.Context(), burstBudget)
	defer cancel()
	if _, err := s.Run(ctx, append([]string{"cluster", "wait", "--timeout", burstBudget.String()}, names...)...); err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	var guests []*guest
	for _, name := range names {
		g := s.guest(t, "default", name)
		ids[g.id] = true
		guests = append(guests, g)
		for component, restarts := range g.restarts(t) {
			if restarts > 0 {
				t.Errorf("%s of %s was restarted %d times while it started", component, name, restarts)
			}
		}
	}
	if len(ids) != count {
		t.Errorf("%d clusters share ids: %v", count, ids)
	}
	s.run(t, append([]string{"cluster", "delete"}, names...)...)
	for _, g := range guests {
		g.gone(t)
	}
}

// TestDeleteWhileCreating deletes a cluster at each stage of its creation.
func TestDeleteWhileCreating(t *testing.T) {
	s := sharedFleet(t)
	stages := []struct {
		name   string
		wanted func(instances map[string]string) bool
	}{
		{"at once", func(map[string]string) bool { return true }},
		{"etcd runs", func(p map[string]string) bool { return len(p) >= 1 }},
		{"kube-apiserver runs", func(p map[string]string) bool { return len(p) >= 2 }},
		{"everything runs", func(p map[string]string) bool { return len(p) == 4 }},
	}
	for i, stage := range stages {
		t.Run(stage.name, func(t *testing.T) {
			name := fmt.Sprintf("doomed-%d", i)
			s.run(t, "cluster", "create", name, "--region", "eu-frankfurt")
			s.run(t, "cluster", "wait", name, "--for", "scheduled")
			g := s.guest(t, "default", name)
			eventually(t, createBudget, stage.name, func(context.Context) (string, bool) {
				instances := g.instances(t)
				return fmt.Sprint(instances), stage.wanted(instances)
			})
			s.run(t, "cluster", "delete", name)
			g.gone(t)
		})
	}
}

func TestCreateAgainUnderTheSameName(t *testing.T) {
	s := sharedFleet(t)
	first := s.create(t, "phoenix", "--region", "eu-frankfurt")
	s.kubectl(t, "phoenix", "create", "configmap", "mark")
	s.run(t, "cluster", "delete", "phoenix", "--wait=false")
	s.run(t, "cluster", "wait", "phoenix", "--for", "deleted")
	first.gone(t)
	second := s.create(t, "phoenix", "--region", "eu-frankfurt")
	if first.id == second.id {
		t.Errorf("the new cluster has the id %s of the one that was deleted", second.id)
	}
	if left := s.kubectl(t, "phoenix", "get", "configmap", "mark", "--ignore-not-found"); left != "" {
		t.Errorf("the new cluster holds data of the deleted one: %s", left)
	}
}

func TestTwoTenantsOneName(t *testing.T) {
	s := sharedFleet(t)
	guests := map[string]*guest{}
	for _, tenant := range []string{"team-a", "team-b"} {
		err := s.hub.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: tenant}})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
		guests[tenant] = s.createIn(t, tenant, "web", "--region", "eu-frankfurt")
		s.run(t, "-n", tenant, "kubectl", "web", "--", "create", "configmap", "owner", "--from-literal", "tenant="+tenant)
	}
	if a, b := guests["team-a"], guests["team-b"]; a.id == b.id || a.cell != b.cell {
		t.Errorf("want two guests in one cell, got %s in %s and %s in %s", a.id, a.cell, b.id, b.cell)
	}
	for tenant := range guests {
		owner := s.run(t, "-n", tenant, "kubectl", "web", "--", "get", "configmap", "owner", "--output", "jsonpath={.data.tenant}")
		if owner != tenant {
			t.Errorf("the cluster web of %s holds the data of %q", tenant, owner)
		}
	}
	s.run(t, "-n", "team-a", "cluster", "delete", "web")
	if owner := s.run(t, "-n", "team-b", "kubectl", "web", "--", "get", "configmap", "owner", "--output", "jsonpath={.data.tenant}"); owner != "team-b" {
		t.Errorf("after the cluster of team-a was deleted that of team-b holds the data of %q", owner)
	}
}

// TestAgentKilledAtEveryStepOfACreate kills the agent whenever something of the new guest changes. An agent that
// is quicker than the test's looks at its work dies fewer times: then another guest is created.
func TestAgentKilledAtEveryStepOfACreate(t *testing.T) {
	s := sharedFleet(t)
	rounds, total := 1, 0
	if full() {
		rounds = 5
	}
	for round := 0; round < rounds || total < 3 && round < rounds+5; round++ {
		name := fmt.Sprintf("hardy-%d", round)
		s.run(t, "cluster", "create", name, "--region", "eu-frankfurt")
		t.Cleanup(func() { s.deleteCluster(t, "default", name) })
		s.run(t, "cluster", "wait", name, "--for", "scheduled")
		g := s.guest(t, "default", name)
		const kills = 12
		agent := g.daemons() + "agent"
		seen, killed := "", 0
		eventually(t, createBudget, "four components of "+name, func(context.Context) (string, bool) {
			step := g.progress(t)
			if _, running := s.pids(t, agent)[agent]; running && step != seen && killed < kills {
				s.killOnly(t, agent)
				seen = step
				killed++
			}
			return fmt.Sprintf("%d kills, %s", killed, step), len(g.instances(t)) == 4
		})
		total += killed
		s.run(t, "cluster", "wait", name)
		s.run(t, "cluster", "delete", name)
		g.gone(t)
	}
	if total < 3 {
		t.Errorf("the agent was killed %d times only", total)
	}
}

// progress of a guest's creation: what the agent has written and what runs.
func (g *guest) progress(t *testing.T) string {
	t.Helper()
	var files []string
	for _, pattern := range []string{"agent/*/" + g.id + "*", "agent/*/" + g.id + "/*", "runtime/guests/" + g.id + "/*"} {
		found, err := filepath.Glob(filepath.Join(g.Home, "cells", g.cell, pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	return fmt.Sprint(len(files), slices.Sorted(maps.Keys(g.instances(t))))
}

// TestDeleteTakesSeconds: nothing of a Zonal guest is left soon after its deletion.
func TestDeleteTakesSeconds(t *testing.T) {
	s := sharedFleet(t)
	g := s.create(t, "brief", "--region", "eu-frankfurt", "--availability", "zonal")
	begun := time.Now()
	s.run(t, "cluster", "delete", "brief")
	if took := time.Since(begun); took > goneBudget {
		t.Errorf("a Zonal guest was deleted within %s, want %s", took, goneBudget)
	}
	g.gone(t)
}

// TestNoRoom: a Cluster that no cell can take stays, and says why.
func TestNoRoom(t *testing.T) {
	s := sharedFleet(t)
	s.run(t, "cell", "cordon", "fra-1")
	t.Cleanup(func() { s.run(t, "cell", "uncordon", "fra-1") })
	s.run(t, "cluster", "create", "patient", "--region", "eu-frankfurt")
	t.Cleanup(func() { s.deleteCluster(t, "default", "patient") })
	s.awaitCondition(t, "patient", v1alpha1.ConditionScheduled, metav1.ConditionFalse, v1alpha1.ReasonNoRoom, "fra-1")
	s.run(t, "cell", "uncordon", "fra-1")
	s.run(t, "cluster", "wait", "patient")
}

// awaitCondition waits for a condition of a cluster with a reason, if one is named, whose message has all
// of the words.
func (s *suite) awaitCondition(t *testing.T, name, kind string, status metav1.ConditionStatus, reason string, words ...string) {
	t.Helper()
	eventually(t, createBudget, fmt.Sprintf("condition %s=%s of cluster %s with reason %s that says %q", kind, status, name, reason, words), func(ctx context.Context) (string, bool) {
		var cluster v1alpha1.Cluster
		if err := s.hub.Get(ctx, client.ObjectKey{Namespace: "default", Name: name}, &cluster); err != nil {
			return err.Error(), false
		}
		for _, c := range cluster.Status.Conditions {
			missing := func(word string) bool { return !strings.Contains(c.Message, word) }
			if c.Type == kind && c.Status == status && (reason == "" || c.Reason == reason) && !slices.ContainsFunc(words, missing) {
				return "", true
			}
		}
		return fmt.Sprintf("%+v", cluster.Status.Conditions), false
	})
}
