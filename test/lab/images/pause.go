package images

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// pausePackage is the program of the image Pause.
const pausePackage = "github.com/myriad-fleet/myriad/test/lab/images/pause"

// compilePause makes the executable, the same from every checkout.
func compilePause(ctx context.Context, path string) error {
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", path, pausePackage)
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOOS=linux")
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("compile %s, within Myriad's source tree: %w: %s", pausePackage, err, strings.TrimSpace(string(output)))
	}
	return nil
}
