package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/myriad-fleet/myriad/internal/controlplane"
)

func TestDataWatch(t *testing.T) {
	cases := map[string]struct {
		reason string
		harm   func(data string) error
		want   bool
	}{
		"Nothing":  {"all is well", func(string) error { return nil }, false},
		"Content":  {"a program may remove what is its own", func(data string) error { return os.RemoveAll(filepath.Join(data, "other")) }, false},
		"Removed":  {"the directory is gone", os.RemoveAll, true},
		"Above":    {"and so is the one above", func(data string) error { return os.RemoveAll(filepath.Dir(data)) }, true},
		"Renamed":  {"somebody has moved it away", func(data string) error { return os.Rename(data, data+".old") }, true},
		"Member":   {"what etcd keeps in it is gone", func(data string) error { return os.RemoveAll(filepath.Join(data, "etcd", "member")) }, true},
		"Replaced": {"another one is in its place", replace, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "component", "data")
			for _, dir := range []string{"other", "etcd/member"} {
				if err := os.MkdirAll(filepath.Join(data, dir), dirMode); err != nil {
					t.Fatal(err)
				}
			}
			w := &dataWatch{dir: data, pid: idle(t, data)}
			w.note()
			if w.gone() {
				t.Fatal("gone before anything happened")
			}
			if err := tc.harm(data); err != nil {
				t.Fatal(err)
			}
			if got := w.gone(); got != tc.want {
				t.Errorf("%s: gone(): want %t, got %t", tc.reason, tc.want, got)
			}
		})
	}
}

// A program that has left the directory it was started in tells nothing by where it is.
func TestDataWatchOfAWanderer(t *testing.T) {
	data := t.TempDir()
	w := &dataWatch{dir: data, pid: idle(t, t.TempDir())}
	if w.gone() {
		t.Error("gone(): want false of data that is there")
	}
}

func replace(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.MkdirAll(filepath.Join(dir, "etcd", "member"), dirMode)
}

// idle starts a process in a directory and returns its id.
func idle(t *testing.T, dir string) int {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(self, "stubborn", freePort())
	command.Dir = dir
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	return command.Process.Pid
}

// members is a manifest with two members of a quorum and the API server of the first.
func members(t *testing.T) controlplane.Manifest {
	t.Helper()
	m := manifest(server(t, "etcd-a", "a"), server(t, "etcd-b", "b"), server(t, "api-a", "a", "etcd-a"))
	m.Components[0].Kind, m.Components[1].Kind = controlplane.Etcd, controlplane.Etcd
	return m
}

func TestVanishedData(t *testing.T) {
	b := newBench(t)
	b.apply(members(t))
	before := b.ready("g")
	remove := func() {
		t.Helper()
		if err := os.RemoveAll(b.path("g", "etcd-a", "data")); err != nil {
			t.Fatal(err)
		}
	}
	heals := func() {
		t.Helper()
		var after []int
		eventually(t, "the member and its API server are restarted", func() bool {
			after = b.ready("g")
			return after[0] != before[0] && after[2] != before[2]
		})
		if after[1] != before[1] {
			t.Errorf("the other member was restarted: %v became %v", before, after)
		}
		for _, c := range b.observe("g").Components {
			if c.Restarts != 0 || c.Message != "" {
				t.Errorf("an ordered restart counts as a death, or is still told of: %+v", c)
			}
		}
		before = after
	}
	remove()
	heals()
	b.stop()
	remove() // while no supervisor looks
	b.restart()
	heals()
}

// What the only member still knows ends with it.
func TestVanishedDataOfASingle(t *testing.T) {
	b := newBench(t)
	m := members(t)
	m.Components = slices.Delete(m.Components, 1, 2)
	b.apply(m)
	before := b.ready("g")
	if err := os.RemoveAll(b.path("g", "etcd-a", "data")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is told", func() bool { return strings.Contains(b.component("g", "etcd-a").Message, "snapshot") })
	m.Components[0].Args = append(m.Components[0].Args, "new")
	b.apply(m) // nor does a new specification end it
	m.Components[1].Args = append(m.Components[1].Args, "new")
	b.apply(m)
	var after []int
	eventually(t, "the API server is restarted", func() bool { after = b.ready("g"); return after[1] != before[1] })
	if after[0] != before[0] {
		t.Errorf("the only member was restarted: %v became %v", before, after)
	}
}
