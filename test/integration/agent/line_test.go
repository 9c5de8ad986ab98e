package agent_test

import (
	"io"
	"net"
	"sync"
	"testing"
)

// line carries the agent's connections to the hub and can be cut.
type line struct {
	t       *testing.T
	address string // where it listens, the same after every cut
	target  string

	mu       sync.Mutex
	listener net.Listener
	open     map[net.Conn]bool
	running  sync.WaitGroup
}

func newLine(t *testing.T, target string) *line {
	t.Helper()
	l := &line{t: t, address: "127.0.0.1:0", target: target, open: map[net.Conn]bool{}}
	l.mend()
	t.Cleanup(l.cut)
	return l
}

// mend lets connections through.
func (l *line) mend() {
	l.t.Helper()
	listener, err := net.Listen("tcp", l.address)
	if err != nil {
		l.t.Fatal(err)
	}
	l.mu.Lock()
	l.listener, l.address = listener, listener.Addr().String()
	l.mu.Unlock()
	l.running.Go(func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			l.running.Go(func() { l.carry(connection) })
		}
	})
}

// cut ends all connections and refuses new ones.
func (l *line) cut() {
	l.mu.Lock()
	_ = l.listener.Close()
	for connection := range l.open {
		_ = connection.Close()
	}
	l.mu.Unlock()
	l.running.Wait()
}

func (l *line) carry(near net.Conn) {
	far, err := net.Dial("tcp", l.target)
	if err != nil {
		_ = near.Close()
		return
	}
	l.mu.Lock()
	l.open[near], l.open[far] = true, true
	l.mu.Unlock()
	var both sync.WaitGroup
	for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
		both.Go(func() {
			_, _ = io.Copy(pair[0], pair[1])
			_ = near.Close()
			_ = far.Close()
		})
	}
	both.Wait()
	l.mu.Lock()
	delete(l.open, near)
	delete(l.open, far)
	l.mu.Unlock()
}
