package process

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

func manifest(components ...controlplane.Component) controlplane.Manifest {
	return controlplane.Manifest{ID: "g", Epoch: 1, Components: components}
}

func TestStartAndDelete(t *testing.T) {
	b := newBench(t)
	b.apply(manifest(server(t, "etcd-a", "a"), server(t, "api-a", "a", "etcd-a")))
	b.ready("g")
	if diff := cmp.Diff([]string{"g/etcd-a", "g/api-a"}, b.processes()); diff != "" {
		t.Errorf("processes in the order of their starts: -want +got:\n%s", diff)
	}
	for range 2 { // a second time must be no error
		if err := b.Delete(t.Context(), "g"); err != nil {
			t.Fatal(err)
		}
	}
	left, err := os.ReadDir(b.path())
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 || len(b.processes()) > 0 || b.observe("g").Exists {
		t.Errorf("Delete() left files %v, processes %v, observation %+v", left, b.processes(), b.observe("g"))
	}
}

func TestDeleteWhileStarting(t *testing.T) {
	b := newBench(t)
	for range 20 { // the next one comes at once
		b.apply(manifest(server(t, "etcd-a", "a"), server(t, "api-a", "a", "etcd-a")))
		if err := b.Delete(t.Context(), "g"); err != nil {
			t.Fatal(err)
		}
		if left := b.processes(); len(left) > 0 {
			t.Fatalf("Delete() left %v", left)
		}
	}
}

func TestRestartWithReason(t *testing.T) {
	b := newBench(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	notProgram := filepath.Join(b.dir, "broken")
	if err := os.WriteFile(notProgram, []byte{0x7f, 'E', 'L', 'F'}, 0o700); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		reason string
		change func(*controlplane.Component)
		want   []string
	}{
		"Fails":       {"status and message of a program that gives up", func(c *controlplane.Component) { c.Args = []string{"fail", "error: out of luck"} }, []string{"exit status 3 after ", "error: out of luck"}},
		"PortTaken":   {"a taken port is named", func(c *controlplane.Component) { c.Args[1] = taken.Addr().String() }, []string{"exit status 1", "address already in use", taken.Addr().String()}},
		"Missing":     {"a missing program is named", func(c *controlplane.Component) { c.Program = "/no/such/program" }, []string{"/no/such/program", "missing", "build or download"}},
		"Broken":      {"a broken program is told from a missing one", func(c *controlplane.Component) { c.Program = notProgram }, []string{notProgram, "no program for this machine"}},
		"NoPrograms":  {"a name needs a distribution", func(c *controlplane.Component) { c.Program = "etcd" }, []string{"program etcd", "absolute path"}},
		"DiskFullLog": {"a full disk is told", func(c *controlplane.Component) { c.Args = []string{"fail", "write wal: no space left on device"} }, []string{"no space left on device"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			id := "g" + strings.ToLower(name)
			component := server(t, "x", "a")
			tc.change(&component)
			b.apply(controlplane.Manifest{ID: id, Components: []controlplane.Component{component}})
			var got runtime.Component
			eventually(t, "the reason is told and it is tried again", func() bool {
				got = b.component(id, "x")
				return got.LastExit != "" && got.State == runtime.BackOff
			})
			for _, part := range tc.want {
				if !strings.Contains(got.LastExit, part) {
					t.Errorf("%s: LastExit %q does not contain %q", tc.reason, got.LastExit, part)
				}
			}
		})
	}
}

