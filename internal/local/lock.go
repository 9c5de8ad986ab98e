package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"
)

// lockInterval is how often a second command looks whether the first has finished.
const lockInterval = 200 * time.Millisecond

// lock makes commands that change a home take turns. The kernel drops it when the process ends.
func (h *Home) lock(ctx context.Context, report Report) (unlock func(), err error) {
	file, err := os.OpenFile(h.path("lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock home: %w", err)
	}
	told := false
	err = wait.PollUntilContextCancel(ctx, lockInterval, true, func(context.Context) (bool, error) {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err == nil, err
		}
		if !told {
			report("another command (pid %s) is changing %s: waiting for it", holder(file), h.Dir)
			told = true
		}
		return false, nil
	})
	if err != nil {
		return nil, fmt.Errorf("lock home %s (held by pid %s): %w", h.Dir, holder(file), errors.Join(err, file.Close()))
	}
	if err := writeHolder(file); err != nil {
		return nil, fmt.Errorf("lock home: %w", errors.Join(err, file.Close()))
	}
	return func() { _ = file.Close() }, nil
}

// writeHolder lets a command that waits say for whom.
func writeHolder(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
	return err
}

func holder(file *os.File) string {
	text := make([]byte, 20)
	n, _ := file.ReadAt(text, 0)
	return strings.TrimSpace(string(text[:n]))
}
