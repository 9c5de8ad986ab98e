package distribution

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	testclock "k8s.io/utils/clock/testing"
)

// lines collects what is shown and tells when something was.
type lines struct {
	mu      sync.Mutex
	content bytes.Buffer
	written chan struct{}
}

func (l *lines) Write(content []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer func() { l.written <- struct{}{} }()
	return l.content.Write(content)
}

func TestActivityShowsElapsedTime(t *testing.T) {
	tests := []struct {
		name, reason string
		terminal     bool
		step         time.Duration
		want         string
	}{{
		name:   "file",
		reason: "the log of a build gets a line now and then",
		step:   lineInterval,
		want:   "etcd v3.6.16: working, 10s elapsed\netcd v3.6.16: 7 packages compiled, 20s elapsed\n",
	}, {
		name:     "terminal",
		reason:   "a person sees one line that changes, and that is gone at the end",
		terminal: true,
		step:     redrawInterval,
		want:     "\r\x1b[Ketcd v3.6.16: working, 1s elapsed\r\x1b[Ketcd v3.6.16: 7 packages compiled, 2s elapsed\r\x1b[K",
	}}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			fake := testclock.NewFakeClock(time.Now())
			shown := &lines{written: make(chan struct{}, 10)}
			console := Console{Writer: shown, Terminal: test.terminal, Clock: fake}
			activity, done := console.begin("etcd v3.6.16")
			fake.Step(test.step)
			<-shown.written
			activity.setf("%d packages compiled", 7)
			fake.Step(test.step)
			<-shown.written
			done()
			done()
			if diff := cmp.Diff(test.want, shown.content.String()); diff != "" {
				t.Errorf("%s:\n%s", test.reason, diff)
			}
		})
	}
}
