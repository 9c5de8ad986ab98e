package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/myriad-fleet/myriad/internal/runtime/process"
)

// killDeadline bounds the wait for a killed process to be gone.
const killDeadline = 10 * time.Second

// Down stops everything that Up started in a home, and only that. All data stays.
//
//  1. the guests of each cell, all cells at once
//  2. gateways, agents, the cells' supervisors and the hub
//  3. the platform's supervisor
//  4. whatever of this home still runs (found by its marker)
func Down(ctx context.Context, dir string, report Report) error {
	home, err := OpenHome(dir)
	if errors.Is(err, os.ErrNotExist) {
		report("nothing to stop: %s does not exist", dir)
		return nil
	}
	if err != nil {
		return err
	}
	unlock, err := home.lock(ctx, report)
	if err != nil {
		return err
	}
	defer unlock()
	p := &platform{home: home, client: process.NewClient(home.PlatformDir())}
	if pid, running := p.supervisor(); running {
		if err := stopOrderly(ctx, p, report); err != nil {
			report("orderly stop failed: %v", err)
		}
		if err := terminate(ctx, pid); err != nil {
			return fmt.Errorf("stop supervisor (pid %d): %w", pid, err)
		}
	}
	return sweep(ctx, home, report)
}

func stopOrderly(ctx context.Context, p *platform, report Report) error {
	ids, err := p.client.List(ctx)
	if err != nil {
		return err
	}
	report("stopping the guests' control planes")
	group, groupCtx := errgroup.WithContext(ctx)
	for _, cell := range runningCells(ids) {
		if !p.home.hasSupervisor(cell) {
			report("the guests of cell %s run on: their cluster is not of this fleet's making", cell)
			continue
		}
		group.Go(func() error { return process.NewClient(p.home.RuntimeDir(cell)).Stop(groupCtx) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	report("stopping gateways, agents and the hub")
	return p.client.Stop(ctx)
}

func runningCells(ids []string) []string {
	var cells []string
	for _, id := range ids {
		if cell, found := strings.CutPrefix(id, cellID("")); found {
			cells = append(cells, cell)
		}
	}
	return cells
}

// sweep kills what still carries this home's marker: processes whose supervisors had died.
func sweep(ctx context.Context, home *Home, report Report) error {
	left := home.processes()
	for _, pid := range left {
		report("killing process %d, which no supervisor watches", pid)
		if err := ignoreGone(syscall.Kill(pid, syscall.SIGKILL)); err != nil {
			return fmt.Errorf("kill process %d: %w", pid, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, killDeadline)
	defer cancel()
	for _, pid := range left {
		err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(context.Context) (bool, error) { return gone(pid), nil })
		if err != nil {
			return fmt.Errorf("wait for process %d to end: %w", pid, err)
		}
	}
	return nil
}

// processes of the home: supervisors mark all that they start with MYRIAD_INSTANCE=<directory>/….
func (h *Home) processes() []int {
	environments, _ := filepath.Glob("/proc/[0-9]*/environ") // the pattern is well formed
	var pids []int
	for _, file := range environments {
		text, err := os.ReadFile(file)
		if err != nil || !strings.Contains("\x00"+string(text), "\x00MYRIAD_INSTANCE="+h.Dir+"/") {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err == nil && !gone(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}
