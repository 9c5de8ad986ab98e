// Package passthrough carries TLS connections from clients to the API servers of their guests without
// opening them. It reads the client hello, picks a back end, replays the hello to it, and from then on
// lets the kernel move the bytes.
//
// github.com/inetaf/tcpproxy does not fit: its listeners are fixed at the start, one failed accept ends
// them for good, it reads a hello without a deadline and only up to 4 KiB in one record, and once a back
// end is dialled there is no way back to the hello.
package passthrough

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/internal/gateway/backend"
)

// Guests finds the back ends of guests.
type Guests interface {
	// ByServerName finds the guest that a server name (lower case) belongs to.
	ByServerName(name string) (id string, known bool)
	// Candidates for a new connection to a guest, best first.
	Candidates(id string) []*backend.Backend
}

// Result of a client's connection.
type Result string

// The results.
const (
	Served      Result = "served"       // a back end took it
	NoHello     Result = "no_hello"     // it sent no client hello in time, or went away
	UnknownName Result = "unknown_name" // its server name belongs to no guest, or it sent none on the shared port
	NoBackend   Result = "no_backend"   // no back end of its guest took it
	Overload    Result = "overload"     // too many clients that have not sent their hello
)

// Options of NewServer.
type Options struct {
	// Guests to serve.
	Guests Guests
	// HelloTimeout until a client must have sent its hello. Default 10 s.
	HelloTimeout time.Duration
	// DialTimeout of one back end. Default 1 s.
	DialTimeout time.Duration
	// AnswerTimeout until a back end must have answered the hello if another one is usable: a stopped
	// process is still connected to by its kernel. Default 1 s.
	AnswerTimeout time.Duration
	// Count is called once per connection.
	Count func(Result)
	// Retried is called when a back end did not serve a connection and the next one is tried.
	Retried func()
	// Clock that pauses are measured by; deadlines of sockets are the kernel's.
	Clock clock.Clock
	// Log of what goes wrong.
	Log *slog.Logger
}

// Server of connections.
type Server struct {
	options Options
	// waiting counts the clients whose hello has not arrived.
	waiting atomic.Int64

	dial        func(address string) (net.Conn, error) // fails once aborted
	abort       func()                                 // called when the grace is over
	aborted     <-chan struct{}
	listeners   sync.WaitGroup
	connections sync.WaitGroup
	mutex       sync.Mutex
	clients     map[*net.TCPConn]struct{}
}

// maxWaiting clients may owe their hello at once; more are turned away. Each costs a file descriptor and
// about 10 KiB.
const maxWaiting = 4096

// NewServer makes a server that serves nothing until Serve is called.
func NewServer(options Options) *Server {
	options.HelloTimeout = cmp.Or(options.HelloTimeout, 10*time.Second)
	options.DialTimeout = cmp.Or(options.DialTimeout, time.Second)
	options.AnswerTimeout = cmp.Or(options.AnswerTimeout, time.Second)
	dialer := net.Dialer{Timeout: options.DialTimeout, KeepAliveConfig: keepAlive}
	ctx, abort := context.WithCancel(context.Background())
	return &Server{
		options: options,
		dial:    func(address string) (net.Conn, error) { return dialer.DialContext(ctx, "tcp", address) },
		abort:   abort,
		aborted: ctx.Done(),
		clients: map[*net.TCPConn]struct{}{},
	}
}

const (
	firstPause = 5 * time.Millisecond // after the first failed accept, doubled with each
	maxPause   = time.Second
)

// Serve a listener in the background until it is closed: for the guest with the id, or, if it is empty,
// for whom the client hello names.
func (s *Server) Serve(listener *net.TCPListener, id string) {
	s.listeners.Go(func() { s.accept(listener, id) })
}

// accept connections until the listener is closed. A failure (no file descriptors left) pauses it and
// never ends it.
func (s *Server) accept(listener *net.TCPListener, id string) {
	pause := firstPause
	for {
		client, err := listener.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.options.Log.Error("accept failed; raise the limit on open files if it was reached",
				"address", listener.Addr().String(), "error", err, "pause", pause)
			select {
			case <-s.options.Clock.After(pause):
			case <-s.aborted:
			}
			pause = min(2*pause, maxPause)
			continue
		}
		pause = firstPause
		s.connections.Go(func() {
			s.track(client)
			defer s.forget(client)
			s.options.Count(s.handle(client, id))
		})
	}
}

// Shutdown waits until every connection has ended, or until ctx is done and then resets the rest. Close
// the listeners first.
func (s *Server) Shutdown(ctx context.Context) {
	defer s.abort()
	ended := make(chan struct{})
	go func() {
		s.listeners.Wait()
		s.connections.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return
	case <-ctx.Done():
	}
	s.abort()
	s.mutex.Lock()
	for client := range s.clients {
		reset(client)
	}
	s.mutex.Unlock()
	<-ended
}

// track a client so that Shutdown can end it.
func (s *Server) track(client *net.TCPConn) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.clients[client] = struct{}{}
}

// forget a client that has ended.
func (s *Server) forget(client *net.TCPConn) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	delete(s.clients, client)
}

// handle a client until its connection has ended. It closes it.
func (s *Server) handle(client *net.TCPConn, id string) Result {
	defer func() { _ = client.Close() }() // it may have ended already
	if s.waiting.Add(1) > maxWaiting {
		s.waiting.Add(-1)
		return Overload
	}
	greeting, err := readHello(client, s.options.HelloTimeout)
	s.waiting.Add(-1)
	if err != nil {
		return NoHello
	}
	if id == "" {
		var known bool
		if id, known = s.options.Guests.ByServerName(greeting.serverName); !known {
			refuse(client)
			return UnknownName
		}
	}
	link, err := s.connect(id, greeting)
	if err != nil {
		s.options.Log.Warn("no back end took a connection", "id", id, "client", client.RemoteAddr().String(), "error", err)
		return NoBackend
	}
	defer link.end()
	if _, err := client.Write(link.answer); err != nil {
		return Served
	}
	relay(client, link.server)
	return Served
}

// refuse a client that named no known guest, with a TLS alert that says so.
func refuse(client *net.TCPConn) {
	if client.SetDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	if _, err := client.Write(unrecognizedName); err != nil {
		return
	}
	if client.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, client, lingerBytes) // only to let the alert arrive
	}
}

// relay bytes both ways until both sides have said that they are done, or either fails. The end of one
// direction is passed on alone; a failure resets both sides, so that neither waits for the other.
func relay(client, server *net.TCPConn) {
	oneWay := func(to, from *net.TCPConn) {
		_, err := io.Copy(to, from) // splices
		if err == nil {
			err = to.CloseWrite()
		}
		if err != nil {
			reset(client)
			reset(server)
		}
	}
	var toServer sync.WaitGroup
	toServer.Go(func() { oneWay(server, client) })
	oneWay(client, server)
	toServer.Wait()
}

// reset a connection: its peer learns at once that it is gone. Errors mean that it is gone already.
func reset(connection *net.TCPConn) {
	_ = connection.SetLinger(0)
	_ = connection.Close()
}
