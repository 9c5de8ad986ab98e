package process

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestDescribe(t *testing.T) {
	exited, killed := unix.WaitStatus(1<<8), unix.WaitStatus(syscall.SIGKILL)
	cases := map[string]struct{ reason, got, want string }{
		"Exit":    {"status, time, message", describeExit(&exited, 2040*time.Millisecond, "boom"), "exit status 1 after 2s: boom"},
		"Signal":  {"a signal is named", describeExit(&killed, 90*time.Second, ""), "signal: killed after 1m30s"},
		"Unknown": {"only a parent learns the status", describeExit(nil, time.Hour, "x"), "ended (status unknown: an earlier supervisor started it) after 1h0m0s: x"},
		"NoExec":  {"noexec", describeStart("/p", &os.PathError{Op: "fork/exec", Path: "/p", Err: syscall.EACCES}), "starting /p: fork/exec /p: permission denied: the file is not executable, or its file system is mounted noexec"},
		"Disk":    {"disk full", describeStart("/p", syscall.ENOSPC), "starting /p: no space left on device: the disk is full; free some space"},
		"Else":    {"anything else speaks for itself", describeStart("/p", errors.New("odd")), "starting /p: odd"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tc.got); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestReadTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("old\nnew\n"), fileMode); err != nil {
		t.Fatal(err)
	}
	for from, want := range map[int64]string{0: "old\nnew\n", 4: "new\n", 100: "old\nnew\n"} {
		if got := string(readTail(path, from)); got != want {
			t.Errorf("readTail(%d): want %q, got %q", from, want, got)
		}
	}
}
