package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// instance is the value of a component's marker.
func (g *guest) instance(name string) string { return instancePrefix(g.host.dir, g.id) + name }

func instancePrefix(dir, id string) string { return dir + "/" + id + "/" }

func (g *guest) act(c *component, a action) {
	switch a {
	case start:
		g.attempt(c, g.start(c))
		return
	case empty:
		g.attempt(c, g.empty(c))
		return
	}
	p, signal := c.process, unix.SIGKILL
	switch a {
	case terminate:
		signal = unix.SIGTERM
		p.stopping, p.killAt = true, g.clock.Now().Add(g.grace(c))
		if c.spec != nil && !c.spec.Stopped {
			g.rollUntil = g.clock.Now().Add(g.timing.roll)
		}
	case freeze:
		signal, p.frozen = unix.SIGSTOP, true
	case thaw:
		signal, p.frozen = unix.SIGCONT, false
	case kill:
		p.killed = true
	}
	if err := p.handle.signal(signal); err != nil && !errors.Is(err, unix.ESRCH) {
		g.log.Error("signal not sent", "guest", g.id, "component", c.name, "error", err)
	}
}

// attempt notes why a component does not start; it is tried again after a pause.
func (g *guest) attempt(c *component, err error) {
	if err == nil {
		return
	}
	c.fail(err.Error()+describeDisk(g.dir), &g.timing, g.clock.Now())
	g.log.Error("component does not start", "guest", g.id, "component", c.name, "error", err)
	g.saveRecord(c)
}

func (g *guest) grace(c *component) time.Duration {
	if c.spec == nil || c.spec.StopSeconds <= 0 {
		return g.timing.grace
	}
	return time.Duration(c.spec.StopSeconds) * time.Second
}

// start starts a component, unless it runs already: then it is taken over.
func (g *guest) start(c *component) error {
	if free, err := g.vacate(c); err != nil || !free {
		return err
	}
	return g.launch(c, g.instance(c.name))
}

// vacate makes sure that nothing of a component runs. Free is false when something did: its process,
// which is taken over, or what an earlier one left, which is killed.
func (g *guest) vacate(c *component) (free bool, err error) {
	instance := g.instance(c.name)
	running, err := findProcesses(instance)
	if err != nil {
		return false, err
	}
	var strays []found
	for _, f := range running {
		switch {
		case f.instance != instance: // a longer name with the same beginning
		case f.leader && c.process == nil:
			if err := g.takeOver(c, f); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return false, err
			}
		default:
			strays = append(strays, f)
		}
	}
	if c.process != nil {
		return false, nil
	}
	if len(strays) > 0 {
		// What the last process left might hold its port or its data. Look again when it is gone.
		killAll(strays)
		c.retryAt = g.clock.Now().Add(g.timing.strays)
		return false, nil
	}
	return true, nil
}

// launch starts the component's program in a session of its own, so that it outlives the supervisor.
func (g *guest) launch(c *component, instance string) error {
	path, err := g.program(c.spec)
	if err != nil {
		return err
	}
	if err := c.dir.make(); err != nil {
		return err
	}
	if err := removeOldFiles(c.spec, c.dir); err != nil {
		return err
	}
	// Nobody reads yet, and a start writes all again: no need to wait for the disk.
	plain := func(path string, data []byte) error { return os.WriteFile(path, data, fileMode) }
	if err := writeFiles(c.spec, c.dir, false, plain); err != nil {
		return err
	}
	log, logFrom, err := openLog(c.dir.log())
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the process has its own
	args, env := commandLine(c.spec, c.dir, instance)
	command := exec.Command(path, args...)
	command.Env, command.Dir, command.Stdout, command.Stderr = env, c.dir.data(), log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	// Should this process be killed between fork and exec, then the child holds the supervisor's lock
	// until exec closes it: no other supervisor looks for it before it carries its marker.
	if err := command.Start(); err != nil {
		return errors.New(describeStart(path, err))
	}
	pid := command.Process.Pid
	if err := command.Process.Release(); err != nil {
		g.log.Warn("process handle not released", "guest", g.id, "component", c.name, "error", err)
	}
	handle, err := openPID(pid)
	if err != nil {
		return err // the next try finds the process by its marker
	}
	g.attach(c, &process{handle: handle, spec: c.hash, started: g.clock.Now(), logFrom: logFrom})
	g.log.Info("component started", "guest", g.id, "component", c.name, "pid", pid)
	return nil
}

func (g *guest) program(spec *controlplane.Component) (string, error) {
	if filepath.IsAbs(spec.Program) {
		return spec.Program, nil
	}
	if g.programs == nil {
		return "", fmt.Errorf("program %s: must be an absolute path here: this supervisor has no distribution", spec.Program)
	}
	return g.programs.Path(spec.Program, spec.Version)
}

