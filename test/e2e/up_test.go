package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/myriad-fleet/myriad/test/fleet"
)

// network that a home has claimed.
func (s *suite) network(t *testing.T) netip.Prefix {
	t.Helper()
	var settings struct {
		Network netip.Prefix `json:"network"`
	}
	text, err := os.ReadFile(filepath.Join(s.Home, "home.json"))
	if err := errors.Join(err, json.Unmarshal(text, &settings)); err != nil {
		t.Fatal(err)
	}
	return settings.Network
}

// TestTwoUpsAtOnceAndTwoHomes: two people type 'myriad up' at once in one home, beside another fleet.
func TestTwoUpsAtOnceAndTwoHomes(t *testing.T) {
	neighbour := sharedFleet(t)
	before := neighbour.pids(t, "")
	s := ownFleet(t)
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			if err := (&suite{Fleet: s.Fleet}).up(t.Context(), "--no-hello"); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	s.mustUp(t, "--no-hello")
	if s.network(t) == neighbour.network(t) {
		t.Errorf("two homes share the network %s", s.network(t))
	}

	// A power cut while home.json was written: all that it held can be found again.
	network, pids := s.network(t), s.pids(t, "")
	if err := os.WriteFile(filepath.Join(s.Home, "home.json"), []byte(`{"netw`), 0o600); err != nil {
		t.Fatal(err)
	}
	s.mustUp(t, "--no-hello")
	if repaired := s.network(t); repaired != network {
		t.Errorf("after home.json was cut short the home has %s, want %s as before", repaired, network)
	}
	if diff := cmp.Diff(pids, s.pids(t, "")); diff != "" {
		t.Errorf("the repair of home.json restarted processes (-before +after):\n%s", diff)
	}

	s.run(t, "down")
	if diff := cmp.Diff(before, neighbour.pids(t, "")); diff != "" {
		t.Errorf("another fleet's up and down changed processes of this one (-before +after):\n%s", diff)
	}
}

// TestUpWhenAddressIsTaken: something else listens where the home's hub used to.
func TestUpWhenAddressIsTaken(t *testing.T) {
	s := ownFleet(t)
	const taken = "127.251.0.3:6443" // no home claims that network by itself
	settings := []byte(`{"network": "127.251.0.0/16"}`)
	if err := os.WriteFile(filepath.Join(s.Home, "home.json"), settings, 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", taken)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	s.refuses(t, exitFailure, []string{"127.251"}, "up", "--no-hello")
}

func TestUpWithoutBinaries(t *testing.T) {
	s := ownFleet(t)
	s.refuses(t, exitFailure, []string{"/nonexistent", "make distro"}, "up", "--no-hello", "--kubernetes-dir", "/nonexistent")
}

func TestUpWithBrokenBinary(t *testing.T) {
	s := ownFleet(t)
	directory := t.TempDir()
	for _, program := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "etcd", "etcdctl", "etcdutl"} {
		if err := os.WriteFile(filepath.Join(directory, program), []byte("#!/bin/sh\necho cannot execute >&2\nexit 1\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.refuses(t, exitFailure, []string{directory, "cannot execute"}, "up", "--no-hello", "--kubernetes-dir", directory)
}

func TestCommandsWithoutFleet(t *testing.T) {
	s := ownFleet(t)
	const exitNoFleet = 5
	s.refuses(t, exitNoFleet, []string{"myriad up"}, "cluster", "list")
}

// TestUpAsAnotherUser: a home belongs to one user.
func TestUpAsAnotherUser(t *testing.T) {
	const nobody = 65534
	home, user := "/", os.Geteuid() // as a person, the root directory is somebody else's
	if user == 0 {
		f, err := fleet.New()
		if err != nil {
			t.Fatal(err)
		}
		home, user = f.Home, nobody
		t.Cleanup(func() {
			if err := os.RemoveAll(f.Home); err != nil {
				t.Error(err)
			}
		})
	}
	// The other user may not look into the checkout.
	binary := filepath.Join(publicDir(t), "myriad")
	copyFile(t, os.Getenv("MYRIAD_BIN"), binary)
	ctx, cancel := context.WithTimeout(t.Context(), commandLimit)
	defer cancel()
	command := exec.CommandContext(ctx, binary, "up", "--no-hello")
	command.Dir = "/"
	command.Env = append(os.Environ(), "MYRIAD_HOME="+home, "HOME=/nonexistent")
	if os.Geteuid() == 0 {
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(user), Gid: uint32(user)}}
	}
	output, err := command.CombinedOutput()
	if err == nil || !strings.Contains(string(output), "belongs to user root") {
		t.Errorf("want an error that says whose home it is, got %v: %s", err, output)
	}
}

// publicDir is a temporary directory that every user may look into.
func publicDir(t *testing.T) string {
	t.Helper()
	directory, err := os.MkdirTemp("", "myriad-public-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(directory); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(directory, 0o755); err != nil {
		t.Fatal(err)
	}
	return directory
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	source, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = source.Close() }()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(target, source)
	if err := errors.Join(err, target.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestUpResumesAfterReboot: every process is gone at once, as after a power cut.
func TestUpResumesAfterReboot(t *testing.T) {
	t.Parallel() // it has its own fleet, and mostly waits
	s := ownFleet(t)
	s.mustUp(t, "--no-hello")
	g := s.create(t, "survivor", "--region", "eu-frankfurt")
	s.kubectl(t, "survivor", "create", "configmap", "mark")
	begun := time.Now()
	for left := true; left; {
		processes, err := s.Strays()
		if err != nil {
			t.Fatal(err)
		}
		if time.Since(begun) > healBudget {
			t.Fatalf("these cannot be killed: %v", processes)
		}
		left = len(processes) > 0
		for _, process := range processes {
			_ = process.Kill() // it may have ended since
		}
	}
	s.mustUp(t, "--no-hello")
	g.healthy(t, nil)
	if mark := s.kubectl(t, "survivor", "get", "configmap", "mark", "--output", "name"); mark != "configmap/mark\n" {
		t.Errorf("the data of before the power cut is lost: %q", mark)
	}
}
