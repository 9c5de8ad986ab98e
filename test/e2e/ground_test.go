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

// ground is where guests under test live: what a test sees of their components there, and what it can
// reach past Myriad. The suites of lifecycle and data plane run from one source on every ground.
type ground interface {
	// instances of the guest's components that run and do not hang, by component.
	instances(ctx context.Context, g *guest) (map[string]instance, error)
	// hold has everything of a zone fail, by "kill" or "hang"; an empty mode ends that.
	hold(ctx context.Context, g *guest, zone, mode string) error
	// data is the directory on this machine that holds the data of a component.
	data(ctx context.Context, g *guest, component string) (string, error)
	// files that the guest's components are given, as <component>/<file>.
	files(ctx context.Context, g *guest) (map[string][]byte, error)
	// left lists what is left of a guest that was deleted.
	left(ctx context.Context, g *guest) ([]string, error)
}

// instance is one run of a component.
type instance struct {
	// id tells one run from the next.
	id  string
	pid int
}

// processes is the ground of cells whose guests are processes of this machine.
type processes struct{}

func (processes) instances(_ context.Context, g *guest) (map[string]instance, error) {
	pids, err := g.PIDs(g.directory())
	if err != nil {
		return nil, err
	}
	running := map[string]instance{}
	for name, pid := range pids {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err == nil && !strings.Contains(string(stat), ") T ") {
			running[path.Base(name)] = instance{id: strconv.Itoa(pid), pid: pid}
		}
	}
	return running, nil
}

func (processes) hold(ctx context.Context, g *guest, zone, mode string) error {
	arguments := []string{"zone", "restore", g.cell, zone}
	if mode != "" {
		arguments = []string{"zone", "fail", g.cell, zone, "--mode", mode}
	}
	_, err := g.Run(ctx, arguments...)
	return err
}

func (processes) data(_ context.Context, g *guest, component string) (string, error) {
	return filepath.Join(g.runtimeDirectory(), component, "data"), nil
}

func (processes) files(_ context.Context, g *guest) (map[string][]byte, error) {
	found, err := filepath.Glob(filepath.Join(g.runtimeDirectory(), "*", "config", "*"))
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, file := range found {
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was a file that was about to replace another one
		}
		if err != nil {
			return nil, err
		}
		component := filepath.Base(filepath.Dir(filepath.Dir(file)))
		files[component+"/"+filepath.Base(file)] = text
	}
	return files, nil
}

func (processes) left(_ context.Context, g *guest) ([]string, error) {
	running, err := g.PIDs(g.directory())
	if err != nil {
		return nil, err
	}
	left, err := g.filesOfCell()
	for name, pid := range running {
		left = append(left, fmt.Sprintf("process %d: %s", pid, name))
	}
	return left, err
}

// filesOfCell are what the home keeps of the guest for its cell: what has its id in its name.
func (g *guest) filesOfCell() ([]string, error) {
	var files []string
	err := filepath.WalkDir(filepath.Join(g.Home, "cells", g.cell), func(file string, entry fs.DirEntry, err error) error {
		if err == nil && strings.Contains(entry.Name(), g.id) {
			files = append(files, file)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it went away meanwhile
		}
		return err
	})
	return files, err
}

// directory of the guest's processes below the home, as Instance begins.
func (g *guest) directory() string { return "cells/" + g.cell + "/runtime/" + g.id + "/" }

// runtimeDirectory of the guest's processes: <component>/{config,data,log}.
func (g *guest) runtimeDirectory() string {
	return filepath.Join(g.Home, "cells", g.cell, "runtime", "guests", g.id)
}

// groundOf a cell of the suite.
func (s *suite) groundOf(cell string) ground {
	if s.lab != nil && cell == s.labCell() {
		return s.lab
	}
	return processes{}
}
