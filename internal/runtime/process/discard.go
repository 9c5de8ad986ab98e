package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"
)

// A discard is a marker beside the data, written before the process is ended and removed when the data
// is. Whatever dies in between, the next supervisor goes on, and as long as the marker is there nothing
// starts that could make new data.

// marked says that a discard has begun and not ended.
func (d componentDir) marked() bool {
	_, err := os.Lstat(d.discard())
	return err == nil
}

// discard begins to throw a component's data away; answer gets the outcome.
func (g *guest) discard(name string, answer chan error) {
	at := slices.IndexFunc(g.components, func(c *component) bool { return c.name == name && c.spec != nil })
	switch {
	case g.deleting:
		answer <- fmt.Errorf("guest %s is being deleted: nothing of it is discarded alone", g.id)
		return
	case at < 0:
		answer <- fmt.Errorf("guest %s has no component %q to discard", g.id, name)
		return
	}
	c := g.components[at]
	if !c.discarding {
		if err := c.mark(g.write); err != nil {
			answer <- fmt.Errorf("discarding %s of guest %s: %w", name, g.id, err)
			return
		}
		g.log.Info("data of a component is thrown away", "guest", g.id, "component", name)
	}
	c.onDiscarded = append(c.onDiscarded, answer)
}

func (c *component) mark(write func(string, []byte) error) error {
	if err := c.dir.make(); err != nil {
		return err
	}
	if err := write(c.dir.discard(), nil); err != nil {
		return fmt.Errorf("writing the marker: %w", err)
	}
	c.discarding, c.failures, c.retryAt = true, 0, time.Time{}
	return nil
}

// empty throws the data of a component away that does not run.
func (g *guest) empty(c *component) error {
	free, err := g.vacate(c)
	if err != nil || !free {
		return err
	}
	err = c.dir.empty(g.removeAll)
	if err == nil {
		c.discarding = false
	}
	c.discarded(err)
	return err
}

// discarded answers those who wait for a discard.
func (c *component) discarded(err error) {
	for _, answer := range c.onDiscarded {
		answer <- err
	}
	c.onDiscarded = nil
}

// empty removes the data, then the marker, and returns when both are known to stay away: a marker that
// came back after a power loss would cost the next data.
func (d componentDir) empty(removeAll func(string) error) error {
	if err := removeAll(d.data()); err != nil {
		return fmt.Errorf("throwing data away: %w", err)
	}
	if err := os.Remove(d.discard()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("throwing data away: %w", err)
	}
	dir, err := os.Open(string(d))
	if err != nil {
		return fmt.Errorf("throwing data away: %w", err)
	}
	defer func() { _ = dir.Close() }() // only synced
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("throwing data away: %w", err)
	}
	return nil
}
