package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

func TestProgress(t *testing.T) {
	cases := map[string]struct {
		reason string
		width  int
		want   string
	}{
		"Plain": {
			reason: "a log gets one line per change, and none for what takes a moment", width: 0,
			want: "[  1s] one\n[  3s] two\n",
		},
		"Terminal": {
			reason: "a terminal gets one line that is redrawn, and a clean line in the end", width: 80,
			want: "\r\x1b[K⠋ 1s one\r\x1b[K⠙ 2s one\r\x1b[K⠹ 3s two\r\x1b[K",
		},
		"Narrow": {
			reason: "a line that wraps could not be redrawn", width: 8,
			want: "\r\x1b[K⠋ 1s o…\r\x1b[K⠙ 2s o…\r\x1b[K⠹ 3s t…\r\x1b[K",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, interceptor.Funcs{})
			f.session.width = func() int { return tc.width }
			p := f.session.newProgress()
			for _, text := range []string{"soon", "one", "one", "two"} {
				p.Stepf("%s", text)
				f.clock.Step(time.Second)
			}
			p.Stop()
			if diff := cmp.Diff(tc.want, f.err.String()); diff != "" {
				t.Errorf("%s: -want +got\n%s", tc.reason, diff)
			}
		})
	}
}

func TestProgressStaysOffStandardOutput(t *testing.T) {
	f := newFixture(t, interceptor.Funcs{}, fleet()...)
	f.session.width = func() int { return 80 }
	f.clock.onWait = func(wait int) {
		if wait == 20 {
			f.setReady("a")
		}
	}
	f.want(exitOK, "cluster", "create", "a", "--region", "cn-hangzhou", "--wait", "-o", "name")
	if want := "cluster.fleet.myriad.dev/a\n"; f.out.String() != want {
		t.Errorf("scripts read standard output: %q, want %q", f.out.String(), want)
	}
	if !strings.HasSuffix(f.err.String(), "\r\x1b[K") {
		t.Errorf("the line must be gone in the end: %q", f.err.String())
	}
}
