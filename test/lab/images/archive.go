package images

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/renameio/v2"
)

// keyLength is how many bytes of a digest tell archives of one name apart.
const keyLength = 8

// write makes the bundle's archive in dir unless it is there. An archive is named after what it
// holds, and appears whole or not at all.
func (b bundle) write(ctx context.Context, dir string) ([]Image, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	contents, key, err := b.build()
	if err != nil {
		return nil, err
	}
	archive := filepath.Join(dir, b.name+"-"+key+".tar")
	if _, err := os.Stat(archive); errors.Is(err, fs.ErrNotExist) {
		if err := writeArchive(archive, contents); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	if err := b.removeOthers(archive); err != nil {
		return nil, err
	}
	written := make([]Image, 0, len(b.images))
	for _, image := range b.images {
		written = append(written, Image{Name: image.name, Archive: archive})
	}
	return written, nil
}

// build puts the images together, and returns a key that the same images have in common.
func (b bundle) build() (contents map[name.Reference]v1.Image, key string, err error) {
	entries, err := programEntries(b.programs)
	if err != nil {
		return nil, "", err
	}
	base, err := newLayer(skeleton)
	if err != nil {
		return nil, "", err
	}
	programs, err := newLayer(entries)
	if err != nil {
		return nil, "", err
	}
	sum := sha256.New()
	contents = map[name.Reference]v1.Image{}
	for _, image := range b.images {
		reference, err := name.NewTag(image.name)
		if err != nil {
			return nil, "", err
		}
		content, err := assemble(image.program, base, programs)
		if err != nil {
			return nil, "", err
		}
		digest, err := content.Digest()
		if err != nil {
			return nil, "", err
		}
		fmt.Fprintln(sum, image.name, digest)
		contents[reference] = content
	}
	return contents, hex.EncodeToString(sum.Sum(nil)[:keyLength]), nil
}

// assemble makes an image of layers that runs a program unless told otherwise.
func assemble(program string, layers ...v1.Layer) (v1.Image, error) {
	image, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Created = v1.Time{Time: epoch}
	config.Config = v1.Config{
		User:       strconv.Itoa(User) + ":" + strconv.Itoa(User),
		Env:        []string{"PATH=/" + binaries},
		Cmd:        []string{program},
		WorkingDir: "/",
	}
	return mutate.ConfigFile(image, config)
}

// writeArchive writes images to a file that was not there.
func writeArchive(path string, contents map[name.Reference]v1.Image) error {
	file, err := renameio.NewPendingFile(path, renameio.WithPermissions(0o644))
	if err != nil {
		return err
	}
	err = tarball.MultiRefWrite(contents, file)
	if err == nil {
		err = file.CloseAtomicallyReplace()
	}
	return errors.Join(err, file.Cleanup())
}

// removeOthers removes what the bundle was written as before.
func (b bundle) removeOthers(current string) error {
	archives, err := filepath.Glob(filepath.Join(filepath.Dir(current), b.name+"-*.tar"))
	if err != nil {
		return err
	}
	for _, archive := range archives {
		if archive == current || len(archive) != len(current) { // the latter: of a longer name
			continue
		}
		if err := os.Remove(archive); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove an archive that is out of date: %w", err)
		}
	}
	return nil
}
