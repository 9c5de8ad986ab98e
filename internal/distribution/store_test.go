package distribution

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/clock"
)

// patience is how long a test waits for what should happen at once.
const patience = 30 * time.Second

// fillEtcd makes the programs of etcd.
func fillEtcd(t *testing.T) func(dir string) error {
	return func(dir string) error {
		for _, name := range programsOf(projectEtcd) {
			writeScript(t, filepath.Join(dir, name), "v3.6.16")
		}
		return nil
	}
}

// listFinished lists what a store keeps apart from its locks.
func listFinished(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, entry := range entries {
		if filepath.Ext(entry.Name()) != ".lock" {
			names = append(names, entry.Name())
		}
	}
	return names
}

func TestStoreFillsOnce(t *testing.T) {
	s := store{dir: t.TempDir(), clock: clock.RealClock{}}
	filling, waiting := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		_, err := s.get(t.Context(), "key", projectEtcd, nil, func(dir string) error {
			close(filling)
			select {
			case <-waiting:
			case <-time.After(patience):
				return errors.New("nobody waits")
			}
			return fillEtcd(t)(dir)
		})
		first <- err
	}()
	select {
	case <-filling:
	case err := <-first:
		t.Fatalf("the first one filled nothing: %v", err)
	}
	dir, err := s.get(t.Context(), "key", projectEtcd, func() { close(waiting) }, func(string) error {
		return errors.New("filled twice")
	})
	if err := errors.Join(err, <-first); err != nil {
		t.Fatal(err)
	}
	if !s.intact(dir, projectEtcd) {
		t.Errorf("%s lacks programs", dir)
	}
}

func TestStoreGivesUpWaiting(t *testing.T) {
	s := store{dir: t.TempDir(), clock: clock.RealClock{}}
	unlock, err := s.lock(t.Context(), filepath.Join(s.dir, "key.lock"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	_, err = s.get(ctx, "key", projectEtcd, cancel, fillEtcd(t))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want an error for the context's end", err)
	}
}

func TestStoreRepairs(t *testing.T) {
	tests := []struct {
		name, reason string
		prepare      func(t *testing.T, dir string)
	}{{
		name:   "unfinished",
		reason: "a build that was killed leaves a directory, which must not be taken for a result",
		prepare: func(t *testing.T, dir string) {
			writeFile(t, filepath.Join(dir, "key.partial", "etcd"), []byte("half"), 0o755)
		},
	}, {
		name:   "lost a program",
		reason: "people delete large files in caches",
		prepare: func(t *testing.T, dir string) {
			writeScript(t, filepath.Join(dir, "key", "etcd"), "v3.6.16")
		},
	}, {
		name:   "truncated",
		reason: "a power cut can leave files without their content",
		prepare: func(t *testing.T, dir string) {
			for _, name := range programsOf(projectEtcd) {
				writeFile(t, filepath.Join(dir, "key", name), nil, 0o755)
			}
		},
	}}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := store{dir: t.TempDir(), clock: clock.RealClock{}}
			test.prepare(t, s.dir)
			dir, err := s.get(t.Context(), "key", projectEtcd, nil, fillEtcd(t))
			if err != nil || !s.intact(dir, projectEtcd) {
				t.Errorf("%s: %v", test.reason, err)
			}
			if diff := cmp.Diff([]string{"key"}, listFinished(t, s.dir)); diff != "" {
				t.Errorf("%s: left over:\n%s", test.reason, diff)
			}
		})
	}
}

func TestStoreKeepsNothingOfAFailure(t *testing.T) {
	s := store{dir: t.TempDir(), clock: clock.RealClock{}}
	failure := errors.New("disk full")
	_, err := s.get(t.Context(), "key", projectEtcd, nil, func(dir string) error {
		return errors.Join(fillEtcd(t)(dir), failure)
	})
	if !errors.Is(err, failure) {
		t.Errorf("got %v, want %v", err, failure)
	}
	if diff := cmp.Diff([]string{}, listFinished(t, s.dir)); diff != "" {
		t.Errorf("something of a failed build was kept:\n%s", diff)
	}
}

func TestCacheDir(t *testing.T) {
	t.Setenv("HOME", "/home/ann")
	t.Setenv("XDG_CACHE_HOME", "")
	tests := []struct{ variable, value, want string }{
		{"HOME", "/home/ann", "/home/ann/.cache/myriad"},
		{"XDG_CACHE_HOME", "/var/cache/ann", "/var/cache/ann/myriad"},
		{"MYRIAD_CACHE", "/big/disk", "/big/disk"},
	}
	t.Setenv("MYRIAD_CACHE", "")
	for _, test := range tests {
		t.Setenv(test.variable, test.value)
		if got, err := CacheDir(); err != nil || got != test.want {
			t.Errorf("with %s=%s: got %q, %v; want %s", test.variable, test.value, got, err, test.want)
		}
	}
}

func TestLink(t *testing.T) {
	set, first, second := t.TempDir(), t.TempDir(), t.TempDir()
	writeScript(t, filepath.Join(second, "kubectl"), "v1.36.3")
	for _, dir := range []string{first, second, second} {
		if err := LinkKubernetes(set, "v1.36.3", dir); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := open(t, set).Path("kubectl", "v1.36.3"); err != nil {
		t.Errorf("the later link counts: %v", err)
	}
	writeFile(t, filepath.Join(set, "etcd", "v3.6.16", "etcd"), nil, 0o755)
	checkError(t, "somebody's directory is not replaced", LinkEtcd(set, "v3.6.16", first), "etcd v3.6.16", "remove")
}
