package process

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/myriad-fleet/myriad/internal/controlplane"
)

// newCrashBench runs the supervisor as a process of its own; kill ends it without a warning.
func newCrashBench(t *testing.T, dir string) (b *bench, kill func()) {
	t.Helper()
	b = &bench{t: t, dir: dir, Client: NewClient(dir)}
	t.Cleanup(func() { killBelow(t, dir) })
	return b, b.supervise()
}

func (b *bench) supervise() (kill func()) {
	b.t.Helper()
	self, err := os.Executable()
	if err != nil {
		b.t.Fatal(err)
	}
	command := exec.Command(self, "supervise", b.dir)
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		b.t.Fatal(err)
	}
	killed := false
	kill = func() {
		if !killed {
			killed = true
			_ = command.Process.Kill()
			_ = command.Wait()
		}
	}
	b.t.Cleanup(kill)
	b.waitServing()
	return kill
}

func TestAdoptionAfterKill(t *testing.T) {
	b, kill := newCrashBench(t, t.TempDir())
	b.apply(manifest(server(t, "etcd-a", "a"), server(t, "api-a", "a", "etcd-a"), server(t, "api-b", "b")))
	before := b.ready("g")
	kill()
	if got := len(b.processes()); got != 3 {
		t.Fatalf("%d processes outlive the supervisor, want 3", got)
	}
	kill = b.supervise()
	for _, c := range b.observe("g").Components {
		if !c.Ready {
			t.Errorf("%s was ready and runs on, but the new supervisor says %s at first", c.Name, c.State)
		}
	}
	if after := b.ready("g"); !slices.Equal(before, after) {
		t.Errorf("the new supervisor restarted something: %v became %v", before, after)
	}
	kill()
	if err := syscall.Kill(before[2], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	b.supervise()
	after := b.ready("g")
	if !slices.Equal(before[:2], after[:2]) || before[2] == after[2] {
		t.Errorf("process ids %v became %v: want the last one new only", before, after)
	}
	if got := b.component("g", "api-b"); got.Restarts != 1 || !strings.HasPrefix(got.LastExit, "ended while no supervisor ran") {
		t.Errorf("a death between supervisors: %+v", got)
	}
	if err := syscall.Kill(after[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the death of an adopted process is seen", func() bool { return b.component("g", "etcd-a").Restarts == 1 })
	b.ready("g")
}

// A supervisor that dies right after it started a process has written nothing about it.
func TestCrashBetweenForkAndRecord(t *testing.T) {
	b, kill := newCrashBench(t, t.TempDir())
	b.apply(manifest(server(t, "x", "a")))
	before := b.ready("g")
	kill()
	if err := os.Remove(b.path("g", "x", recordFile)); err != nil {
		t.Fatal(err)
	}
	b.supervise()
	if after := b.ready("g"); !slices.Equal(before, after) {
		t.Errorf("the process was started again: %v became %v", before, after)
	}
}

func TestKilledAgainAndAgain(t *testing.T) {
	b, kill := newCrashBench(t, t.TempDir())
	m := manifest(server(t, "x", "a"), server(t, "y", "a", "x"), server(t, "z", "a", "y"))
	b.apply(m)
	for range 5 { // wherever the start is by then
		kill()
		kill = b.supervise()
	}
	b.ready("g")
	if got := b.processes(); len(got) != 3 {
		t.Errorf("processes: %v, want one of each", got)
	}
	for _, c := range b.observe("g").Components {
		if c.Restarts > 0 {
			t.Errorf("%s was restarted: %s", c.Name, c.LastExit)
		}
	}
}

func TestLongPath(t *testing.T) {
	b, _ := newCrashBench(t, filepath.Join(t.TempDir(), strings.Repeat("long/", 30)))
	b.apply(manifest(server(t, "x", "a")))
	b.ready("g")
}

func TestTwoSupervisors(t *testing.T) {
	b := newBench(t)
	s, err := NewSupervisor(Options{Dir: b.dir})
	if err != nil {
		t.Fatal(err)
	}
	s.timing.lock = 20 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err = s.Run(ctx)
	if err == nil || !strings.Contains(err.Error(), "already has a supervisor, process ") {
		t.Errorf("Run() of a second supervisor: want an error that names the first, got %v", err)
	}
}

func TestDeletionGoesOn(t *testing.T) {
	b, kill := newCrashBench(t, t.TempDir())
	b.apply(manifest(server(t, "x", "a")))
	b.ready("g")
	kill()
	if err := os.Rename(b.path("g"), deletingDir(b.dir, "g")); err != nil { // as a deletion begins
		t.Fatal(err)
	}
	b.supervise()
	eventually(t, "nothing is left", func() bool {
		left, err := os.ReadDir(b.path())
		return err == nil && len(left) == 0 && len(b.processes()) == 0
	})
}

func TestDamagedManifest(t *testing.T) {
	b := newBench(t)
	m := manifest(server(t, "x", "a"), server(t, "y", "a"))
	b.apply(m)
	before := b.ready("g")
	b.stop()
	damage := func(content string) {
		t.Helper()
		if err := os.WriteFile(b.path("g", manifestFile), []byte(content), fileMode); err != nil {
			t.Fatal(err)
		}
	}
	damage(`{"id":"g","components":[`)
	b.restart()
	if ids, err := b.List(t.Context()); err != nil || !slices.Equal(ids, []string{"g"}) {
		t.Fatalf("List(): want the damaged guest, got %v, %v", ids, err)
	}
	b.apply(m)
	if after := b.ready("g"); !slices.Equal(before, after) {
		t.Errorf("applying again restarted something: %v became %v", before, after)
	}
	b.stop()
	damage("")
	b.restart()
	if err := b.Delete(t.Context(), "g"); err != nil || len(b.processes()) > 0 {
		t.Errorf("Delete() of a damaged guest: %v, processes %v", err, b.processes())
	}
}

func TestDamagedManifestStops(t *testing.T) {
	b := newBench(t)
	b.apply(manifest(server(t, "x", "a")))
	b.ready("g")
	b.stop()
	if err := os.Remove(b.path("g", manifestFile)); err != nil {
		t.Fatal(err)
	}
	b.restart()
	if err := b.Stop(t.Context()); err != nil || len(b.processes()) > 0 {
		t.Errorf("Stop(): %v, processes %v", err, b.processes())
	}
}

func TestBadManifests(t *testing.T) {
	b := newBench(t)
	good := server(t, "x", "a")
	with := func(change func(*controlplane.Component)) controlplane.Manifest {
		c := good
		change(&c)
		return manifest(c)
	}
	cases := map[string]struct {
		reason   string
		manifest controlplane.Manifest
		want     string
	}{
		"ID":         {"an id becomes a directory", controlplane.Manifest{ID: "../x"}, "DNS label"},
		"Name":       {"so does a name", with(func(c *controlplane.Component) { c.Name = "a/b" }), "DNS label"},
		"Twice":      {"names are unique", manifest(good, good), "used twice"},
		"After":      {"a wait that cannot end", with(func(c *controlplane.Component) { c.After = []string{"y"} }), `"y"`},
		"Program":    {"nothing to run", with(func(c *controlplane.Component) { c.Program = "" }), "no program"},
		"Env":        {"a variable has a value", with(func(c *controlplane.Component) { c.Env = []string{"A"} }), "NAME=value"},
		"Path":       {"files stay in the configuration directory", with(func(c *controlplane.Component) { c.Files = []controlplane.File{{Path: "../../x"}} }), "outside"},
		"Unresolved": {"secret material is filled in first", with(func(c *controlplane.Component) { c.Files = []controlplane.File{{Path: "k", From: "ca"}} }), "resolve"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := b.Apply(t.Context(), tc.manifest)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: Apply(): want an error with %q, got %v", tc.reason, tc.want, err)
			}
		})
	}
}
