package images

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// pausePackage is the program of the image Pause.
const pausePackage = "github.com/myriad-fleet/myriad/test/lab/images/pause"

// writePause makes the image Pause in the directory dir.
func writePause(ctx context.Context, dir string) (Image, error) {
	workplace, err := os.MkdirTemp("", "myriad-pause-")
	if err != nil {
		return Image{}, fmt.Errorf("compile %s: %w", pausePackage, err)
	}
	executable := filepath.Join(workplace, "pause")
	var written Image
	if err = compilePause(ctx, executable); err == nil {
		written, err = WriteProgram(ctx, Pause, executable, dir)
	}
	return written, errors.Join(err, os.RemoveAll(workplace))
}

// compilePause makes the executable, the same from every checkout.
func compilePause(ctx context.Context, path string) error {
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", path, pausePackage)
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOOS=linux")
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("compile %s, within Myriad's source tree: %w: %s", pausePackage, err, strings.TrimSpace(string(output)))
	}
	return nil
}