func TestRestartAfterKill(t *testing.T) {
	b := newBench(t)
	b.apply(manifest(server(t, "x", "a"), server(t, "y", "a")))
	before := b.ready("g")
	if err := syscall.Kill(before[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the restart is counted", func() bool { return b.component("g", "x").Restarts == 1 })
	after := b.ready("g")
	if after[0] == before[0] || after[1] != before[1] {
		t.Errorf("process ids %v became %v: want the first one new only", before, after)
	}
	if got := b.component("g", "x").LastExit; !strings.HasPrefix(got, "signal: killed after ") {
		t.Errorf("LastExit: %q", got)
	}
	b.restart()
	b.ready("g")
	if got := b.component("g", "x"); got.Restarts != 1 || got.LastExit == "" {
		t.Errorf("a new supervisor forgot the restart: %+v", got)
	}
}

func TestApplyChanges(t *testing.T) {
	cases := map[string]struct {
		reason  string
		change  func(c *controlplane.Component)
		restart bool
	}{
		"Same":    {"the same manifest does nothing", func(*controlplane.Component) {}, false},
		"Live":    {"live files are read by the program itself", func(c *controlplane.Component) { c.Files[0].Content = []byte("new $(DATA_DIR)") }, false},
		"Stop":    {"how it stops does not matter while it runs", func(c *controlplane.Component) { c.StopSeconds++ }, false},
		"First":   {"first arguments are for the next start", func(c *controlplane.Component) { c.FirstArgs = []string{"x"} }, false},
		"File":    {"other files are read at the start", func(c *controlplane.Component) { c.Files[1].Content = []byte("new") }, true},
		"Args":    {"arguments are read at the start", func(c *controlplane.Component) { c.Args = append(c.Args, "x") }, true},
		"Env":     {"so is the environment", func(c *controlplane.Component) { c.Env = []string{"A=b"} }, true},
		"NewFile": {"a new file", func(c *controlplane.Component) { c.Files = append(c.Files, controlplane.File{Path: "n/m"}) }, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			build := func() controlplane.Manifest {
				m := manifest(server(t, "x", "a"), server(t, "y", "a"))
				for i := range m.Components {
					m.Components[i].Files = []controlplane.File{{Path: "live", Content: []byte("old"), Live: true}, {Path: "sub/other", Content: []byte("old")}}
				}
				return m
			}
			m := build()
			b.apply(m)
			before := b.ready("g")
			for i := range m.Components {
				tc.change(&m.Components[i])
			}
			b.apply(m)
			eventually(t, "all run with the new specification", func() bool {
				all, err := findProcesses(b.dir + "/")
				return err == nil && len(all) == 2 && all[0].spec == specHash(&m.Components[0]) && all[1].spec == specHash(&m.Components[1])
			})
			after := b.ready("g")
			if changed := !slices.Equal(before, after); changed != tc.restart {
				t.Errorf("%s: process ids %v became %v", tc.reason, before, after)
			}
			if got := b.component("g", "x").Restarts; got != 0 {
				t.Errorf("%s: an ordered restart was counted as a death (%d)", tc.reason, got)
			}
			for _, f := range m.Components[0].Files {
				want := strings.ReplaceAll(string(f.Content), "$(DATA_DIR)", b.path("g", "x", "data"))
				if got, err := os.ReadFile(b.path("g", "x", "config", f.Path)); err != nil || string(got) != want {
					t.Errorf("%s: file %s: want %q, got %q (%v)", tc.reason, f.Path, want, got, err)
				}
			}
		})
	}
}

func TestFirstArgs(t *testing.T) {
	b := newBench(t)
	m := manifest(server(t, "x", "a"))
	m.Components[0].FirstArgs = []string{"old"}
	b.apply(m)
	before := b.ready("g")
	m.Components[0].FirstArgs = []string{"new", "$(DATA_DIR)"}
	b.apply(m)
	b.restart() // what is to be true from the next start on is on disk
	if after := b.ready("g"); !slices.Equal(before, after) {
		t.Errorf("new first arguments restarted something: %v became %v", before, after)
	}
	if err := syscall.Kill(before[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the next start has them", func() bool {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", b.component("g", "x").PID))
		return err == nil && strings.HasSuffix(string(line), "\x00new\x00"+b.path("g", "x", "data")+"\x00")
	})
}

func TestRollInOrder(t *testing.T) {
	b := newBench(t)
	m := manifest(server(t, "x", "a"), server(t, "y", "b"), server(t, "z", "c"))
	b.apply(m)
	b.ready("g")
	for i := range m.Components {
		m.Components[i].Args = append(m.Components[i].Args, "new")
	}
	b.apply(m)
	eventually(t, "all are restarted, never two down at once", func() bool {
		down, current := 0, 0
		all, err := findProcesses(b.dir + "/")
		if err != nil {
			t.Fatal(err)
		}
		for i := range m.Components {
			at := slices.IndexFunc(all, func(f found) bool { return strings.HasSuffix(f.instance, "/"+m.Components[i].Name) })
			if at < 0 {
				down++
			} else if all[at].spec == specHash(&m.Components[i]) {
				if current < i && down == 0 {
					t.Fatalf("component %d was restarted before those in front of it", i)
				}
				current++
			}
		}
		if down > 1 {
			t.Fatalf("%d components are down at once", down)
		}
		return current == len(m.Components)
	})
	b.ready("g")
}

func TestStopAndResumeComponent(t *testing.T) {
	b := newBench(t)
	m := manifest(server(t, "etcd-a", "a"), program(t, "stubborn", "api-a", "a", "etcd-a"))
	m.Components[1].StopSeconds = 1
	b.apply(m)
	before := b.ready("g")
	m.Components[1].Stopped = true
	b.apply(m)
	eventually(t, "what ignores SIGTERM is killed", func() bool {
		c := b.component("g", "api-a")
		return c.State == runtime.Held && c.PID == 0
	})
	if _, err := os.Stat(b.path("g", "api-a", "data")); err != nil {
		t.Errorf("data of a stopped component: %v", err)
	}
	m.Components[1].Stopped = false
	b.apply(m)
	if after := b.ready("g"); after[0] != before[0] {
		t.Errorf("etcd was restarted: %v became %v", before, after)
	}
}

func TestDroppedComponent(t *testing.T) {
	b := newBench(t)
	m := manifest(server(t, "x", "a"), server(t, "y", "a"))
	b.apply(m)
	before := b.ready("g")
	m.Components = m.Components[:1]
	b.apply(m)
	eventually(t, "process and directory are gone", func() bool {
		_, err := os.Stat(b.path("g", "y"))
		return os.IsNotExist(err) && len(b.processes()) == 1
	})
	if after := b.ready("g"); after[0] != before[0] {
		t.Errorf("the other component was restarted: %v became %v", before, after)
	}
}

