package process

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// handle is a pidfd: it names one process for good, where a process id may come to name another.
type handle struct {
	pid  int
	file *os.File
}

// openHandle opens a process and makes sure that it still is the named instance.
func openHandle(pid int, instance string) (*handle, error) {
	h, err := openPID(pid)
	if err != nil {
		return nil, err
	}
	process, err := inspect(pid)
	if err == nil && (process == nil || process.instance != instance) {
		err = os.ErrProcessDone
	}
	if err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

func openPID(pid int) (*handle, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("opening process %d (pidfd_open needs Linux 5.10): %w", pid, err)
	}
	return &handle{pid: pid, file: os.NewFile(uintptr(fd), fmt.Sprintf("pidfd of %d", pid))}, nil
}

func (h *handle) close() { _ = h.file.Close() } // nothing was written to it

func (h *handle) signal(signal unix.Signal) error {
	raw, err := h.file.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	if err := raw.Control(func(fd uintptr) { sent = unix.PidfdSendSignal(int(fd), signal, nil, 0) }); err != nil {
		return err
	}
	if sent != nil {
		return fmt.Errorf("sending %s to process %d: %w", unix.SignalName(signal), h.pid, sent)
	}
	return nil
}

// wait returns when the process has ended, holding no thread meanwhile, and an error when the handle
// was closed before. The status is nil for a process that an earlier supervisor started: only its
// parent is told.
func (h *handle) wait() (*unix.WaitStatus, error) {
	raw, err := h.file.SyscallConn()
	if err != nil {
		return nil, err
	}
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(ready, 0)
		if err != nil && !errors.Is(err, unix.EINTR) {
			failed = err
			return true
		}
		return n > 0
	})
	if err := errors.Join(err, failed); err != nil {
		return nil, err
	}
	var status unix.WaitStatus
	if pid, err := unix.Wait4(h.pid, &status, unix.WNOHANG, nil); err != nil || pid != h.pid {
		return nil, nil
	}
	return &status, nil
}
