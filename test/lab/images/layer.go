package images

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// binaries is the directory of programs in an image. It is on the PATH.
const binaries = "usr/local/bin"

// epoch is the time of everything in an image: the same programs make the same image.
var epoch = time.Unix(0, 0).UTC()

// entry is a file, directory or symbolic link in a layer.
type entry struct {
	name   string
	mode   int64
	kind   byte   // of archive/tar
	link   string // where a symbolic link leads to
	source string // the file here that has the content
}

// skeleton is what every image has below its programs.
var skeleton = []entry{
	{name: "tmp/", mode: 0o1777, kind: tar.TypeDir},
	{name: "usr/", mode: 0o755, kind: tar.TypeDir},
	{name: "usr/local/", mode: 0o755, kind: tar.TypeDir},
	{name: binaries + "/", mode: 0o755, kind: tar.TypeDir},
}

// programEntries puts programs on the PATH. Those that are names of one file, as those of a
// multi-call binary are, share it.
func programEntries(programs []program) ([]entry, error) {
	var entries []entry
	known := map[string]bool{}
	for _, program := range programs {
		source, err := filepath.EvalSymlinks(program.path)
		if err != nil {
			return nil, fmt.Errorf("find %s: %w", program.name, err)
		}
		base := filepath.Base(source)
		if !known[source] {
			known[source] = true
			entries = append(entries, entry{name: binaries + "/" + base, mode: 0o755, kind: tar.TypeReg, source: source})
		}
		if base != program.name {
			entries = append(entries, entry{name: binaries + "/" + program.name, mode: 0o777, kind: tar.TypeSymlink, link: base})
		}
	}
	return entries, nil
}

// layer is a layer of an image that is read from its sources each time. It is not compressed:
// it goes from this machine to this machine.
type layer struct {
	entries []entry
	digest  v1.Hash
	size    int64 // in bytes
}

// newLayer reads the sources once to know the layer's digest.
func newLayer(entries []entry) (*layer, error) {
	l := &layer{entries: entries}
	content, err := l.Uncompressed()
	if err != nil {
		return nil, err
	}
	l.digest, l.size, err = v1.SHA256(content)
	return l, errors.Join(err, content.Close())
}

// Digest is the digest of the tar.
func (l *layer) Digest() (v1.Hash, error) { return l.digest, nil }

// DiffID is the digest of the tar.
func (l *layer) DiffID() (v1.Hash, error) { return l.digest, nil }

// Size is the length of the tar in bytes.
func (l *layer) Size() (int64, error) { return l.size, nil }

// MediaType says that the tar is not compressed.
func (l *layer) MediaType() (types.MediaType, error) { return types.DockerUncompressedLayer, nil }

// Compressed returns the tar.
func (l *layer) Compressed() (io.ReadCloser, error) { return l.Uncompressed() }

// Uncompressed returns the tar.
func (l *layer) Uncompressed() (io.ReadCloser, error) {
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(writeTar(writer, l.entries)) }()
	return reader, nil
}

// writeTar writes entries as a tar that depends on nothing but them and their sources' content.
func writeTar(to io.Writer, entries []entry) error {
	archive := tar.NewWriter(to)
	for _, entry := range entries {
		if err := writeEntry(archive, entry); err != nil {
			return fmt.Errorf("pack %s: %w", entry.name, err)
		}
	}
	return archive.Close()
}

func writeEntry(archive *tar.Writer, entry entry) error {
	header := &tar.Header{
		Name:     entry.name,
		Mode:     entry.mode,
		Typeflag: entry.kind,
		Linkname: entry.link,
		ModTime:  epoch,
		Format:   tar.FormatUSTAR,
	}
	if entry.source == "" {
		return archive.WriteHeader(header)
	}
	file, err := os.Open(entry.source)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	header.Size = info.Size()
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(archive, file)
	return err
}
