package process

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestRotateLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), currentLog)
	log, _, err := openLog(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	read := func(suffix string) string {
		raw, err := os.ReadFile(path + suffix)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return string(raw)
	}
	for line := range strings.FieldsSeq("one two three four five") { // the writer keeps its file open
		if _, err := log.WriteString(line); err != nil {
			t.Fatal(err)
		}
		if err := rotateLog(path, 2); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := log.WriteString("6"); err != nil {
		t.Fatal(err)
	}
	if err := rotateLog(path, 2); err != nil { // too small
		t.Fatal(err)
	}
	got := []string{read(""), read(".1"), read(".2"), read(".3"), read(".4")}
	if want := []string{"6", "five", "four", "three", ""}; !slices.Equal(want, got) {
		t.Errorf("logs, newest first: want %q, got %q", want, got)
	}
}

func TestCopyToFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), currentLog)
	if err := os.WriteFile(path, []byte("long"), fileMode); err != nil {
		t.Fatal(err)
	}
	if err := copyFile(path, "/dev/full"); err == nil {
		t.Fatal("copying to a full disk: want an error")
	}
}

func TestLogsAreRotatedWhileRunning(t *testing.T) {
	b := newBench(t, func(s *Supervisor) { s.timing.logBytes = 10 })
	b.apply(manifest(server(t, "x", "a")))
	b.ready("g")
	path := b.path("g", "x", "log", currentLog)
	if err := os.WriteFile(path, []byte("more than ten bytes"), fileMode); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the log is moved aside", func() bool {
		old, err := os.ReadFile(path + ".1")
		info, empty := os.Stat(path)
		return err == nil && empty == nil && strings.Contains(string(old), "ten bytes") && info.Size() == 0
	})
}
