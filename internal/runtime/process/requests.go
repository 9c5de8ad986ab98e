package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// errEnding answers what comes while the supervisor ends.
var errEnding = errors.New("the supervisor is ending: try again when the next one runs")

func (s *Supervisor) apply(ctx context.Context, m *controlplane.Manifest) error {
	if err := checkManifest(m); err != nil {
		return err
	}
	for {
		g, err := s.findOrAdd(m.ID)
		if err != nil {
			return err
		}
		var applied error
		err = g.do(ctx, func(g *guest) {
			if applied = g.apply(m); applied == nil {
				g.reconcile() // whoever observes the guest from now on sees what is outdated
			}
		})
		if errors.Is(err, errGone) && g.isDeleted() {
			continue // a guest of that id has just been deleted: this is another one
		}
		if err != nil {
			return err
		}
		s.warnInotify(inotifyLimitFile)
		return applied
	}
}

func (s *Supervisor) observe(id string) runtime.Observation {
	if g := s.find(id); g != nil {
		return g.observe()
	}
	return runtime.Observation{}
}

// ids lists the guests that are there.
func (s *Supervisor) ids() []string {
	ids := []string{}
	for _, g := range s.all() {
		if g.observe().Exists {
			ids = append(ids, g.id)
		}
	}
	return ids
}

func (s *Supervisor) delete(ctx context.Context, id string) error {
	if err := checkName("guest id", id); err != nil {
		return err
	}
	g, err := s.findOrAdd(id)
	if err != nil {
		return err
	}
	answer := make(chan error, 1)
	if err := g.do(ctx, func(g *guest) { g.delete(answer) }); err != nil {
		if errors.Is(err, errGone) && ctx.Err() == nil && s.life.Err() == nil {
			return nil // another request has just deleted it
		}
		return err
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-s.life.Done():
		return errEnding
	}
}

func (s *Supervisor) discard(ctx context.Context, id, component string) error {
	g := s.find(id)
	if g == nil {
		return fmt.Errorf("there is no guest %q here whose component %q could be discarded", id, component)
	}
	answer := make(chan error, 1)
	if err := g.do(ctx, func(g *guest) { g.discard(component, answer) }); err != nil {
		return err
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-s.life.Done():
		return errEnding
	case <-g.ended:
		return errGone
	}
}

// hold puts exactly these drills in force.
func (s *Supervisor) hold(ctx context.Context, drills []v1alpha1.Drill) error {
	for _, d := range drills {
		if d.Zone == "" || d.Mode != v1alpha1.DrillKill && d.Mode != v1alpha1.DrillHang {
			return fmt.Errorf("drill of zone %q with mode %q: name a zone, and %s or %s", d.Zone, d.Mode, v1alpha1.DrillKill, v1alpha1.DrillHang)
		}
	}
	raw, err := json.Marshal(drills)
	if err != nil {
		return fmt.Errorf("encoding drills: %w", err)
	}
	s.mu.Lock()
	if err = s.write(filepath.Join(s.dir, drillsFile), raw); err == nil {
		s.drills = drills
	}
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("writing drills: %w", err)
	}
	for _, g := range s.all() {
		err := g.do(ctx, func(g *guest) {
			g.drills = drillsByZone(drills)
			g.reconcile() // whoever observes the guest from now on sees what is held
		})
		if err != nil && !errors.Is(err, errGone) {
			return err
		}
	}
	return nil
}

func drillsByZone(drills []v1alpha1.Drill) map[string]v1alpha1.DrillMode {
	byZone := map[string]v1alpha1.DrillMode{}
	for _, d := range drills {
		byZone[d.Zone] = d.Mode
	}
	return byZone
}

// resume takes a stop back: one that was broken off, or whose caller has died since.
func (s *Supervisor) resume(ctx context.Context) error {
	s.mu.Lock()
	s.halted = false
	s.mu.Unlock()
	for _, g := range s.all() {
		if err := g.do(ctx, func(g *guest) { g.halted = false; g.reconcile() }); err != nil && !errors.Is(err, errGone) {
			return err
		}
	}
	return nil
}

// stop ends every process and starts none again, until resume.
func (s *Supervisor) stop(ctx context.Context) error {
	s.mu.Lock()
	s.halted = true // for guests that come later
	s.mu.Unlock()
	var halted []chan struct{}
	for _, g := range s.all() {
		gone := make(chan struct{})
		err := g.do(ctx, func(g *guest) { g.halt(gone) })
		switch {
		case err == nil:
			halted = append(halted, gone)
		case !errors.Is(err, errGone):
			return err
		}
	}
	for _, gone := range halted {
		select {
		case <-gone:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.life.Done():
			return errEnding
		}
	}
	return nil
}
