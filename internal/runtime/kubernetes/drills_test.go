package kubernetes

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// TestKeptDrills: what is in force outlives the agent.
func TestKeptDrills(t *testing.T) {
	o := Options{DrillsFile: filepath.Join(t.TempDir(), "drills.json"), Log: slog.New(slog.DiscardHandler)}
	kill := drillsByZone{"a": v1alpha1.DrillKill, "b": v1alpha1.DrillKill}
	steps := []struct {
		reason  string
		held    drillsByZone
		changed bool
	}{
		{"none to begin with", drillsByZone{}, false},
		{"two zones are held", kill, true},
		{"the same is no change", kill, false},
		{"it ends", drillsByZone{}, true},
		{"and begins anew", kill, true},
	}
	for _, step := range steps {
		r := &Runtime{Options: o, drills: o.keptDrills()}
		changed, err := r.keepDrills(step.held)
		if err != nil || changed != step.changed {
			t.Errorf("%s: a change: %t, %v", step.reason, changed, err)
		}
		if diff := cmp.Diff(step.held, o.keptDrills()); diff != "" {
			t.Errorf("%s: the next agent has others (-want +got):\n%s", step.reason, diff)
		}
	}
	if err := os.WriteFile(o.DrillsFile, []byte("{"), drillsMode); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(drillsByZone{}, o.keptDrills()); diff != "" {
		t.Errorf("a damaged file is no drill (-want +got):\n%s", diff)
	}
	r := &Runtime{Options: Options{DrillsFile: filepath.Join(t.TempDir(), "none", "drills.json")}, drills: drillsByZone{}}
	if _, err := r.keepDrills(kill); err == nil || r.drill("a") != "" {
		t.Errorf("what cannot be kept is in force: %q, %v", r.drill("a"), err)
	}
	r.drills = kill
	changed, err := r.keepDrills(drillsByZone{"b": v1alpha1.DrillKill, "c": v1alpha1.DrillKill})
	if diff := cmp.Diff(drillsByZone{"b": v1alpha1.DrillKill}, r.drills); err == nil || !changed || diff != "" {
		t.Errorf("a drill ends although nothing can be written, and none begins: a change: %t, %v (-want +got):\n%s", changed, err, diff)
	}
	if changed, err := r.keepDrills(drillsByZone{"b": v1alpha1.DrillKill}); err == nil || changed {
		t.Errorf("the file still has the drill that ended, and that is not tried again: a change: %t, %v", changed, err)
	}
	r.DrillsFile = o.DrillsFile
	if changed, err := r.keepDrills(drillsByZone{"b": v1alpha1.DrillKill}); err != nil || changed || len(o.keptDrills()) != 1 {
		t.Errorf("once it can be written it is: a change: %t, %v; kept %v", changed, err, o.keptDrills())
	}
}
