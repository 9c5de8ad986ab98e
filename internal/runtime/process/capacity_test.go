package process

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestWarnInotify(t *testing.T) {
	cases := map[string]struct {
		reason string
		guests int
		limit  string
		want   bool
	}{
		"Enough":  {reason: "seven guests fit the usual limit", guests: 7, limit: "128\n"},
		"Used up": {reason: "the eighth guest does not", guests: 8, limit: "128\n", want: true},
		"Unknown": {reason: "a host that does not tell its limit", guests: 100, limit: ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "max_user_instances")
			if err := os.WriteFile(file, []byte(tc.limit), fileMode); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			s := &Supervisor{host: host{log: slog.New(slog.NewTextHandler(&log, nil))}, guests: map[string]*guest{}}
			for i := range tc.guests {
				s.guests[strconv.Itoa(i)] = nil
			}
			s.warnInotify(file)
			s.warnInotify(file)
			want := 0
			if tc.want {
				want = 1 // however often a guest changes
			}
			if got := strings.Count(log.String(), "sysctl -w fs.inotify.max_user_instances=1024"); got != want {
				t.Errorf("%s: want %d warnings, got %d: %s", tc.reason, want, got, log.String())
			}
		})
	}
}
