package process

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// dataWatch notices that a process's data directory is gone from under it: removed, or hidden by another
// file system. Programs do not notice by themselves. etcd v3.6.16 answers /readyz with ok and
// acknowledges writes to files that no longer have a name, until it needs a new one: after 64 MB of its
// log, or at its next start, when all of that is lost.
type dataWatch struct {
	dir string
	pid int
	// inner was there when the process was ready.
	inner []string
}

// note remembers where etcd keeps all of its data: in "member" below the directory that it was told.
func (w *dataWatch) note() {
	if w.inner == nil {
		w.inner, _ = filepath.Glob(filepath.Join(w.dir, "*", "member")) // fails for a bad pattern only
	}
}

// gone compares the directory with the process's working directory, which is the one that it was started
// with, even if an earlier supervisor did that.
func (w *dataWatch) gone() bool {
	now, err := os.Stat(w.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if err != nil {
		return false // unreadable is not gone
	}
	for _, dir := range w.inner {
		if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
			return true
		}
	}
	link := filepath.Join("/proc", strconv.Itoa(w.pid), "cwd")
	then, err := os.Stat(link)
	if err != nil {
		return false // the process has ended
	}
	path, err := os.Readlink(link)
	// A program that went elsewhere by itself tells nothing.
	return err == nil && strings.TrimSuffix(path, " (deleted)") == w.dir && !os.SameFile(now, then)
}

// lost notes that a running component's data is gone. It is restarted like one of which something else
// is wanted: drained, one at a time, never at the cost of a quorum.
func (g *guest) lost(c *component, p *process) {
	if c.process != p || p.lost || c.discarding || g.deleting {
		return
	}
	p.lost = true
	g.rollUntil = g.clock.Now().Add(g.timing.roll)
	g.log.Error("the data directory of a running component is gone", "guest", g.id, "component", c.name,
		"pid", p.handle.pid, "directory", c.dir.data())
}

func lostMessage(dir string) string {
	return "its data directory " + dir + " is gone: what it knows ends with its process; it restarts once nothing else is down, unless it is alone: then save a snapshot of it first"
}
