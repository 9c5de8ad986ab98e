package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// containerdDeadline bounds how long a containerd may take to answer after its start.
const containerdDeadline = time.Minute

// importInto imports the archives into a node's containerd, each once.
func (u *up) importInto(ctx context.Context, n node, archives []string) error {
	done, err := os.ReadFile(n.path("imported"))
	if err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("images of %s: %w", NodeName(n.zone), err)
	}
	imported := strings.Fields(string(done))
	for _, archive := range archives {
		id, err := archiveID(archive)
		if err != nil {
			return fmt.Errorf("images of %s: %w", NodeName(n.zone), err)
		}
		if slices.Contains(imported, id) {
			continue
		}
		if err := u.importArchive(ctx, n, archive); err != nil {
			return fmt.Errorf("images of %s: %w", NodeName(n.zone), err)
		}
		imported = append(imported, id)
		if err := writeFile(n.path("imported"), []byte(strings.Join(imported, "\n")+"\n"), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (u *up) importArchive(ctx context.Context, n node, archive string) error {
	ctr := []string{"--address", n.socket(), "--namespace", "k8s.io"}
	err := waitFor(ctx, containerdDeadline, func(ctx context.Context) error {
		return u.runInside(ctx, u.programs.paths["ctr"], append(ctr, "version")...)
	})
	if err != nil {
		return fmt.Errorf("wait for containerd: %w", err)
	}
	return u.runInside(ctx, u.programs.paths["ctr"], append(ctr, "images", "import", "--no-unpack=false", archive)...)
}

// runInside runs a command in the lab's namespaces. What it says is part of the error.
func (l *Lab) runInside(ctx context.Context, program string, arguments ...string) error {
	command, err := l.Command(ctx, program, arguments...)
	if err != nil {
		return err
	}
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", filepath.Base(program), strings.Join(arguments, " "), err, strings.TrimSpace(string(output)))
	}
	return nil
}

// archiveID changes when an archive does.
func archiveID(archive string) (string, error) {
	info, err := os.Stat(archive)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s:%d:%d", filepath.Base(archive), info.Size(), info.ModTime().UnixNano()), nil
}
