package passthrough

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/myriad-fleet/myriad/internal/gateway/backend"
)

// link to a back end that has a client's hello.
type link struct {
	backend *backend.Backend
	server  *net.TCPConn
	// answer that the back end has begun with, not yet given to the client; may be empty.
	answer []byte
}

// Cut implements backend.Connection. The relay sees its server side gone and resets the client.
func (l *link) Cut() { reset(l.server) }

// end the link, whatever state it is in.
func (l *link) end() {
	_ = l.server.Close() // fails when it was reset, which is as good
	l.backend.Detach(l)
}

var (
	errNoBackends = errors.New("its cell's agent has reported no back ends yet, or it moves")
	errMoved      = errors.New("the back end has left the guest meanwhile")
	errNoAnswer   = errors.New("no answer to the client hello")
)

// answerSize is enough for a server's first flight; what does not fit is relayed.
const answerSize = 8 << 10

// connect to the guest's best back end that takes the hello. A hello that was given to a back end that
// stays silent is given to the next one; a client's bytes are never lost on the way.
func (s *Server) connect(id string, greeting hello) (*link, error) {
	candidates := s.options.Guests.Candidates(id)
	if len(candidates) == 0 {
		return nil, errNoBackends
	}
	var failures []error
	for index, candidate := range candidates {
		// Patience ends only where there is somebody better to ask: a slow answer beats none.
		patience := time.Duration(0)
		if greeting.complete && slices.ContainsFunc(candidates[index+1:], (*backend.Backend).Usable) {
			patience = s.options.AnswerTimeout
		}
		link, err := s.try(candidate, greeting, patience)
		if err == nil {
			return link, nil
		}
		failures = append(failures, fmt.Errorf("%s: %w", candidate.Address(), err))
		candidate.Suspect()
		if index < len(candidates)-1 {
			s.options.Retried()
		}
	}
	return nil, errors.Join(failures...)
}

// try one back end. With patience, it must answer within that time; without, it is trusted to.
func (s *Server) try(candidate *backend.Backend, greeting hello, patience time.Duration) (*link, error) {
	connection, err := s.dial(candidate.Address())
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	server, isTCP := connection.(*net.TCPConn)
	if !isTCP {
		return nil, errors.Join(errors.New("dial: not a TCP connection"), connection.Close())
	}
	attempt := &link{backend: candidate, server: server}
	if !candidate.Attach(attempt) {
		reset(server)
		return nil, errMoved
	}
	if err := attempt.open(greeting, patience, s.options.DialTimeout); err != nil {
		reset(server)
		attempt.end()
		return nil, err
	}
	return attempt, nil
}

// open the link with the client's hello.
func (l *link) open(greeting hello, patience, writeTimeout time.Duration) error {
	if err := l.server.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return fmt.Errorf("set the deadline of the client hello: %w", err)
	}
	if _, err := l.server.Write(greeting.sent); err != nil {
		return fmt.Errorf("send the client hello: %w", err)
	}
	if patience > 0 {
		if err := l.server.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return fmt.Errorf("set the deadline of the answer: %w", err)
		}
		answer := make([]byte, answerSize)
		count, err := l.server.Read(answer)
		if count == 0 {
			return errors.Join(errNoAnswer, err)
		}
		l.answer = answer[:count]
	}
	if err := l.server.SetDeadline(time.Time{}); err != nil {
		return fmt.Errorf("clear the deadlines: %w", err)
	}
	return nil
}