func TestHold(t *testing.T) {
	b := newBench(t)
	m := manifest(server(t, "x", "a"), server(t, "y", "b"), server(t, "z", ""))
	b.apply(m)
	before := b.ready("g")
	stat := func() string {
		f, err := inspect(before[0])
		switch {
		case err != nil:
			t.Fatal(err)
		case f == nil:
			return "gone"
		case f.frozen:
			return "frozen"
		}
		return "runs"
	}
	held := func() bool { return b.component("g", "x").State == runtime.Held && !b.component("g", "x").Ready }

	b.hold(v1alpha1.Drill{Zone: "a", Mode: v1alpha1.DrillHang})
	eventually(t, "the zone hangs", func() bool { return stat() == "frozen" && held() })
	b.restart()
	eventually(t, "it hangs under a new supervisor", func() bool { return stat() == "frozen" && held() })
	b.hold()
	if after := b.ready("g"); !slices.Equal(before, after) {
		t.Errorf("lifting a hang restarted something: %v became %v", before, after)
	}
	b.hold(v1alpha1.Drill{Zone: "a", Mode: v1alpha1.DrillKill})
	eventually(t, "the zone is dead", func() bool { return stat() == "gone" && held() && b.component("g", "x").PID == 0 })
	b.restart()
	eventually(t, "it is dead under a new supervisor", func() bool { return held() && b.component("g", "x").PID == 0 })
	b.hold()
	after := b.ready("g")
	if after[1] != before[1] || after[2] != before[2] {
		t.Errorf("components outside of the zone were touched: %v became %v", before, after)
	}
	if err := b.Hold(t.Context(), []v1alpha1.Drill{{Zone: "a", Mode: "Sink"}}); err == nil {
		t.Error("Hold() with an unknown mode: want an error")
	}
}

func TestStraysAreKilledBeforeAStart(t *testing.T) {
	b := newBench(t)
	m := manifest(program(t, "litter", "x", "a"))
	m.Components[0].Probe = nil
	b.apply(m)
	eventually(t, "it has died and left a child", func() bool { return b.component("g", "x").Restarts > 0 })
	m.Components[0].Args[0] = "serve" // needs the port that the child holds
	b.apply(m)
	eventually(t, "one process is left, which serves", func() bool {
		all, err := findProcesses(b.dir + "/")
		return err == nil && len(all) == 1 && all[0].leader && b.component("g", "x").Ready
	})
}

func TestDeleteKillsStrays(t *testing.T) {
	b := newBench(t)
	m := manifest(program(t, "litter", "x", "a"))
	b.apply(m)
	eventually(t, "it has died and left a child", func() bool { return b.component("g", "x").Restarts > 0 })
	if err := b.Delete(t.Context(), "g"); err != nil || len(b.processes()) > 0 {
		t.Errorf("Delete(): %v, processes %v", err, b.processes())
	}
}

func TestDiskFull(t *testing.T) {
	var full atomic.Bool
	b := newBench(t, func(s *Supervisor) {
		s.write = func(path string, data []byte) error {
			if full.Load() {
				return &os.PathError{Op: "write", Path: path, Err: unix.ENOSPC}
			}
			return writeAtomically(path, data)
		}
	})
	m := manifest(server(t, "x", "a"))
	b.apply(m)
	before := b.ready("g")
	full.Store(true)
	m.Components[0].Args = append(m.Components[0].Args, "new")
	err := b.Apply(t.Context(), m)
	if err == nil || !strings.Contains(err.Error(), "no space left on device") {
		t.Errorf("Apply() on a full disk: want an error that says so, got %v", err)
	}
	if err := b.Apply(t.Context(), controlplane.Manifest{ID: "other", Components: m.Components}); err == nil {
		t.Error("Apply() of a new guest on a full disk: want an error")
	}
	if ids, err := b.List(t.Context()); err != nil || !slices.Equal(ids, []string{"g"}) {
		t.Errorf("List(): want [g], got %v, %v", ids, err)
	}
	full.Store(false)
	b.restart()
	if after := b.ready("g"); !slices.Equal(before, after) {
		t.Errorf("the old manifest did not stay in force: %v became %v", before, after)
	}
}

func TestWatch(t *testing.T) {
	b := newBench(t)
	b.apply(manifest(server(t, "x", "a")))
	ids, err := b.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := <-ids; got != "g" {
		t.Errorf("first id: want g, got %q", got)
	}
	b.ready("g")
	pid := b.component("g", "x").PID
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for range ids {
		if c := b.component("g", "x"); c.Ready && c.PID != pid {
			break
		}
	}
	b.stop()
	for range ids { // ends when the supervisor has gone
	}
	if _, err := b.Watch(t.Context()); !errors.Is(err, errUnanswered) {
		t.Errorf("Watch() without a supervisor: want %v, got %v", errUnanswered, err)
	}
}
