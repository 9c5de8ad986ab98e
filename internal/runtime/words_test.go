package runtime

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLastWords(t *testing.T) {
	cases := map[string]struct {
		reason string
		log    string
		want   string
	}{
		"Empty":       {"a silent program", "", ""},
		"Klog":        {"the last error line of Kubernetes", "I1122 14:56:01.123456   12345 a.go:1] fine\nE1122 14:56:01.123456   12345 run.go:72] \"command failed\" err=\"listen tcp 127.0.0.1:6443: bind: address already in use\"\nI1122 14:56:01.123456   12345 a.go:1] bye\n", `"command failed" err="listen tcp 127.0.0.1:6443: bind: address already in use"`},
		"Usage":       {"usage text hides nothing", "Error: unknown flag: --foo\nUsage:\n  kube-scheduler [flags]\n\nFlags:\n      --bar int   of a bar\n", "Error: unknown flag: --foo"},
		"Etcd":        {"etcd's JSON", `{"level":"info","msg":"x"}` + "\n" + `{"level":"fatal","caller":"etcdmain/etcd.go:181","msg":"discovery failed","error":"listen tcp 127.0.0.1:2379: bind: address already in use","stacktrace":"a\nb"}` + "\n", "discovery failed: listen tcp 127.0.0.1:2379: bind: address already in use"},
		"Sealed":      {"a member whose data was lost", `{"level":"info","ts":"2026-11-22T18:22:24.165137Z","caller":"embed/etcd.go:428","msg":"closed etcd server","name":"a"}` + "\n" + `{"level":"fatal","ts":"2026-11-22T18:22:24.172811Z","caller":"etcdmain/etcd.go:183","msg":"discovery failed","error":"cannot fetch cluster info from peer urls: could not retrieve cluster information from the given URLs","stacktrace":"go.etcd.io/etcd/server/v3/etcdmain.startEtcdOrProxyV2\n\tgo.etcd.io/etcd/server/v3@v3.6.16/etcdmain/etcd.go:183"}` + "\n", "discovery failed: cannot fetch cluster info from peer urls: could not retrieve cluster information from the given URLs"},
		"Wal":         {"a member that needs a new file where its data was", `{"level":"fatal","ts":"2026-11-22T18:23:03.605448Z","caller":"etcdserver/raft.go:255","msg":"failed to save Raft hard state and entries","error":"rename /d/etcd/member/wal/0.tmp /d/etcd/member/wal/0000000000000001-000000000000004d.wal: no such file or directory","stacktrace":"x"}` + "\n", "failed to save Raft hard state and entries: rename /d/etcd/member/wal/0.tmp /d/etcd/member/wal/0000000000000001-000000000000004d.wal: no such file or directory"},
		"Panic":       {"a panic, not its stack", "panic: out of luck\n\ngoroutine 1 [running]:\nmain.main()\n\t/x.go:1 +0x1\n", "panic: out of luck"},
		"Logged":      {"a panic whose reason was logged before", `{"level":"panic","msg":"failed to open database","path":"/d/db","error":"invalid database","stacktrace":"x"}` + "\npanic: failed to open database\n\ngoroutine 1 [running]:\n", "panic: failed to open database: invalid database"},
		"Other panic": {"an error that was logged before a panic is not its reason", `{"level":"error","msg":"disk is slow"}` + "\npanic: out of luck\n", "panic: out of luck"},
		"Runtime":     {"Go's runtime gives up", "fatal error: runtime: out of memory\n\nruntime stack:\n", "fatal error: runtime: out of memory"},
		"Slog":        {"Myriad's own daemons", "time=2026-01-01T00:00:00Z level=ERROR msg=\"no hub\" error=x\ntime=2026-01-01T00:00:00Z level=INFO msg=bye\n", `"no hub" error=x`},
		"Other":       {"else the last line", "starting\nsomething odd\n   indented\n\n", "something odd"},
		"Long":        {"no novels", "error: " + strings.Repeat("x", 1000), "error: " + strings.Repeat("x", wordBytes-7) + "…"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, LastWords([]byte(tc.log))); diff != "" {
				t.Errorf("%s: LastWords(): -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func FuzzLastWords(f *testing.F) {
	f.Add([]byte("E1122 14:56:01.1 1 a.go:1] x\n{\"level\":\"error\"}"))
	f.Fuzz(func(t *testing.T, tail []byte) {
		if got := LastWords(tail); len(got) > wordBytes+len("…") || strings.Contains(got, "\n") {
			t.Errorf("LastWords(): %q", got)
		}
	})
}
