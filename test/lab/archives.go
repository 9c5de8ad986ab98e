package lab

import (
	"context"
	"path/filepath"
)

// imageArchives lists the archives of all images that the lab's nodes have.
func imageArchives(context.Context) ([]string, error) {
	return filepath.Glob("/var/tmp/myriad-lab-images/*.tar")
}
