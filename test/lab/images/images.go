// Package images builds the images that a lab's pods run, as archives that `ctr images import`
// reads, from the programs of a distribution. Nothing is downloaded.
package images

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/myriad-fleet/myriad/internal/distribution"
)

// Names of images, as cells look for them.
const (
	// Pause is the image of the process that holds a pod's namespaces. The version is the one of
	// the interface that it has in common with upstream's.
	Pause = registry + "/pause:3.10"
	// CoreDNS is the repository of CoreDNS; the tag is the version, like v1.15.0.
	CoreDNS = registry + "/coredns/coredns"
	// registry is where upstream publishes what these images stand for.
	registry = "registry.k8s.io"
)

// User is the numeric user and group that all images run as. The number is the usual one of
// images without a distribution of Linux.
const User = 65532

// Image is one image in an archive.
type Image struct {
	Name    string // like registry.k8s.io/kube-apiserver:v1.36.3
	Archive string // the file that holds it, which images that share a layer have in common
}

// Archives lists the files that hold images, each once.
func Archives(images []Image) []string {
	files := make([]string, 0, len(images))
	for _, image := range images {
		files = append(files, image.Archive)
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// Write makes the images of control planes, CoreDNS and pause in the directory dir, with the
// newest version of each that the set has, and reuses archives that are there already. What
// earlier calls made of other programs is removed. It needs Go, and to run within Myriad's source
// tree, to compile pause.
func Write(ctx context.Context, set *distribution.Set, dir string) ([]Image, error) {
	bundles, err := plan(set)
	if err != nil {
		return nil, fmt.Errorf("plan the lab's images: %w", err)
	}
	var written []Image
	for _, bundle := range bundles {
		images, err := bundle.write(ctx, dir)
		if err != nil {
			return nil, fmt.Errorf("write the lab's images of %s: %w", bundle.name, err)
		}
		written = append(written, images...)
	}
	pause, err := writePause(ctx, dir)
	if err != nil {
		return nil, err
	}
	return append(written, pause), nil
}

// WriteProgram makes an image, like myriad.dev/myriad:dev, whose only program is a static
// executable, in the directory dir. An archive that is up to date is reused.
func WriteProgram(ctx context.Context, name, executable, dir string) (Image, error) {
	images, err := single(name, executable).write(ctx, dir)
	if err != nil {
		return Image{}, fmt.Errorf("write the image %s: %w", name, err)
	}
	return images[0], nil
}

// bundle is what one archive holds: images with the same layers.
type bundle struct {
	name     string // how the archive's file name begins
	programs []program
	images   []image
}

// program is an executable on the PATH of an image.
type program struct {
	name string
	path string // the file here
}

// image is a name and what it runs unless a pod says something else.
type image struct {
	name, program string
}

// single is the bundle of one image with one program.
func single(name, executable string) bundle {
	command := filepath.Base(executable)
	base, _, _ := strings.Cut(path.Base(name), ":")
	return bundle{
		name:     base,
		programs: []program{{name: command, path: executable}},
		images:   []image{{name, command}},
	}
}

// plan lists the archives that a set's newest programs make.
func plan(set *distribution.Set) ([]bundle, error) {
	kubernetes, err := newest(set.KubernetesVersions())
	if err != nil {
		return nil, err
	}
	etcd, err := newest(set.EtcdVersions())
	if err != nil {
		return nil, err
	}
	coredns, err := newest(set.CoreDNSVersions())
	if err != nil {
		return nil, err
	}
	controlPlane := bundle{name: "kubernetes"}
	components := []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler"}
	for _, component := range components {
		controlPlane.images = append(controlPlane.images, image{registry + "/" + component + ":" + kubernetes, component})
	}
	bundles := []bundle{
		controlPlane,
		{name: "etcd", images: []image{{registry + "/etcd:" + strings.TrimPrefix(etcd, "v") + "-0", "etcd"}}},
		{name: "coredns", images: []image{{CoreDNS + ":" + coredns, "coredns"}}},
	}
	for i, of := range []struct {
		version  string
		programs []string
	}{
		{kubernetes, components},
		{etcd, []string{"etcd", "etcdctl", "etcdutl"}},
		{coredns, []string{"coredns"}},
	} {
		if bundles[i].programs, err = find(set, of.version, of.programs); err != nil {
			return nil, err
		}
	}
	return bundles, nil
}

// find looks programs of one version up.
func find(set *distribution.Set, version string, names []string) ([]program, error) {
	programs := make([]program, 0, len(names))
	for _, name := range names {
		path, err := set.Path(name, version)
		if err != nil {
			return nil, err
		}
		programs = append(programs, program{name, path})
	}
	return programs, nil
}

// newest is the last of some versions, which stand oldest first.
func newest(versions []string, err error) (string, error) {
	if err != nil {
		return "", err
	}
	return versions[len(versions)-1], nil
}
