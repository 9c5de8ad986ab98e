package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestLabTwoAgents starts a second agent for the cell, with all that the first one has. It waits, and
// says who has the cell; guests and the first agent do not notice.
func TestLabTwoAgents(t *testing.T) {
	g := steadyInLab(t)
	g.healthy(t, nil)
	before, first := g.instances(t), g.pids(t, g.daemons())
	output := g.secondAgent(t)
	eventually(t, healBudget, "the second agent to say who has the cell", func(context.Context) (string, bool) {
		said := output.String()
		return said, strings.Contains(said, "holds Lease myriad-system/agent-"+g.cell) && strings.Contains(said, "there is one agent per cell")
	})
	if said := output.String(); strings.Contains(said, "this agent has the cell") {
		t.Errorf("the second agent works in the cell, too: %s", said)
	}
	g.healthy(t, nil)
	g.sameInstances(t, before, "a second agent")
	for instance, pid := range g.pids(t, g.daemons()) {
		if first[instance] != pid {
			t.Errorf("%s was restarted", instance)
		}
	}
}

// secondAgent of the guest's cell, until the test ends. It returns what it writes.
func (g *guest) secondAgent(t *testing.T) *transcript {
	t.Helper()
	instances, err := g.Instances()
	if err != nil {
		t.Fatal(err)
	}
	arguments := strings.Fields(instances[g.daemons()+"agent"].CommandLine)[1:]
	own := filepath.Join(t.TempDir(), "agent")
	place := slices.Index(arguments, "--dir") + 1
	if err := os.CopyFS(own, os.DirFS(arguments[place])); err != nil {
		t.Fatal(err)
	}
	arguments[place] = own
	ctx, stop := context.WithCancel(context.Background())
	command := exec.CommandContext(ctx, g.Binary, arguments...)
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 10 * time.Second
	output := &transcript{}
	command.Stdout, command.Stderr = output, output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = command.Wait() // it was interrupted
	})
	return output
}

// transcript of a program that still writes.
type transcript struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *transcript) Write(part []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(part)
}

func (o *transcript) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