// takeOver makes a process that an earlier supervisor started the component's own.
func (g *guest) takeOver(c *component, f found) error {
	handle, err := openHandle(f.pid, f.instance)
	if err != nil {
		return err
	}
	p := &process{handle: handle, spec: f.spec, started: g.clock.Now().Add(-f.age()), frozen: f.frozen}
	if c.record.Ready && c.record.PID == f.pid && c.record.Boot == g.boot {
		p.ready, p.wasReady, p.readySince = true, true, p.started
	}
	g.attach(c, p)
	if c.spec != nil {
		g.writeLive(c)
	}
	g.log.Info("running component taken over", "guest", g.id, "component", c.name, "pid", f.pid)
	return nil
}

// attach begins to watch a process.
func (g *guest) attach(c *component, p *process) {
	c.process = p
	c.record.PID, c.record.Boot, c.record.Ready = p.handle.pid, g.boot, p.wasReady
	g.saveRecord(c)
	go func() {
		status, err := p.handle.wait()
		if err == nil { // else it was detached
			g.post(func() { g.exited(c, p, status) })
		}
	}()
	g.startProbe(c)
}

// detach stops watching a component's process.
func (g *guest) detach(c *component) {
	if c.process == nil {
		return
	}
	if c.process.stopProbe != nil {
		c.process.stopProbe()
	}
	c.process.handle.close()
	c.process = nil
}

func (g *guest) startProbe(c *component) {
	p := c.process
	if p.stopProbe != nil {
		p.stopProbe()
		p.stopProbe = nil
	}
	switch {
	case c.spec == nil:
	case c.spec.Probe == nil:
		g.probed(c, p, true)
	default:
		ctx, cancel := context.WithCancel(g.life)
		p.stopProbe = cancel
		report := func(ready bool) {
			g.post(func() {
				if ctx.Err() == nil {
					g.probed(c, p, ready)
				}
			})
		}
		prober := &prober{
			probe: *c.spec.Probe, config: c.dir.config(), timing: g.timing,
			ready: p.ready, after: g.clock.After, report: report,
			data: &dataWatch{dir: c.dir.data(), pid: p.handle.pid},
			lost: func() { g.post(func() { g.lost(c, p) }) },
		}
		go prober.run(ctx)
	}
}

func (g *guest) probed(c *component, p *process, ready bool) {
	p.ready = ready
	if ready && !p.wasReady {
		p.wasReady, p.readySince = true, g.clock.Now()
		c.ordered = false
		c.record.Ready = true
		g.saveRecord(c)
	}
}

// exited notes the end of a component's process.
func (g *guest) exited(c *component, p *process, status *unix.WaitStatus) {
	if c.process != p {
		return
	}
	now := g.clock.Now()
	c.ordered = p.stopping || p.killed
	switch {
	case c.ordered:
		c.failures, c.retryAt = 0, time.Time{}
	case g.forsaken(c):
		c.retryAt = time.Time{}
		g.log.Info("component gave up while what it needs is restarted", "guest", g.id, "component", c.name, "pid", p.handle.pid)
	default:
		message := runtime.LastWords(readTail(c.dir.log(), p.logFrom)) + describeDisk(g.dir)
		c.record.Restarts++
		c.fail(describeExit(status, now.Sub(p.started), message), &g.timing, now)
		g.log.Warn("component died", "guest", g.id, "component", c.name, "pid", p.handle.pid, "reason", c.record.LastExit)
	}
	g.detach(c)
	c.record.PID = 0
	g.saveRecord(c)
}

// forsaken says that something a component needs was ended by order and is not back yet: its death is
// the order's doing.
func (g *guest) forsaken(c *component) bool {
	return c.spec != nil && slices.ContainsFunc(g.components, func(needed *component) bool {
		p := needed.process
		return slices.Contains(c.spec.After, needed.name) && (needed.ordered || p != nil && (p.stopping || p.killed))
	})
}

func (g *guest) saveRecord(c *component) {
	if g.deleting {
		return
	}
	if err := writeRecord(c.dir.record(), &c.record, g.write); err != nil {
		g.log.Warn("restart count not saved", "guest", g.id, "component", c.name, "error", err)
	}
}

// forgetDropped removes components that the manifest no longer has once their processes are gone.
func (g *guest) forgetDropped() {
	if g.manifest == nil || g.deleting {
		return
	}
	kept := g.components[:0:0]
	for _, c := range g.components {
		if c.spec != nil || c.process != nil {
			kept = append(kept, c)
			continue
		}
		g.killStrays(g.instance(c.name))
		err := os.RemoveAll(string(c.dir))
		if err != nil {
			g.log.Warn("directory of a dropped component not removed", "guest", g.id, "component", c.name, "error", err)
		}
		c.discarded(err)
	}
	g.components = kept
}

// killStrays kills what carries a marker that begins with prefix and tells how many there were.
func (g *guest) killStrays(prefix string) int {
	strays, err := findProcesses(prefix)
	if err != nil {
		g.log.Error("strays not found", "guest", g.id, "error", err)
		return 0
	}
	if !strings.HasSuffix(prefix, "/") { // one instance: no longer name with the same beginning
		exact := strays[:0]
		for _, f := range strays {
			if f.instance == prefix {
				exact = append(exact, f)
			}
		}
		strays = exact
	}
	killAll(strays)
	return len(strays)
}
