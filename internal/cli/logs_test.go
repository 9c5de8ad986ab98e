package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// writeLog writes a log of a component of the cluster hello and returns its path.
func (f *fixture) writeLog(component, text string) string {
	f.t.Helper()
	home := os.Getenv("MYRIAD_HOME")
	file := filepath.Join(home, "cells", "hz-1", "runtime", "guests", "k3x9q0v7ab", component, "log", "current.log")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	return file
}

func TestLogs(t *testing.T) {
	cases := map[string]struct {
		reason string
		words  string
		code   int
		out    string
		err    string
	}{
		"Exact":     {reason: "a component by its name", words: "hello etcd-a", out: "one\ntwo\nthree\n"},
		"Kind":      {reason: "a kind that there is one of", words: "hello etcd", out: "one\ntwo\nthree\n"},
		"Tail":      {reason: "the last lines", words: "hello etcd --tail 2", out: "two\nthree\n"},
		"TailNone":  {reason: "no lines", words: "hello etcd --tail 0"},
		"TailAll":   {reason: "all lines", words: "hello etcd --tail -1", out: "one\ntwo\nthree\n"},
		"TailWrong": {reason: "below -1 means nothing", words: "hello etcd --tail -2", code: exitUsage, err: "--tail -2 is negative; use a number of lines, or -1 for all"},
		"Several": {
			reason: "a kind that there are two of", words: "hello kube-apiserver", code: exitUsage,
			err: "cluster hello has several kube-apiserver; name one: kube-apiserver-a, kube-apiserver-b",
		},
		"None": {
			reason: "components are listed", words: "hello", code: exitUsage,
			err: "cluster hello has several components; name one: etcd-a, kube-apiserver-a, kube-apiserver-b",
		},
		"Unknown": {
			reason: "a component that does not exist", words: "hello etc-a", code: exitNotFound,
			err: "there is no component etc-a; did you mean etcd-a? (existing: etcd-a, kube-apiserver-a, kube-apiserver-b) of cluster hello",
		},
		"Unscheduled": {
			reason: "no cell, no logs", words: "waiting", code: exitNotReady,
			err: "cluster waiting has no cell yet, so it has no logs; look with 'myriad cluster describe waiting'",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, interceptor.Funcs{}, hello(), unready("waiting", v1alpha1.ReasonNoRoom, ""))
			f.writeLog("etcd-a", "one\ntwo\nthree\n")
			f.writeLog("kube-apiserver-a", "")
			f.writeLog("kube-apiserver-b", "")
			if got := f.run(append([]string{"cluster", "logs"}, strings.Fields(tc.words)...)...); got != tc.code {
				t.Errorf("%s: exit code %d, want %d", tc.reason, got, tc.code)
			}
			if f.out.String() != tc.out {
				t.Errorf("%s: printed %q, want %q", tc.reason, f.out.String(), tc.out)
			}
			if tc.err != "" {
				f.wantError(tc.err)
			}
		})
	}
}

func TestLogsElsewhere(t *testing.T) {
	f := newFixture(t, interceptor.Funcs{}, hello())
	f.want(exitFailure, "cluster", "logs", "hello")
	if want := "run this on the machine of its cell, with its --home"; !strings.Contains(f.err.String(), want) {
		t.Errorf("logs are local for now, and the message must say so: %s", f.err.String())
	}
}

func TestLogsFollow(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := newFixture(t, interceptor.Funcs{}, hello())
	file := f.writeLog("etcd-a", "one\n")
	f.clock.onWait = func(wait int) {
		switch wait {
		case 1:
			appendTo(t, file, "two\n")
		case 2: // a rotation: the old file still got a line
			appendTo(t, file, "three\n")
			if err := os.Rename(file, file+".1"); err != nil {
				t.Fatal(err)
			}
			f.writeLog("etcd-a", "four\n")
		case 3: // between two steps of a rotation there is no file
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		case 4:
			f.writeLog("etcd-a", "five\n")
		case 6:
			cancel()
		}
	}
	if got := f.session.main(ctx, []string{"cluster", "logs", "hello", "-f"}); got != exitInterrupted {
		t.Errorf("exit code %d, want %d\n%s", got, exitInterrupted, f.err.String())
	}
	if want := "one\ntwo\nthree\nfour\nfive\n"; f.out.String() != want {
		t.Errorf("a rotation must lose no line and repeat none: %q, want %q", f.out.String(), want)
	}
}

func appendTo(t *testing.T, file, text string) {
	t.Helper()
	opened, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := opened.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := opened.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestTailOverBlocks(t *testing.T) {
	lines := make([]string, 0, 3000)
	for i := range 3000 {
		lines = append(lines, fmt.Sprintf("%04d %s\n", i, strings.Repeat("x", i%97)))
	}
	f := newFixture(t, interceptor.Funcs{}, hello())
	file := f.writeLog("etcd-a", strings.Join(lines, "")+"last, not ended")
	for _, n := range []int{1, 2, 1000, 2500, 3001, 9999} {
		f.out.Reset()
		if err := f.session.printLog(t.Context(), file, n, false); err != nil {
			t.Fatal(err)
		}
		want := strings.Join(lines[max(0, len(lines)-n+1):], "") + "last, not ended"
		if f.out.String() != want {
			t.Errorf("the last %d lines start with %.20q, want %.20q", n, f.out.String(), want)
		}
	}
}
