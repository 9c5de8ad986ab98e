// Package e2e proves what a fleet promises, through the myriad command and against real processes. It
// needs MYRIAD_BIN and MYRIAD_DISTRO, which 'make e2e' sets. With MYRIAD_E2E_FULL=1 it takes no
// shortcuts: every zone in every mode, more guests, whole lifetimes of certificates.
//
// With MYRIAD_E2E_LAB=1, which 'make e2e-lab' sets, guests of the region eu-frankfurt run in the lab: a
// Kubernetes cluster with three real kubelets. The lab is brought up for it and taken down again, unless
// it was up before or MYRIAD_E2E_KEEP_LAB=1. See hack/test for the tests that run on this ground.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/test/fleet"
)

// Budgets in time. All of them are many times what an idle machine of two cores takes.
const (
	upBudget     = 4 * time.Minute
	commandLimit = 90 * time.Second
	createBudget = 2 * time.Minute
	healBudget   = 2 * time.Minute // in the lab a zone that was killed took 54 s
	// goneBudget finds a deletion that hangs. 'make bench-lab' measures how long one takes: 10 s are its budget.
	goneBudget = 30 * time.Second
)

// shared is the fleet of all tests that leave a fleet as they found it. The first one brings it up.
var shared struct {
	once sync.Once
	*suite
	err error
}

func TestMain(m *testing.M) {
	if err := openLaboratory(); err != nil {
		fmt.Fprintln(os.Stderr, "the lab:", err)
		os.Exit(1)
	}
	code := m.Run()
	if shared.suite != nil && os.Getenv("MYRIAD_E2E_HOME") == "" {
		ctx, cancel := context.WithTimeout(context.Background(), upBudget)
		if err := shared.remove(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "the shared fleet left something behind:", err)
			code = 1
		}
		cancel()
	}
	if err := closeLaboratory(); err != nil {
		fmt.Fprintln(os.Stderr, "the lab:", err)
		code = 1
	}
	os.Exit(code)
}

// full tells whether to take no shortcuts.
func full() bool { return os.Getenv("MYRIAD_E2E_FULL") != "" }

// suite is a fleet under test.
type suite struct {
	*fleet.Fleet
	hub client.WithWatch
	// lab that guests of region eu-frankfurt run in; nil where all guests are processes.
	lab *laboratory
}

// sharedFleet returns the shared fleet, up and with the cluster hello.
func sharedFleet(t *testing.T) *suite {
	t.Helper()
	shared.once.Do(func() {
		f, err := fleet.New()
		if err != nil {
			shared.err = err
			return
		}
		if home := os.Getenv("MYRIAD_E2E_HOME"); home != "" {
			shared.err = os.Remove(f.Home) // it is empty
			f.Home = home
		}
		shared.suite = &suite{Fleet: f, lab: theLaboratory}
		shared.err = errors.Join(shared.err, shared.up(context.Background()))
	})
	if shared.err != nil {
		t.Fatalf("bringing the shared fleet up: %v", shared.err)
	}
	return shared.suite
}

