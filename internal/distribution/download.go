package distribution

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
)

// stallTimeout is how long a server may send nothing before a download is given up.
const stallTimeout = time.Minute

// maxChecksumSize bounds the answer to a request for a checksum, which has about 65 bytes.
const maxChecksumSize = 4096

// DownloadKubernetes fetches the official programs of one version of Kubernetes where that was
// not done before, and returns their directory. Base is a server with the layout of
// https://dl.k8s.io: <base>/<version>/bin/linux/<architecture>/<program> and the same with
// .sha256. A program whose checksum differs is refused, and nothing of it is kept.
//
// etcd publishes archives with a layout of their own, so it is always compiled: see BuildEtcd.
func (b *Builder) DownloadKubernetes(ctx context.Context, base, version string) (string, error) {
	name := projects[projectKubernetes].title + " " + version
	source, err := url.Parse(base)
	if err != nil || (source.Scheme != "http" && source.Scheme != "https") || source.Host == "" {
		return "", fmt.Errorf("download %s from %q: that is no web address: write it like https://dl.k8s.io", name, base)
	}
	if _, err := semver.StrictNewVersion(strings.TrimPrefix(version, "v")); err != nil || !strings.HasPrefix(version, "v") {
		return "", fmt.Errorf("download Kubernetes %q: that is no version: write it like v1.36.3", version)
	}
	source = source.JoinPath(version, "bin", "linux", runtime.GOARCH)
	sum := sha256.Sum256([]byte(source.String()))
	key := fmt.Sprintf("%s-%s-%s", projectKubernetes, version, hex.EncodeToString(sum[:]))
	dir, err := b.store().get(ctx, key, projectKubernetes, b.waiting(name), func(dir string) error {
		return b.fetchAll(ctx, name, source, version, dir)
	})
	if err != nil {
		return "", fmt.Errorf("download %s: %w", name, err)
	}
	return dir, nil
}

// fetchAll downloads every program of a version into dir.
func (b *Builder) fetchAll(ctx context.Context, name string, source *url.URL, version, dir string) error {
	shown, done := b.Console.begin(name)
	defer done()
	b.Console.sayf("%s: downloading from %s", name, source)
	for _, program := range programsOf(projectKubernetes) {
		if err := b.fetchProgram(ctx, shown, source.JoinPath(program), filepath.Join(dir, program)); err != nil {
			return err
		}
	}
	if err := checkVersion(ctx, projectKubernetes, version, dir); err != nil {
		return err
	}
	done()
	b.Console.sayf("%s: downloaded in %s", name, shown.elapsed())
	return nil
}

// fetchProgram downloads one program and compares it with its published checksum.
func (b *Builder) fetchProgram(ctx context.Context, shown *activity, source *url.URL, path string) error {
	var published bytes.Buffer
	if err := b.fetch(ctx, source.String()+".sha256", &limitedWriter{&published, maxChecksumSize}); err != nil {
		return err
	}
	want, _, _ := strings.Cut(strings.TrimSpace(published.String()), " ")
	if raw, err := hex.DecodeString(want); err != nil || len(raw) != sha256.Size {
		return fmt.Errorf("%s.sha256 holds no SHA-256 checksum but %q", source, want)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return fmt.Errorf("keep a download: %w", err)
	}
	sum := sha256.New()
	meter := &meter{activity: shown, name: filepath.Base(path)}
	if err := b.fetch(ctx, source.String(), io.MultiWriter(file, sum, meter)); err != nil {
		return errors.Join(err, file.Close())
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("keep a download: %w", err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); !strings.EqualFold(got, want) {
		return fmt.Errorf("%s has the checksum %s but %s.sha256 says %s: nothing was kept; try again, or ask who runs the server", source, got, source, want)
	}
	return nil
}

// fetch copies what a server sends for an address, and gives up when it stops sending.
func (b *Builder) fetch(ctx context.Context, address string, to io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := b.Console.Clock.AfterFunc(stallTimeout, func() {
		cancel(fmt.Errorf("the server sent nothing for %s", stallTimeout))
	})
	defer stalled.Stop()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fmt.Errorf("fetch %s: %w", address, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("fetch %s: %w", address, errors.Join(err, context.Cause(ctx)))
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("fetch %s: the server answered %s", address, response.Status)
	}
	alive := writerFunc(func(content []byte) (int, error) {
		stalled.Reset(stallTimeout)
		return len(content), nil
	})
	if _, err := io.Copy(io.MultiWriter(to, alive), response.Body); err != nil {
		return fmt.Errorf("fetch %s: %w", address, errors.Join(err, context.Cause(ctx)))
	}
	return nil
}

// writerFunc is a function that is told of every write.
type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(content []byte) (int, error) { return f(content) }

// limitedWriter refuses what goes beyond its room, in bytes.
type limitedWriter struct {
	to   io.Writer
	room int
}

func (w *limitedWriter) Write(content []byte) (int, error) {
	if len(content) > w.room {
		return 0, errors.New("the answer is longer than it can be")
	}
	w.room -= len(content)
	return w.to.Write(content)
}

// meter shows how much of a program has arrived.
type meter struct {
	activity *activity
	name     string
	bytes    int
}

func (m *meter) Write(content []byte) (int, error) {
	m.bytes += len(content)
	m.activity.setf("%s: %d MiB downloaded", m.name, m.bytes>>20)
	return len(content), nil
}
