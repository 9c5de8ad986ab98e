package lab

import (
	"os"
	"path/filepath"
	"testing"
)

// TestCloneTree: what a containerd writes to is its own, the rest is shared.
func TestCloneTree(t *testing.T) {
	source, target := filepath.Join(t.TempDir(), "from"), filepath.Join(t.TempDir(), "to")
	for file, content := range map[string]string{"meta.db": "database", "snapshots/1/fs/bin/program": "program"} {
		if err := writeFile(filepath.Join(source, file), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	sticky := filepath.Join(source, "snapshots/1/fs/tmp")
	if err := os.Mkdir(sticky, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(sticky, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("program", filepath.Join(source, "snapshots/1/fs/bin/link")); err != nil {
		t.Fatal(err)
	}
	// What a clone that was broken off left.
	if err := os.MkdirAll(target+".unfinished/old", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := cloneTree(source, target); err != nil {
		t.Fatal(err)
	}
	for file, shared := range map[string]bool{"meta.db": false, "snapshots/1/fs/bin/program": true} {
		from, fromErr := os.Stat(filepath.Join(source, file))
		to, toErr := os.Stat(filepath.Join(target, file))
		if fromErr != nil || toErr != nil || os.SameFile(from, to) != shared {
			t.Errorf("%s: shared must be %v (%v, %v)", file, shared, fromErr, toErr)
		}
	}
	if info, err := os.Stat(filepath.Join(target, "snapshots/1/fs/tmp")); err != nil || info.Mode() != os.ModeDir|os.ModeSticky|0o777 {
		t.Errorf("/tmp of the image is %v (%v)", info.Mode(), err)
	}
	if to, err := os.Readlink(filepath.Join(target, "snapshots/1/fs/bin/link")); err != nil || to != "program" {
		t.Errorf("the link leads to %q (%v)", to, err)
	}
	if _, err := os.Stat(filepath.Join(target, "old")); err == nil {
		t.Error("the clone holds what an earlier one left")
	}
}