// ownFleet returns a fleet that is not up yet. It is removed after the test, which fails when
// anything is left.
func ownFleet(t *testing.T) *suite {
	t.Helper()
	f, err := fleet.New()
	if err != nil {
		t.Fatal(err)
	}
	s := &suite{Fleet: f, lab: theLaboratory}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), upBudget)
		defer cancel()
		if err := s.remove(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

// remove the fleet and what it has in the lab.
func (s *suite) remove(ctx context.Context) error {
	err := s.Remove(ctx)
	if s.lab == nil {
		return err
	}
	return errors.Join(err, s.lab.clear(ctx, s.labCell()))
}

// labCell is the name of the fleet's cell in the lab: no two fleets share one.
func (s *suite) labCell() string {
	return "lab-" + strings.TrimPrefix(filepath.Base(s.Home), "myriad-")
}

// up brings the fleet up and connects to its hub. With the lab as a cell, that is the only one of its
// region which takes guests. Shifts of gears are frozen: the load of most tests is three rungs for an idle
// guest, and they count restarts (see withGearbox).
func (s *suite) up(ctx context.Context, flags ...string) error {
	ctx, cancel := context.WithTimeout(ctx, upBudget)
	defer cancel()
	if s.lab != nil {
		if err := s.lab.Admit(ctx, s.Run); err != nil {
			return err
		}
		flags = append(flags, "--no-hello", "--cell", s.labCell()+"@eu-frankfurt="+s.lab.AgentKubeconfig())
	}
	if _, err := s.Up(ctx, flags...); err != nil {
		return err
	}
	if s.lab != nil {
		if _, err := s.Run(ctx, "cell", "cordon", "fra-1"); err != nil {
			return err
		}
	}
	if _, err := s.Run(ctx, "gears", "freeze"); err != nil {
		return err
	}
	hub, err := s.Hub()
	s.hub = hub
	return err
}

func (s *suite) mustUp(t *testing.T, flags ...string) {
	t.Helper()
	if err := s.up(t.Context(), flags...); err != nil {
		t.Fatal(err)
	}
}

// run runs a myriad command that must succeed and returns its standard output.
func (s *suite) run(t *testing.T, arguments ...string) string {
	t.Helper()
	// Clean-ups call this too, when the test's own context is over.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), createBudget+commandLimit)
	defer cancel()
	output, err := s.Run(ctx, arguments...)
	if err != nil {
		t.Fatal(err)
	}
	return output
}

// refuses runs a myriad command that must fail with an exit code and say all of the words.
func (s *suite) refuses(t *testing.T, code int, words []string, arguments ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandLimit)
	defer cancel()
	output, err := s.Run(ctx, arguments...)
	var failure *fleet.ExitError
	if !errors.As(err, &failure) {
		t.Errorf("myriad %s succeeded with %q, want it refused", strings.Join(arguments, " "), output)
		return
	}
	if failure.Code != code {
		t.Errorf("want exit code %d: %v", code, failure)
	}
	for _, word := range words {
		if !strings.Contains(failure.Output, word) {
			t.Errorf("want an error that says %q: %v", word, failure)
		}
	}
}

// kubectl runs kubectl against a cluster.
func (s *suite) kubectl(t *testing.T, cluster string, arguments ...string) string {
	t.Helper()
	return s.run(t, append([]string{"kubectl", cluster, "--"}, arguments...)...)
}

// pids returns the process ids below a directory of the home.
func (s *suite) pids(t *testing.T, directory string) map[string]int {
	t.Helper()
	pids, err := s.PIDs(directory)
	if err != nil {
		t.Fatal(err)
	}
	return pids
}

// kill ends a process of the fleet with kill -9 and waits until its supervisor has started another.
func (s *suite) kill(t *testing.T, instance string) {
	t.Helper()
	old := s.killOnly(t, instance)
	eventually(t, healBudget, "a new process for "+instance, func(context.Context) (string, bool) {
		pid, found := s.pids(t, instance)[instance]
		return "none", found && pid != old
	})
}

// killOnly ends a process of the fleet with kill -9 and returns its process id.
func (s *suite) killOnly(t *testing.T, instance string) int {
	t.Helper()
	instances, err := s.Instances()
	if err != nil {
		t.Fatal(err)
	}
	process, found := instances[instance]
	if !found {
		t.Fatalf("no process %s to kill", instance)
	}
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	return process.PID
}

// eventually waits until a condition holds. The condition says how things stand, for the error.
func eventually(t *testing.T, budget time.Duration, what string, condition func(context.Context) (string, bool)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), budget)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	last := ""
	for {
		state, met := condition(ctx)
		if met {
			return
		}
		if ctx.Err() == nil { // afterwards it only says so
			last = state
		}
		select {
		case <-ctx.Done():
			t.Fatalf("after %s still waiting for %s; now: %s", budget, what, last)
		case <-tick.C:
		}
	}
}
