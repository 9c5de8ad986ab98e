// Command pause holds the namespaces of a pod for as long as the pod lives. Where a pod's
// containers share one process namespace it is their init, so it reaps what nobody waits for.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// Channels of their own, so that no end of a child can displace a request to stop.
	ended, stop := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	wait(ended, stop)
}

// wait reaps children that have ended, before it was called too, until there is a request to stop.
func wait(ended, stop <-chan os.Signal) {
	for {
		reap()
		select {
		case <-ended:
		case <-stop:
			return
		}
	}
}

// reap takes the exit codes of all children that have ended. One signal may stand for many.
func reap() {
	for {
		child, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || child <= 0 {
			return
		}
	}
}
