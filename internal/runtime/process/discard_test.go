package process

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// fill puts something into a component's data directory; kept tells whether it is still there.
func (b *bench) fill(id, component string) (kept func() bool) {
	b.t.Helper()
	path := b.path(id, component, "data", "etcd", "member", "db")
	if err := os.MkdirAll(filepath.Dir(path), dirMode); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("x"), fileMode); err != nil {
		b.t.Fatal(err)
	}
	return func() bool {
		_, err := os.Stat(path)
		return err == nil
	}
}

func (b *bench) discard(id, component string) {
	b.t.Helper()
	if err := b.Discard(b.t.Context(), id, component); err != nil {
		b.t.Fatal(err)
	}
}

func TestDiscard(t *testing.T) {
	b := newBench(t)
	b.apply(manifest(server(t, "etcd-a", "a"), server(t, "etcd-b", "b")))
	before := b.ready("g")
	kept, others := b.fill("g", "etcd-a"), b.fill("g", "etcd-b")
	b.discard("g", "etcd-a")
	if kept() || !others() {
		t.Errorf("Discard() of etcd-a: its data kept: %t, that of etcd-b kept: %t", kept(), others())
	}
	var after []int
	eventually(t, "a new process is ready", func() bool { after = b.ready("g"); return after[0] != before[0] })
	if after[1] != before[1] {
		t.Errorf("process ids %v became %v: want the first one new only", before, after)
	}
	if got := b.component("g", "etcd-a"); got.Restarts != 0 {
		t.Errorf("a discard was counted as a death: %+v", got)
	}
	for _, name := range []string{discardFile, "data"} {
		_, err := os.Stat(b.path("g", "etcd-a", name))
		if (err == nil) != (name == "data") {
			t.Errorf("%s after a discard: %v", name, err)
		}
	}
}

func TestDiscardRefused(t *testing.T) {
	b := newBench(t)
	b.apply(manifest(server(t, "x", "a")))
	cases := map[string]struct{ reason, id, component, want string }{
		"Guest":     {"an unknown guest", "other", "x", `no guest "other"`},
		"Component": {"an unknown component", "g", "y", `guest g has no component "y"`},
		"Path":      {"a name is no path", "g", "../x", `no component "../x"`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := b.Discard(t.Context(), tc.id, tc.component)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: Discard(): want an error with %q, got %v", tc.reason, tc.want, err)
			}
		})
	}
}

// What does not run, for whatever reason, is emptied all the same and stays down.
func TestDiscardOfWhatIsHeld(t *testing.T) {
	b := newBench(t)
	m := manifest(server(t, "x", "a"), server(t, "y", "b"), server(t, "z", "b"))
	b.apply(m)
	b.ready("g")
	hung, stopped := b.fill("g", "x"), b.fill("g", "y")
	m.Components[1].Stopped = true
	b.apply(m)
	b.hold(v1alpha1.Drill{Zone: "a", Mode: v1alpha1.DrillHang})
	for _, name := range []string{"x", "y"} {
		eventually(t, name+" is held", func() bool { return b.component("g", name).State == runtime.Held })
		b.discard("g", name)
		eventually(t, name+" is held without a process", func() bool {
			c := b.component("g", name)
			return c.PID == 0 && c.State == runtime.Held
		})
	}
	if hung() || stopped() {
		t.Errorf("data kept: of the hung one %t, of the stopped one %t", hung(), stopped())
	}
	m.Components[1].Stopped = false
	b.apply(m)
	b.hold()
	b.ready("g")
}

