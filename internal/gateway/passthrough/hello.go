package passthrough

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// hello is what a client sent first.
type hello struct {
	// serverName that the client wants, lower case; empty if it did not say.
	serverName string
	// sent holds every byte read so far, to be given to a back end.
	sent []byte
	// complete TLS client hello: it can be given to another back end if the first stays silent, because
	// it asks for nothing but a handshake.
	complete bool
}

// maxHello bytes are read before a client is given up on. crypto/tls refuses handshake messages over 64 KiB
// itself; the rest is room for record headers and what follows the hello.
const maxHello = 128 << 10

var (
	errHelloRead    = errors.New("client hello read")
	errHelloTooLong = fmt.Errorf("client hello is longer than %d bytes", maxHello)
)

// readHello reads a client hello within the timeout. crypto/tls does the parsing, so that hellos in
// several records or segments, and large post-quantum ones, are understood. What is no client hello comes
// back incomplete and without an error, what cannot be read with an error.
func readHello(connection net.Conn, timeout time.Duration) (hello, error) {
	if err := connection.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return hello{}, fmt.Errorf("set the deadline of the client hello: %w", err)
	}
	var result hello
	recorder := &recorder{Conn: connection}
	// The handshake always fails: at the latest by errHelloRead.
	_ = tls.Server(recorder, &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(info *tls.ClientHelloInfo) (*tls.Config, error) {
			result.serverName = strings.ToLower(info.ServerName)
			result.complete = true
			return nil, errHelloRead
		},
	}).Handshake()
	result.sent = recorder.read.Bytes()
	if !result.complete && recorder.failed != nil {
		return result, fmt.Errorf("read the client hello: %w", recorder.failed)
	}
	if err := connection.SetReadDeadline(time.Time{}); err != nil {
		return result, fmt.Errorf("clear the deadline of the client hello: %w", err)
	}
	return result, nil
}

// recorder keeps what is read and drops what is written: the alerts that crypto/tls answers with.
type recorder struct {
	net.Conn
	read   bytes.Buffer
	failed error
}

// Read implements net.Conn.
func (r *recorder) Read(into []byte) (int, error) {
	if r.read.Len() >= maxHello {
		r.failed = errHelloTooLong
		return 0, r.failed
	}
	count, err := r.Conn.Read(into)
	r.read.Write(into[:count])
	if err != nil {
		r.failed = err
	}
	return count, err
}

// Write implements net.Conn.
func (*recorder) Write(from []byte) (int, error) { return len(from), nil }

// unrecognizedName is the fatal TLS alert of that name (RFC 6066 section 3) in a record of its own.
var unrecognizedName = []byte{21, 3, 3, 0, 2, 2, 112}

const (
	// lingerTime and lingerBytes bound how long a refused client is listened to. Closing while its bytes are
	// unread would send a reset, which may overtake the alert.
	lingerTime  = time.Second
	lingerBytes = 64 << 10
)
