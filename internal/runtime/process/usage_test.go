package process

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/myriad-fleet/myriad/internal/runtime"
)

func TestParseUsage(t *testing.T) {
	const stat = "7 (a) b ( c) S 1 7 7 0 -1 4194560 1 2 3 4 250 50 6 7 20 0 9 0 12345 1000 500 18446744073709551615"
	for _, c := range []struct {
		reason, stat, statm string
		want                runtime.Usage
		ok                  bool
	}{
		{
			"user and system time in hundredths, resident pages; a program may be called anything", stat, "1000 500 3 4 0 5 0",
			runtime.Usage{CPUSeconds: 3, Memory: 500 * int64(os.Getpagesize()), Start: "12345"},
			true,
		},
		{"a line that was cut off", "7 (a) S 1 7", "1000 500", runtime.Usage{}, false},
		{"no line", "", "", runtime.Usage{}, false},
		{"no sizes", stat, "1000", runtime.Usage{}, false},
		{"sizes that are no numbers", stat, "1000 x", runtime.Usage{}, false},
	} {
		got, ok := parseUsage(c.stat, c.statm)
		if diff := cmp.Diff(c.want, got); diff != "" || ok != c.ok {
			t.Errorf("%s: ok %t (-want +got):\n%s", c.reason, ok, diff)
		}
	}
}

// TestUsage: what runs is told of; what has ended, or is another process than it was said to be, is not.
func TestUsage(t *testing.T) {
	b := newBench(t)
	b.apply(manifest(server(t, "etcd-a", "a"), server(t, "api-a", "a", "etcd-a")))
	b.ready("g")
	seen := b.observe("g")
	usage, err := b.Usage(t.Context(), "g", seen)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"etcd-a", "api-a"} {
		if one := usage[name]; one.Memory < 1<<20 || one.CPUSeconds < 0 || one.Start == "" {
			t.Errorf("%s uses %+v", name, one)
		}
	}
	seen.Components[0].PID, seen.Components[1].PID = os.Getpid(), seen.Components[0].PID
	usage, err = b.Usage(t.Context(), "g", seen)
	if err != nil || len(usage) != 0 {
		t.Errorf("processes that are others: %v, %v", usage, err)
	}
	if usage, err := b.Usage(t.Context(), "g", runtime.Observation{}); err != nil || len(usage) != 0 {
		t.Errorf("nothing runs: %v, %v", usage, err)
	}
}