func TestDiscardTwiceAtOnce(t *testing.T) {
	b := newBench(t)
	b.apply(manifest(server(t, "x", "a")))
	before := b.ready("g")
	answers := make(chan error)
	for range 2 { // both come before the process can end: a frozen one takes its time
		go func() { answers <- b.Discard(t.Context(), "g", "x") }()
	}
	for range 2 {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	eventually(t, "a new process is ready", func() bool { return b.ready("g")[0] != before[0] })
}

// Data that cannot be removed is tried again, and nothing starts meanwhile.
func TestDiscardFails(t *testing.T) {
	var broken atomic.Bool
	broken.Store(true)
	b := newBench(t, func(s *Supervisor) {
		s.removeAll = func(path string) error {
			if broken.Load() {
				return &os.PathError{Op: "remove", Path: path, Err: syscall.EIO}
			}
			return os.RemoveAll(path)
		}
	})
	b.apply(manifest(server(t, "x", "a")))
	before := b.ready("g")
	kept := b.fill("g", "x")
	if err := b.Discard(t.Context(), "g", "x"); err == nil || !strings.Contains(err.Error(), b.path("g", "x", "data")) {
		t.Errorf("Discard() of what cannot be removed: want an error that names it, got %v", err)
	}
	eventually(t, "it is tried again", func() bool {
		c := b.component("g", "x")
		return c.State == runtime.BackOff && c.PID == 0 && strings.Contains(c.LastExit, "input/output error")
	})
	if !kept() {
		t.Error("the data is gone all the same: the test shows nothing")
	}
	broken.Store(false)
	eventually(t, "the next try works", func() bool { return b.ready("g")[0] != before[0] })
	if kept() {
		t.Error("it started with its old data")
	}
}

// TestDiscardGoesOn finds every state that a supervisor can leave behind when it dies in a discard.
func TestDiscardGoesOn(t *testing.T) {
	cases := map[string]struct {
		reason string
		leave  func(b *bench, pid int) error
	}{
		"Marked": {"the process runs, only the marker is there", func(*bench, int) error { return nil }},
		"Killed": {"the process is dead, the data whole", func(_ *bench, pid int) error { return syscall.Kill(pid, syscall.SIGKILL) }},
		"Half": {"a part of the data is left", func(b *bench, pid int) error {
			return errors.Join(syscall.Kill(pid, syscall.SIGKILL), os.RemoveAll(b.path("g", "x", "data", "etcd", "member")))
		}},
		"Removed": {"the data is gone, the marker not", func(b *bench, pid int) error {
			return errors.Join(syscall.Kill(pid, syscall.SIGKILL), os.RemoveAll(b.path("g", "x", "data")))
		}},
		"NoRecord": {"nothing is known of the process", func(b *bench, _ int) error { return os.Remove(b.path("g", "x", recordFile)) }},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			b, kill := newCrashBench(t, t.TempDir())
			b.apply(manifest(server(t, "x", "a"), server(t, "y", "a")))
			before := b.ready("g")
			kept, others := b.fill("g", "x"), b.fill("g", "y")
			kill()
			if err := os.WriteFile(b.path("g", "x", discardFile), nil, fileMode); err != nil {
				t.Fatal(err)
			}
			if err := tc.leave(b, before[0]); err != nil {
				t.Fatal(err)
			}
			b.supervise()
			var after []int
			eventually(t, "it starts anew", func() bool { after = b.ready("g"); return after[0] != before[0] })
			if kept() || !others() || after[1] != before[1] {
				t.Errorf("%s: data kept: %t, the other's: %t; process ids %v became %v", tc.reason, kept(), others(), before, after)
			}
			if _, err := os.Stat(b.path("g", "x", discardFile)); !os.IsNotExist(err) {
				t.Errorf("%s: the marker is left: %v", tc.reason, err)
			}
		})
	}
}

// TestDiscardKilledAgainAndAgain kills supervisors wherever a discard is by then.
func TestDiscardKilledAgainAndAgain(t *testing.T) {
	b, kill := newCrashBench(t, t.TempDir())
	b.apply(manifest(server(t, "x", "a"), server(t, "y", "a")))
	before := b.ready("g")
	for i := range 12 {
		last := b.ready("g")
		kept := b.fill("g", "x")
		asked := make(chan error, 1)
		go func() { asked <- b.Discard(t.Context(), "g", "x") }()
		select { // from nothing sent to all done
		case err := <-asked:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(time.Duration(i) * 400 * time.Microsecond):
		}
		kill()
		kill = b.supervise()
		if _, err := os.Stat(b.path("g", "x", discardFile)); err == nil || b.ready("g")[0] != last[0] {
			eventually(t, "what has begun is finished", func() bool { return b.ready("g")[0] != last[0] })
		}
		if runs := b.ready("g")[0] == last[0]; runs == kept() {
			continue // nothing happened, or all of it
		}
		t.Fatalf("round %d: the process is new: %t, its old data is there: %t", i, b.ready("g")[0] != last[0], kept())
	}
	if after := b.ready("g"); after[1] != before[1] || !slices.Equal(b.processes(), []string{"g/y", "g/x"}) {
		t.Errorf("the other component was touched: %v became %v, processes %v", before, after, b.processes())
	}
}

func TestDeleteDuringDiscard(t *testing.T) {
	b := newBench(t)
	b.apply(manifest(server(t, "x", "a")))
	b.ready("g")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	asked := make(chan error, 1)
	go func() { asked <- b.Discard(ctx, "g", "x") }()
	if err := b.Delete(ctx, "g"); err != nil {
		t.Error(err)
	}
	if err := <-asked; errors.Is(err, context.DeadlineExceeded) || len(b.processes()) > 0 {
		t.Errorf("someone still waits (%v), or runs: %v", err, b.processes())
	}
}
