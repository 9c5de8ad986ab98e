// Package health judges a guest's API servers by how they answer GET /readyz. It is pure: an answer
// becomes an Outcome, and a State and an Outcome give the next State.
package health

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"syscall"
)

// Outcome of one probe.
type Outcome string

// The outcomes.
const (
	// Answered: the API server says that it is ready.
	Answered Outcome = "Answered"
	// ShuttingDown: the API server says that it is about to stop.
	ShuttingDown Outcome = "ShuttingDown"
	// EtcdFailing: the API server says that it cannot reach its etcd member.
	EtcdFailing Outcome = "EtcdFailing"
	// Unready: the API server answers that it is not ready, for any other reason.
	Unready Outcome = "Unready"
	// Refused: nothing listens there.
	Refused Outcome = "Refused"
	// TimedOut: no answer in time.
	TimedOut Outcome = "TimedOut"
	// Stranger: something answers with a certificate that is not this guest's.
	Stranger Outcome = "Stranger"
	// Broken: the connection failed in any other way.
	Broken Outcome = "Broken"
)

// Classify an answer by its status code and body. The body of a failed /readyz has one line per check,
// "[+]ping ok" or "[-]etcd failed: reason withheld" (k8s.io/apiserver/pkg/server/healthz).
func Classify(status int, body []byte) Outcome {
	if status == http.StatusOK {
		return Answered
	}
	if status != http.StatusInternalServerError {
		return Unready
	}
	outcome := Unready
	for line := range bytes.Lines(body) {
		check, failed := bytes.CutPrefix(line, []byte("[-]"))
		name, _, _ := bytes.Cut(check, []byte(" "))
		switch {
		case !failed:
		case string(name) == "shutdown":
			return ShuttingDown
		case string(name) == "etcd" || string(name) == "etcd-readiness":
			outcome = EtcdFailing
		}
	}
	return outcome
}

// ClassifyError says why there was no answer.
func ClassifyError(err error) Outcome {
	var verification *tls.CertificateVerificationError
	var network net.Error
	switch {
	case errors.As(err, &verification):
		return Stranger
	case errors.Is(err, syscall.ECONNREFUSED):
		return Refused
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return TimedOut
	case errors.As(err, &network) && network.Timeout():
		return TimedOut
	}
	return Broken
}

// Verdict on a back end.
type Verdict string

// The verdicts.
const (
	// Unknown: not probed yet; usable until proven otherwise.
	Unknown Verdict = "Unknown"
	// Ready: takes new connections.
	Ready Verdict = "Ready"
	// Draining: about to stop. No new connections, those it has stay until they end.
	Draining Verdict = "Draining"
	// NotReady: answers, but is not ready. No new connections, those it has stay. While it starts it
	// would refuse requests that are right, for it has not loaded who may do what.
	NotReady Verdict = "NotReady"
	// EtcdLost: its etcd member is lost or hung. No new connections, those it has are cut.
	EtcdLost Verdict = "EtcdLost"
	// Hanging: accepts and never answers. No new connections, those it has are cut.
	Hanging Verdict = "Hanging"
	// Dead: nothing listens, or somebody else does. Connections it had have ended by themselves.
	Dead Verdict = "Dead"
)

// stuckProbes in a row make a back end Hanging or EtcdLost. One is not enough: while etcd elects a leader
// (1 to 2 s) a probe of a healthy zone can time out.
const stuckProbes = 2

// State of a back end: what its probes, and the connections made to it, have shown.
type State struct {
	// Verdict so far.
	Verdict Verdict
	// Suspect: the last probe timed out, or a client's connection got no answer. Others are preferred
	// until the next probe.
	Suspect bool
	// stuck counts the probes in a row that timed out or named etcd. The two are counted together because an
	// API server whose etcd hangs answers only some of its probes in time.
	stuck int
}

// Initial state of a back end that has just been learned.
func Initial() State { return State{Verdict: Unknown} }

// Next state after a probe.
func (s State) Next(outcome Outcome) State {
	switch outcome {
	case Answered:
		return State{Verdict: Ready}
	case ShuttingDown:
		return State{Verdict: Draining}
	case Refused, Stranger:
		return State{Verdict: Dead}
	case TimedOut:
		return s.stalled(Hanging, s.Verdict)
	case EtcdFailing:
		return s.stalled(EtcdLost, NotReady)
	case Unready, Broken:
		return State{Verdict: NotReady}
	}
	return State{Verdict: NotReady}
}

// stalled counts a probe that got stuck: enough of them prove the first verdict, until then it is the second.
func (s State) stalled(proven, meanwhile Verdict) State {
	next := State{Verdict: meanwhile, Suspect: true, stuck: min(s.stuck+1, stuckProbes)}
	if next.stuck == stuckProbes {
		next.Verdict = proven
	}
	return next
}

// Suspected is the state after a connection for a client was refused or stayed without an answer. The
// next probe confirms or clears it.
func (s State) Suspected() State {
	s.Suspect = true
	return s
}

// Cut says that connections to the back end should be reset when the guest has a better one.
func (s State) Cut() bool { return s.Verdict == Hanging || s.Verdict == EtcdLost }

// Usable says that the back end should get new connections without a second thought.
func (s State) Usable() bool {
	return !s.Suspect && (s.Verdict == Ready || s.Verdict == Unknown)
}

// Barred says that the back end gets no new connection even where a guest has no other: it says itself
// that it is not ready, and not because of its etcd, which may answer again at any moment.
func (s State) Barred() bool { return s.Verdict == NotReady && s.stuck == 0 }

// Rank orders back ends for a new connection, best first. Even a dead one has a rank: where a guest has no
// better one, trying is at least as good as refusing.
func (s State) Rank() int {
	rank := ranks[s.Verdict]
	if s.Suspect {
		rank = max(rank, suspectRank)
	}
	return rank
}

var ranks = map[Verdict]int{Ready: 0, Unknown: 1, NotReady: 3, Draining: 4, EtcdLost: 5, Hanging: 6, Dead: 7}

// suspectRank is behind everything usable and before everything proven unfit.
const suspectRank = 2
