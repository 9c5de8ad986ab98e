package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// drillsMode of the file of drills.
const drillsMode = 0o600

// drillsByZone are the modes of the zones that are held.
type drillsByZone map[string]v1alpha1.DrillMode

// Hold puts exactly these drills in force, until the next call. A zone can only be held killed, for from outside its
// nodes nobody can stop a process and let it live: what else is asked for, a runtime.PartlyHeldError tells.
func (r *Runtime) Hold(_ context.Context, drills []v1alpha1.Drill) error {
	if len(drills) > 0 {
		if err := r.writable(); err != nil {
			return err
		}
	}
	held := drillsByZone{}
	var inForce []v1alpha1.Drill
	var hung []string
	for _, drill := range drills {
		if drill.Mode != v1alpha1.DrillKill {
			hung = append(hung, drill.Zone)
			continue
		}
		held[drill.Zone] = drill.Mode
		inForce = append(inForce, drill)
	}
	changed, err := r.keepDrills(held)
	if changed {
		r.enqueueAll()
	}
	if err != nil {
		return r.wrap("keep the drills", err)
	}
	if len(hung) > 0 {
		return &runtime.PartlyHeldError{InForce: inForce, Cause: r.wrap("hold zone "+strings.Join(hung, ", "), errors.New(
			"a cell that is a Kubernetes cluster cannot hang a zone: use mode Kill, or stop the zone's nodes themselves"))}
	}
	return nil
}

func (r *Runtime) drill(zone string) v1alpha1.DrillMode {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.drills[zone]
}

// keepDrills puts drills in force, on disk first, and tells whether they are others than before. What cannot be written does
// not begin; but a full disk must not keep a zone dead: what ends, ends.
func (r *Runtime) keepDrills(wanted drillsByZone) (changed bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if maps.Equal(r.drills, wanted) && !r.unkept {
		return false, nil
	}
	held := wanted
	err = r.writeDrills(wanted)
	if r.unkept = err != nil; r.unkept {
		held = maps.Clone(r.drills)
		maps.DeleteFunc(held, func(zone string, _ v1alpha1.DrillMode) bool { return wanted[zone] == "" })
	}
	changed = !maps.Equal(r.drills, held)
	r.drills = held
	return changed, err
}

func (o *Options) writeDrills(held drillsByZone) error {
	if o.DrillsFile == "" {
		return nil
	}
	raw, err := json.Marshal(held)
	if err != nil {
		return fmt.Errorf("encode them: %w", err)
	}
	return renameio.WriteFile(o.DrillsFile, raw, drillsMode, renameio.WithTempDir(filepath.Dir(o.DrillsFile)))
}

// keptDrills are those that were in force when the agent ended. Without them its successor would wake the zones that
// are held until the hub tells it otherwise.
func (o *Options) keptDrills() drillsByZone {
	held := drillsByZone{}
	if o.DrillsFile == "" {
		return held
	}
	raw, err := os.ReadFile(o.DrillsFile)
	if err == nil {
		err = json.Unmarshal(raw, &held)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		// A drill is for people to see; it must not keep the cell from working.
		o.Log.Error("the drills that were in force cannot be read: none is until the hub asks for it", "file", o.DrillsFile, "error", err)
		return drillsByZone{}
	}
	return held
}
