package process

import (
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/myriad-fleet/myriad/internal/controlplane"
)

// TestZoneByZone restarts the members of a quorum and watches the processes: a member is never replaced
// while the API server of its zone runs, and only one zone is down at a time.
func TestZoneByZone(t *testing.T) {
	b := newBench(t)
	m := manifest(server(t, "etcd-a", "a"), server(t, "etcd-b", "b"), server(t, "api-a", "a", "etcd-a"), server(t, "api-b", "b", "etcd-b"),
		server(t, "kcm-a", "a", "api-a"))
	m.Components[0].Kind, m.Components[1].Kind = controlplane.Etcd, controlplane.Etcd
	b.apply(m)
	before := b.ready("g")
	for i := range 2 {
		m.Components[i].Args = append(m.Components[i].Args, "new")
	}
	b.apply(m)
	seen := map[string]string{} // the last process of each component
	eventually(t, "both members run with their new specification", func() bool {
		all, err := findProcesses(b.dir + "/g/")
		if err != nil {
			t.Fatal(err)
		}
		specs := map[string]string{}
		for _, f := range all {
			specs[f.instance[strings.LastIndexByte(f.instance, '/')+1:]] = f.spec
		}
		for _, zone := range []string{"a", "b"} {
			member, server := "etcd-"+zone, "api-"+zone
			if specs[member] == "" && specs[server] != "" {
				t.Fatalf("%s is down while %s runs", member, server)
			}
			if specs[server] == "" && specs["api-"+other(zone)] == "" {
				t.Fatal("two zones are down at once")
			}
			seen[member] = specs[member]
		}
		return seen["etcd-a"] == specHash(&m.Components[0]) && seen["etcd-b"] == specHash(&m.Components[1])
	})
	after := b.ready("g")
	for i, c := range b.observe("g").Components {
		if rode := before[i] == after[i]; rode != (c.Name == "kcm-a") || c.Restarts != 0 {
			t.Errorf("%s: process %d became %d, %d restarts counted", c.Name, before[i], after[i], c.Restarts)
		}
	}
}

func other(zone string) string { return map[string]string{"a": "b", "b": "a"}[zone] }

// TestApplyIsSeen: from the moment when an apply returns it is seen whether a component runs as wanted.
func TestApplyIsSeen(t *testing.T) {
	var s *Supervisor // asked without a socket between, which would hide what is late
	b := newBench(t, func(made *Supervisor) { s = made })
	x := program(t, "stubborn", "x", "a")
	x.StopSeconds = 3600 // longer than the test: one process all the time
	b.apply(manifest(x))
	b.ready("g")
	for i := range 1000 { // it is a race
		changed := i%2 == 0
		x.Env = nil
		if changed {
			x.Env = []string{"CHANGED=1"}
		}
		m := manifest(x)
		if err := s.apply(t.Context(), &m); err != nil {
			t.Fatal(err)
		}
		if c, _ := s.observe("g").Component("x"); c.Outdated != changed || c.Ready {
			t.Fatalf("change %d: outdated is %t, ready %t", i, c.Outdated, c.Ready)
		}
	}
}

// A controller manager gives up while its API server is restarted: that is no death of its own.
func TestForsaken(t *testing.T) {
	b := newBench(t)
	m := manifest(program(t, "stubborn", "api-a", "a"), server(t, "kcm-a", "a", "api-a"))
	b.apply(m)
	before := b.ready("g")
	m.Components[0].Args = append(m.Components[0].Args, "new")
	m.Components[0].StopSeconds = 60
	b.apply(m) // it ignores SIGTERM
	eventually(t, "the API server is told to end", func() bool { return !b.component("g", "api-a").Ready })
	if err := syscall.Kill(before[1], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "that is seen while it is", func() bool { return b.component("g", "kcm-a").PID != before[1] })
	if err := syscall.Kill(before[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	var after []int
	eventually(t, "both run again", func() bool {
		after = b.ready("g")
		return !slices.Contains(after, before[0]) && !slices.Contains(after, before[1])
	})
	if c := b.component("g", "kcm-a"); c.Restarts != 0 || c.LastExit != "" {
		t.Errorf("what the restart of its API server did to it was counted: %+v", c)
	}
	if err := syscall.Kill(after[1], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a death of its own counts again", func() bool { return b.component("g", "kcm-a").Restarts == 1 })
}
