package agent

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestLock: one directory has one agent, and a dead one is in nobody's way.
func TestLock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "agent")
	unlock, err := lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock(dir); err == nil || !strings.Contains(err.Error(), "stop it first") {
		t.Errorf("a second agent: %v", err)
	}
	unlock()
	again, err := lock(dir)
	if err != nil {
		t.Fatalf("after the first has gone: %v", err)
	}
	again()
}

// TestNotJoined: an agent without its certificate says how to get one.
func TestNotJoined(t *testing.T) {
	dir := t.TempDir()
	err := Run(t.Context(), Options{Cell: "hz-1", Dir: dir, Kubeconfig: filepath.Join(dir, "hub", "kubeconfig")})
	if err == nil || !strings.Contains(err.Error(), "myriad up") || !strings.Contains(err.Error(), "hz-1") {
		t.Errorf("got %v", err)
	}
}
