package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Unpacking all images takes a few seconds for each node, and the result is always the same. So it is
// done once per machine, by a containerd that does nothing else, and nodes begin with a clone of what
// that one kept: databases are copied, the rest, which nobody writes to, is linked.

const prototypePrefix = "containerd-"

// keepPrototype returns the directory of what a containerd keeps that holds the archives' images.
func (u *up) keepPrototype(ctx context.Context, archives []string) (string, error) {
	sum := sha256.New()
	for _, archive := range append([]string{u.programs.paths["containerd"]}, archives...) {
		id, err := fileID(archive)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(sum, id)
	}
	directory := filepath.Join(u.programs.directory, "lab", "images")
	prototype := filepath.Join(directory, prototypePrefix+hex.EncodeToString(sum.Sum(nil)[:8]))
	if _, err := os.Stat(prototype); err == nil {
		return prototype, nil
	}
	if err := removePrototypes(directory); err != nil {
		return "", err
	}
	made, err := u.makePrototype(ctx, archives)
	if err != nil {
		return "", fmt.Errorf("unpack images: %w", err)
	}
	if err := cloneTree(made, prototype); err != nil {
		return "", fmt.Errorf("keep unpacked images: %w", err)
	}
	return prototype, os.RemoveAll(u.path("prototype"))
}

func removePrototypes(directory string) error {
	old, err := filepath.Glob(filepath.Join(directory, prototypePrefix+"*"))
	if err != nil {
		return err
	}
	for _, prototype := range old {
		if err := os.RemoveAll(prototype); err != nil {
			return err
		}
	}
	return nil
}

// makePrototype runs a containerd that imports the archives and ends.
func (u *up) makePrototype(ctx context.Context, archives []string) (directory string, err error) {
	n := newNode(u.path("prototype"), Zones()[0])
	if err := os.RemoveAll(n.dir); err != nil {
		return "", err
	}
	configuration, err := n.containerdConfiguration(u.programs)
	if err != nil {
		return "", err
	}
	if err := writeFile(n.path("config.toml"), configuration, 0o600); err != nil {
		return "", err
	}
	daemon, err := u.Command(ctx, u.programs.paths["containerd"], "--config", n.path("config.toml"))
	if err != nil {
		return "", err
	}
	var output strings.Builder
	daemon.Stdout, daemon.Stderr = &output, &output
	daemon.Cancel = func() error { return daemon.Process.Signal(syscall.SIGTERM) }
	if err := daemon.Start(); err != nil {
		return "", err
	}
	err = u.importInto(ctx, u.programs.paths["ctr"], n, archives)
	if signalErr := daemon.Process.Signal(syscall.SIGTERM); signalErr != nil && err == nil {
		err = signalErr
	}
	// It says that it was asked to end by its exit status.
	if exit := (*exec.ExitError)(nil); err == nil {
		if waitErr := daemon.Wait(); waitErr != nil && !errors.As(waitErr, &exit) {
			err = waitErr
		}
	}
	if err != nil {
		return "", fmt.Errorf("%w: containerd says: %s", err, strings.TrimSpace(output.String()))
	}
	return n.containerdRoot(), nil
}

// startFrom gives a node that has none yet what its containerd keeps.
func (l *Lab) startFrom(prototype string, n node, archives []string) error {
	if _, err := os.Stat(n.containerdRoot()); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(n.containerdRoot()), 0o755); err != nil {
		return err
	}
	if err := n.rememberImported(archives); err != nil {
		return err
	}
	return cloneTree(prototype, n.containerdRoot())
}

// cloneTree makes a directory like another one, whole or not at all.
func cloneTree(source, target string) error {
	unfinished := target + ".unfinished"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	err := filepath.WalkDir(source, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(source, path)
		if err != nil {
			return err
		}
		return cloneEntry(path, filepath.Join(unfinished, relative), entry)
	})
	if err != nil {
		return err
	}
	return os.Rename(unfinished, target)
}

func cloneEntry(source, target string, entry fs.DirEntry) error {
	switch {
	case entry.IsDir():
		return cloneDirectory(source, target)
	case entry.Type() == fs.ModeSymlink:
		to, err := os.Readlink(source)
		if err != nil {
			return err
		}
		return os.Symlink(to, target)
	case entry.Type().IsRegular() && filepath.Ext(source) != ".db":
		err := os.Link(source, target)
		if !errors.Is(err, unix.EXDEV) {
			return err
		}
		return copyFile(source, target)
	case entry.Type().IsRegular():
		return copyFile(source, target)
	case entry.Type() == fs.ModeSocket:
		return nil
	}
	return fmt.Errorf("clone %s: it is a %s", source, entry.Type())
}

func cloneDirectory(source, target string) error {
	var stat unix.Stat_t
	if err := unix.Stat(source, &stat); err != nil {
		return fmt.Errorf("clone %s: %w", source, err)
	}
	if err := os.MkdirAll(target, 0o700); err != nil {
		return err
	}
	if err := os.Chown(target, int(stat.Uid), int(stat.Gid)); err != nil {
		return err
	}
	return unix.Chmod(target, stat.Mode&0o7777)
}

func copyFile(source, target string) error {
	from, err := os.Open(source)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }() // only read
	info, err := from.Stat()
	if err != nil {
		return err
	}
	to, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	return errors.Join(err, to.Close())
}
