package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// ground is where guests under test live: what a test sees of their components there, and does to
// them. The suites of lifecycle and data plane run from one source on every ground.
type ground interface {
	// instances of the guest's components that run and do not hang, by component: what tells one run
	// of it from the next.
	instances(ctx context.Context, g *guest) (map[string]string, error)
	// kill ends one component with kill -9.
	kill(ctx context.Context, g *guest, component string) error
	// hold has everything of a zone fail, by "kill" or "hang"; an empty mode ends that.
	hold(ctx context.Context, g *guest, zone, mode string) error
	// destroy removes the data of a component from under it.
	destroy(ctx context.Context, g *guest, component string) error
	// left lists what is left of a guest that was deleted.
	left(ctx context.Context, g *guest) ([]string, error)
}

// processes is the ground of cells whose guests are processes of this machine.
type processes struct{}

func (processes) instances(_ context.Context, g *guest) (map[string]string, error) {
	pids, err := g.PIDs(g.directory())
	if err != nil {
		return nil, err
	}
	running := map[string]string{}
	for instance, pid := range pids {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err == nil && !strings.Contains(string(stat), ") T ") {
			running[path.Base(instance)] = strconv.Itoa(pid)
		}
	}
	return running, nil
}

func (processes) kill(_ context.Context, g *guest, component string) error {
	all, err := g.Instances()
	if err != nil {
		return err
	}
	process, found := all[g.directory()+component]
	if !found {
		return fmt.Errorf("no process %s to kill", component)
	}
	return process.Kill()
}

func (processes) hold(ctx context.Context, g *guest, zone, mode string) error {
	arguments := []string{"zone", "restore", g.cell, zone}
	if mode != "" {
		arguments = []string{"zone", "fail", g.cell, zone, "--mode", mode}
	}
	_, err := g.Run(ctx, arguments...)
	return err
}

func (processes) destroy(_ context.Context, g *guest, component string) error {
	return os.RemoveAll(filepath.Join(g.files(), component, "data"))
}

func (processes) left(_ context.Context, g *guest) ([]string, error) {
	running, err := g.PIDs(g.directory())
	if err != nil {
		return nil, err
	}
	var left []string
	for instance, pid := range running {
		left = append(left, fmt.Sprintf("process %d: %s", pid, instance))
	}
	err = filepath.WalkDir(filepath.Join(g.Home, "cells", g.cell), func(file string, entry fs.DirEntry, err error) error {
		if err == nil && strings.Contains(entry.Name(), g.id) {
			left = append(left, file)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it went away meanwhile
		}
		return err
	})
	return left, err
}

// directory of the guest's processes below the home, as Instance begins.
func (g *guest) directory() string { return "cells/" + g.cell + "/runtime/" + g.id + "/" }

// files of the guest's processes: <component>/{config,data,log}.
func (g *guest) files() string {
	return filepath.Join(g.Home, "cells", g.cell, "runtime", "guests", g.id)
}

// groundOf a cell.
func groundOf(string) ground { return processes{} }
