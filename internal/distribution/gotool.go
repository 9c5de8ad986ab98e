package distribution

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// environment makes builds the same for everyone, whatever flags people set for their own.
var environment = []string{"CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOWORK=off"}

// stopGrace is how long an interrupted Go tool may take to stop the compilers that it started.
const stopGrace = 10 * time.Second

// maxComplaints is how many lines of a failed build an error repeats. The first ones name the cause.
const maxComplaints = 20

// goCommand prepares a call of the Go tool in a module.
func goCommand(ctx context.Context, module string, arguments ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, "go", arguments...)
	command.Dir = module
	command.Env = append(os.Environ(), environment...)
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = stopGrace
	return command
}

// goOutput returns what the Go tool prints, its lines joined by spaces.
func goOutput(ctx context.Context, module string, arguments ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	command := goCommand(ctx, module, arguments...)
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("go %s: %w: %s", strings.Join(arguments, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.Join(strings.Fields(stdout.String()), " "), nil
}

// goBuild runs `go build -v` in a module and shows how far it has come.
func goBuild(ctx context.Context, module string, counter *counter, arguments []string) error {
	counter.complaints = nil
	command := goCommand(ctx, module, append([]string{"build", "-v"}, arguments...)...)
	command.Stdout, command.Stderr = counter, counter
	if err := command.Run(); err != nil {
		return fmt.Errorf("go build in %s: %w:\n%s", module, err, strings.Join(counter.complaints, "\n"))
	}
	return nil
}

// counter reads what `go build -v` prints, a line per module it downloads and per package it
// compiles, and keeps the rest, which are complaints.
type counter struct {
	activity             *activity
	downloaded, compiled int
	complaints           []string
	rest                 []byte // an unfinished line
}

// Write takes the next piece of the output.
func (c *counter) Write(content []byte) (int, error) {
	c.rest = append(c.rest, content...)
	for {
		line, rest, found := bytes.Cut(c.rest, []byte("\n"))
		if !found {
			return len(content), nil
		}
		c.rest = rest
		c.line(string(line))
	}
}

// line counts or keeps one line.
func (c *counter) line(line string) {
	switch {
	case strings.HasPrefix(line, "go: downloading "):
		c.downloaded++
	case !strings.ContainsAny(line, " \t:#"):
		c.compiled++
	case len(c.complaints) < maxComplaints:
		c.complaints = append(c.complaints, line)
	}
	if c.compiled == 0 {
		c.activity.setf("%d modules downloaded", c.downloaded)
		return
	}
	c.activity.setf("%d packages compiled", c.compiled)
}
