package local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/renameio/v2"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/myriad-fleet/myriad/internal/runtime/process"
)

const (
	// supervisorDeadline bounds how long a supervisor may take to answer after its start.
	supervisorDeadline = 30 * time.Second
	pollInterval       = 100 * time.Millisecond
)

// platform is the supervisor of the hub and of Myriad's own daemons.
type platform struct {
	home   *Home
	binary string
	client *process.Client
}

// installBinary copies the running program into the home, named by its content, so that rebuilding
// it does not touch what runs and a changed program shows as a changed path.
func (h *Home) installBinary() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find the running program: %w", err)
	}
	source, err := os.Open(self)
	if err != nil {
		return "", fmt.Errorf("read the running program: %w", err)
	}
	defer func() { _ = source.Close() }()
	sum := sha256.New()
	if _, err := io.Copy(sum, source); err != nil {
		return "", fmt.Errorf("read the running program: %w", err)
	}
	target := h.path("bin", "myriad-"+hex.EncodeToString(sum.Sum(nil))[:12])
	if _, err := os.Stat(target); err == nil {
		return target, nil
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return "", fmt.Errorf("install program: %w", err)
	}
	if _, err := source.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("install program: %w", err)
	}
	return target, copyExecutable(target, source)
}

func copyExecutable(target string, source io.Reader) error {
	file, err := renameio.NewPendingFile(target, renameio.WithPermissions(0o700))
	if err != nil {
		return fmt.Errorf("install program: %w", err)
	}
	defer func() { _ = file.Cleanup() }()
	if _, err := io.Copy(file, source); err != nil {
		return fmt.Errorf("install program: %w", err)
	}
	if err := file.CloseAtomicallyReplace(); err != nil {
		return fmt.Errorf("install program: %w", err)
	}
	return nil
}

// ensure has the platform's supervisor running from the given binary. One of another binary is
// asked to leave first; its children stay and the new one adopts them.
func (p *platform) ensure(ctx context.Context) error {
	pid, running := p.supervisor()
	if running && p.runs(pid) {
		return p.resume(ctx)
	}
	if running {
		if err := terminate(ctx, pid); err != nil {
			return fmt.Errorf("replace supervisor (pid %d): %w", pid, err)
		}
	}
	if err := p.start(); err != nil {
		return err
	}
	return p.wait(ctx)
}

// supervisor finds the platform's supervisor by its own lock file.
func (p *platform) supervisor() (pid int, running bool) {
	text, err := os.ReadFile(filepath.Join(p.home.PlatformDir(), "supervisor.lock"))
	if err != nil {
		return 0, false
	}
	pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, false
	}
	arguments, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return pid, err == nil && strings.Contains(string(arguments), p.home.PlatformDir())
}

// runs says whether a process runs the wanted binary, even where the file was replaced since.
func (p *platform) runs(pid int) bool {
	target, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	return err == nil && target == p.binary
}

func (p *platform) start() error {
	if err := os.MkdirAll(p.home.PlatformDir(), 0o700); err != nil {
		return fmt.Errorf("start supervisor: %w", err)
	}
	log, err := os.OpenFile(p.home.path("platform", "supervisor.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("start supervisor: %w", err)
	}
	defer func() { _ = log.Close() }()
	command := exec.Command(p.binary, "supervisor", "--dir", p.home.PlatformDir(), "--distribution", p.home.DistributionDir())
	command.Stdout, command.Stderr = log, log
	command.Dir = p.home.Dir
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return fmt.Errorf("start supervisor: %w", err)
	}
	return command.Process.Release()
}

// resume waits for the supervisor and takes back a 'down' that was broken off.
func (p *platform) resume(ctx context.Context) error {
	if err := p.wait(ctx); err != nil {
		return err
	}
	if err := p.client.Resume(ctx); err != nil {
		return fmt.Errorf("resume the platform's processes: %w", err)
	}
	return nil
}

func (p *platform) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, supervisorDeadline)
	defer cancel()
	var last error
	err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		_, last = p.client.List(ctx)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("supervisor does not answer: %w; see %s", errors.Join(last, err), p.home.path("platform", "supervisor.log"))
	}
	return nil
}

// terminate asks a process to end and waits until it has.
func terminate(ctx context.Context, pid int) error {
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return ignoreGone(err)
	}
	ctx, cancel := context.WithTimeout(ctx, supervisorDeadline)
	defer cancel()
	return wait.PollUntilContextCancel(ctx, pollInterval, true, func(context.Context) (bool, error) {
		return gone(pid), nil
	})
}

// gone is true for zombies too: whoever started them has yet to look.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(rest, "Z")
}

func ignoreGone(err error) error {
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}
