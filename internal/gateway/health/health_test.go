package health

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"os"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestClassify(t *testing.T) {
	cases := map[string]struct {
		reason string
		status int
		body   string
		want   Outcome
	}{
		"Ready":    {reason: "200 is ready, whatever it says.", status: 200, body: "ok", want: Answered},
		"Shutdown": {reason: "A failed shutdown check announces the end.", status: 500, body: "[+]ping ok\n[-]shutdown failed: reason withheld\nreadyz check failed\n", want: ShuttingDown},
		"ShutdownAndEtcd": {
			reason: "A server that stops is draining even if its etcd went first: its connections get their time.",
			status: 500, body: "[-]etcd failed: reason withheld\n[-]shutdown failed: reason withheld\n", want: ShuttingDown,
		},
		"ShutdownFirst": {reason: "In whatever order they are listed.", status: 500, body: "[-]shutdown failed\n[-]etcd failed\n", want: ShuttingDown},
		"Etcd":          {reason: "A failed etcd check names the member.", status: 500, body: "[+]ping ok\n[-]etcd failed: reason withheld\n", want: EtcdFailing},
		"EtcdReadiness": {reason: "So does the other etcd check.", status: 500, body: "[-]etcd-readiness failed: reason withheld\n", want: EtcdFailing},
		"Starting":      {reason: "Any other failed check is just not ready.", status: 500, body: "[+]etcd ok\n[-]poststarthook/rbac/bootstrap-roles failed: not finished\n", want: Unready},
		"Lookalike":     {reason: "Only the whole name of a check counts.", status: 500, body: "[-]etcd-proxy failed\n[-]shutdown-hook failed\n", want: Unready},
		"Forbidden":     {reason: "Before RBAC is there, anonymous is forbidden to ask.", status: 403, body: "[-]etcd failed", want: Unready},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := Classify(tc.status, []byte(tc.body)); got != tc.want {
				t.Errorf("%s\nClassify(%d, %q) = %s, want %s", tc.reason, tc.status, tc.body, got, tc.want)
			}
		})
	}
}

func TestClassifyError(t *testing.T) {
	cases := map[string]struct {
		err  error
		want Outcome
	}{
		"Refused":  {err: &url.Error{Err: fmt.Errorf("dial: %w", syscall.ECONNREFUSED)}, want: Refused},
		"Deadline": {err: &url.Error{Err: context.DeadlineExceeded}, want: TimedOut},
		"Socket":   {err: os.ErrDeadlineExceeded, want: TimedOut},
		"Stranger": {err: &url.Error{Err: &tls.CertificateVerificationError{Err: errors.New("unknown authority")}}, want: Stranger},
		"Reset":    {err: syscall.ECONNRESET, want: Broken},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := ClassifyError(tc.err); got != tc.want {
				t.Errorf("ClassifyError(%v) = %s, want %s", tc.err, got, tc.want)
			}
		})
	}
}

func TestNext(t *testing.T) {
	type view struct {
		Verdict Verdict
		Suspect bool
		Cut     bool
		Usable  bool
	}
	cases := map[string]struct {
		reason   string
		outcomes []Outcome
		want     view
	}{
		"Unknown":         {reason: "Usable until proven otherwise.", want: view{Unknown, false, false, true}},
		"Ready":           {reason: "One success is enough.", outcomes: []Outcome{Answered}, want: view{Ready, false, false, true}},
		"Draining":        {reason: "No new connections, those it has stay.", outcomes: []Outcome{Answered, ShuttingDown}, want: view{Draining, false, false, false}},
		"Dead":            {reason: "Refused: its connections have ended by themselves.", outcomes: []Outcome{Answered, Refused}, want: view{Dead, false, false, false}},
		"Stranger":        {reason: "Somebody else has the address.", outcomes: []Outcome{Stranger}, want: view{Dead, false, false, false}},
		"TimedOutOnce":    {reason: "One lost probe only makes others preferred.", outcomes: []Outcome{Answered, TimedOut}, want: view{Ready, true, false, false}},
		"Hanging":         {reason: "Two in a row are proof.", outcomes: []Outcome{Answered, TimedOut, TimedOut}, want: view{Hanging, true, true, false}},
		"StillHanging":    {reason: "It stays so.", outcomes: []Outcome{TimedOut, TimedOut, TimedOut, TimedOut}, want: view{Hanging, true, true, false}},
		"NotInARow":       {reason: "A success between two lost probes clears the first.", outcomes: []Outcome{TimedOut, Answered, TimedOut}, want: view{Ready, true, false, false}},
		"EtcdOnce":        {reason: "No new connections at once, but nothing is cut yet.", outcomes: []Outcome{Answered, EtcdFailing}, want: view{NotReady, true, false, false}},
		"EtcdLost":        {reason: "Its etcd member is lost.", outcomes: []Outcome{Answered, EtcdFailing, EtcdFailing}, want: view{EtcdLost, true, true, false}},
		"EtcdThenTimeout": {reason: "A hung etcd member shows as either.", outcomes: []Outcome{EtcdFailing, TimedOut}, want: view{Hanging, true, true, false}},
		"TimeoutThenEtcd": {reason: "A hung etcd member shows as either.", outcomes: []Outcome{TimedOut, EtcdFailing}, want: view{EtcdLost, true, true, false}},
		"Recovered":       {reason: "Back after one success.", outcomes: []Outcome{TimedOut, TimedOut, Answered}, want: view{Ready, false, false, true}},
		"Unready":         {reason: "It answers: connections that it has are served or not as it sees fit.", outcomes: []Outcome{Answered, Unready, Unready}, want: view{NotReady, false, false, false}},
		"Broken":          {reason: "A connection that breaks is no proof of a hang.", outcomes: []Outcome{Broken, Broken}, want: view{NotReady, false, false, false}},
		"DeadThenHanging": {reason: "A host that loses its zone.", outcomes: []Outcome{Refused, TimedOut, TimedOut}, want: view{Hanging, true, true, false}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			state := Initial()
			for _, outcome := range tc.outcomes {
				state = state.Next(outcome)
			}
			got := view{Verdict: state.Verdict, Suspect: state.Suspect, Cut: state.Cut(), Usable: state.Usable()}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\n%v: -want, +got:\n%s", tc.reason, tc.outcomes, diff)
			}
		})
	}
}

func TestRank(t *testing.T) {
	order := []State{
		{Verdict: Ready},
		{Verdict: Unknown},
		{Verdict: Ready, Suspect: true},
		{Verdict: NotReady},
		{Verdict: Draining},
		{Verdict: EtcdLost},
		{Verdict: Hanging},
		{Verdict: Dead},
	}
	for index := 1; index < len(order); index++ {
		if better, worse := order[index-1], order[index]; better.Rank() >= worse.Rank() {
			t.Errorf("%+v ranks %d, not before %+v with %d", better, better.Rank(), worse, worse.Rank())
		}
	}
	if suspected := Initial().Suspected(); suspected.Usable() || suspected.Next(Answered) != (State{Verdict: Ready}) {
		t.Errorf("suspicion %+v must make unusable and end with the next success", suspected)
	}
}

func TestBarred(t *testing.T) {
	if starting := Initial().Next(Unready); !starting.Barred() {
		t.Errorf("an API server that starts refuses requests that are right: %+v must be barred", starting)
	}
	for _, outcome := range []Outcome{Answered, ShuttingDown, EtcdFailing, Refused, TimedOut} {
		if state := Initial().Next(outcome); state.Barred() {
			t.Errorf("after %s the last resort is still worth a try, but %+v is barred", outcome, state)
		}
	}
}
