package gatewaytest

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// patience of clients and tests with what takes milliseconds.
const patience = 30 * time.Second

// Watch is a client's long connection to an API server.
type Watch struct {
	// Zone of the API server that it reached.
	Zone string

	connection net.Conn
	lines      *bufio.Reader
}

// Dial opens a watch. The test's end closes it.
func Dial(t *testing.T, address string, config *tls.Config) (*Watch, error) {
	t.Helper()
	connection, err := tls.DialWithDialer(&net.Dialer{Timeout: patience, Deadline: time.Now().Add(patience)}, "tcp", address, config)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	watch := &Watch{connection: connection, lines: bufio.NewReader(connection)}
	t.Cleanup(watch.Close)
	if err := connection.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, fmt.Errorf("set the deadline: %w", err)
	}
	if _, err := fmt.Fprint(connection, "GET /watch HTTP/1.1\r\nHost: guest\r\n\r\n"); err != nil {
		return nil, fmt.Errorf("ask: %w", err)
	}
	zone, err := watch.lines.ReadString('\n')
	watch.Zone = strings.TrimSpace(zone)
	return watch, errors.Join(err, connection.SetDeadline(time.Time{}))
}

// MustDial opens a watch or fails the test.
func MustDial(t *testing.T, address string, config *tls.Config) *Watch {
	t.Helper()
	watch, err := Dial(t, address, config)
	if err != nil {
		t.Fatalf("watch through %s: %v", address, err)
	}
	return watch
}

// Ping goes to the API server and back.
func (w *Watch) Ping() error {
	if err := w.connection.SetDeadline(time.Now().Add(patience)); err != nil {
		return fmt.Errorf("set the deadline: %w", err)
	}
	if _, err := fmt.Fprintln(w.connection, "ping"); err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	if line, err := w.lines.ReadString('\n'); err != nil || line != "ping\n" {
		return fmt.Errorf("pong %q: %w", line, err)
	}
	return nil
}

// Ended waits until the connection is gone, and returns the error that a client sees then. It is nil if
// the connection still stands after a while.
func (w *Watch) Ended() error {
	if err := w.connection.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return fmt.Errorf("set the deadline: %w", err)
	}
	_, err := w.lines.ReadByte()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}

// Close the watch.
func (w *Watch) Close() { _ = w.connection.Close() }

// Eventually waits for a condition that other goroutines bring about.
func Eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(patience)
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-deadline:
			t.Fatalf("not within %s: %s", patience, what)
		case <-ticker.C:
		}
	}
}
