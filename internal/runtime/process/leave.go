package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// deletingDir is where a guest's directory goes when its deletion begins. The rename is what makes a
// deletion final: whatever dies in the middle of it, the next supervisor goes on.
func deletingDir(dir, id string) string { return filepath.Join(dir, guestsDir, deletingPrefix+id) }

// delete begins the guest's deletion; answer gets the outcome.
func (g *guest) delete(answer chan error) {
	if !g.deleting {
		err := os.Rename(g.dir, deletingDir(g.host.dir, g.id))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			answer <- fmt.Errorf("deleting guest %s: %w", g.id, err)
			return
		}
		g.deleting = true
	}
	g.onDeleted = append(g.onDeleted, answer)
}

// finish ends what waits for the guest's processes to be gone: its deletion, and Client.Stop.
func (g *guest) finish() {
	if !g.deleting && len(g.onHalted) == 0 {
		return
	}
	for _, c := range g.components {
		if c.process != nil {
			return
		}
	}
	if g.killStrays(instancePrefix(g.host.dir, g.id)) > 0 {
		g.maintainAt = g.clock.Now().Add(g.timing.strays) // look again soon
		return
	}
	var err error
	if g.deleting && len(g.onDeleted) > 0 {
		err = g.remove()
		g.finished = err == nil
	}
	g.publish() // whoever is answered sees that all is gone
	for _, halted := range g.onHalted {
		close(halted)
	}
	for _, answer := range g.onDeleted {
		answer <- err
	}
	g.onHalted, g.onDeleted = nil, nil
}

func (g *guest) remove() error {
	// A process may have made a file anew at its old place before it was killed.
	for _, dir := range []string{g.dir, deletingDir(g.host.dir, g.id)} {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("deleting guest %s: %w", g.id, err)
		}
	}
	return g.release(g.id)
}

// halt stops everything and starts nothing again; gone is closed when no process is left.
func (g *guest) halt(gone chan struct{}) {
	g.halted = true
	g.onHalted = append(g.onHalted, gone)
}
