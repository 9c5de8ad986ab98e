package e2e

import (
	"strings"
	"testing"
)

// TestOlderVersion hosts a cluster of the version before. It needs 'make distro VERSION=v1.35.4', which
// 'make e2e-full' does: compiling a second version is too long for every run.
func TestOlderVersion(t *testing.T) {
	if !full() {
		t.Log("only with MYRIAD_E2E_FULL=1")
		return
	}
	s := sharedFleet(t)
	s.create(t, "older", "--region", "cn-hangzhou", "--version", "v1.35.4")
	if version := s.kubectl(t, "older", "version"); strings.Count(version, "v1.35.4") != 2 {
		t.Errorf("want client and server of v1.35.4, got %q", version)
	}
	s.kubectl(t, "older", "get", "serviceaccount", "default")
}
