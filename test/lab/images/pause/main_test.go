package main

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what should happen at once.
const patience = 30 * time.Second

func TestWaitReapsUntilAskedToStop(t *testing.T) {
	ended, stop, done := make(chan os.Signal, 1), make(chan os.Signal, 1), make(chan struct{})
	before := start(t) // ends before or after wait begins
	go func() {
		defer close(done)
		wait(ended, stop)
	}()
	for _, child := range []int{before, start(t), start(t)} {
		for deadline := time.Now().Add(patience); syscall.Kill(child, 0) == nil; {
			if time.Now().After(deadline) {
				t.Fatalf("child %d was not reaped", child)
			}
			select {
			case ended <- syscall.SIGCHLD:
			default: // one signal stands for many
			}
		}
	}
	stop <- syscall.SIGTERM
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("a request to stop was not heard")
	}
}

// start begins a short-lived child that nobody else waits for, and returns its process id.
func start(t *testing.T) int {
	t.Helper()
	command := exec.Command("true")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	return command.Process.Pid
}
