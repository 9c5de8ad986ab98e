package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/myriad-fleet/myriad/internal/controlplane"
)

// TestUpgradeRestartsNoGuest brings up a fleet of an older build, whose newest render revision is 1,
// and then the present one over it, whose defaults differ. No request to the API servers fails. The
// gateways are upgraded, too: they carry bytes and cannot tell clients to go elsewhere, so connections
// that outlive their grace break, but one of the two always listens.
func TestUpgradeRestartsNoGuest(t *testing.T) {
	// Not in parallel: no request may fail, and two fleets that come up at once leave a load no CPU.
	s := ownFleet(t)
	present := s.Binary
	s.Binary = buildOld(t)
	s.mustUp(t, "--no-hello")
	g := s.create(t, "veteran", "--region", "eu-frankfurt", "--availability", "zonal")
	g.wantRevision(t, 1)
	before, agent := g.instances(t), s.pids(t, "platform/cell-fra-1/agent")
	direct, routed := g.loadDirect(t, 301), g.patientLoad(t, 302)
	quiet(t, direct)
	quiet(t, routed)

	direct.Mark("upgrade")
	routed.Mark("upgrade")
	s.Binary = present
	s.mustUp(t, "--no-hello")
	if s.pids(t, "platform/cell-fra-1/agent")["platform/cell-fra-1/agent"] == agent["platform/cell-fra-1/agent"] {
		t.Error("the agent is still that of the old build: nothing was upgraded")
	}
	recruit := s.create(t, "recruit", "--region", "eu-frankfurt")
	recruit.wantRevision(t, controlplane.LatestRevision())
	quiet(t, direct)
	quiet(t, routed)
	if err := stop(t, direct).Flawless(); err != nil {
		t.Errorf("without gateways: %v", err)
	}
	report := stop(t, routed)
	if err := report.Consistent(); err != nil {
		t.Errorf("through gateways: %v", err)
	}
	for _, failure := range report.Failures {
		if strings.Contains(failure.Error, "connection refused") {
			t.Errorf("no gateway listened %.1fs after the start of the load: %s", failure.AtSeconds, failure.Error)
		}
	}
	g.wantRevision(t, 1)
	g.sameInstances(t, before, "the upgrade")
}

// buildOld builds the myriad command as it was when render revision 1 was the newest.
func buildOld(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "myriad")
	command := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-X github.com/myriad-fleet/myriad/internal/controlplane.latestRevision=1",
		"-o", binary, "github.com/myriad-fleet/myriad/cmd/myriad")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("building an older myriad: %v\n%s", err, output)
	}
	return binary
}

func (g *guest) wantRevision(t *testing.T, want int64) {
	t.Helper()
	plane, err := g.controlPlane(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if plane.Spec.RenderRevision != want {
		t.Errorf("cluster %s is pinned to render revision %d, want %d", g.name, plane.Spec.RenderRevision, want)
	}
}
