// Command distro puts the upstream programs that Myriad runs, or with -lab those that the nodes of
// a lab run, into a directory: compiled from the Go module proxy, or downloaded. What was made
// before, by any checkout of this user, is reused.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"golang.org/x/term"
	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/internal/distribution"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "distro:", err)
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	version, from, source, out string
	lab                        bool
}

// parse reads the command line.
func parse() (options, error) {
	var o options
	flag.StringVar(&o.version, "version", "", "version of Kubernetes, like v1.36.3; with -lab the newest that is pinned, if empty")
	flag.StringVar(&o.from, "from", "", "download Kubernetes from a server like https://dl.k8s.io instead of compiling it")
	flag.StringVar(&o.source, "source", "distro", "directory of the modules that pin upstream")
	flag.StringVar(&o.out, "out", "out/distro", "directory to make the programs available in")
	flag.BoolVar(&o.lab, "lab", false, "make what the nodes of a lab run instead: kubelet, kube-proxy, containerd, CoreDNS and kwok, always compiled")
	flag.Parse()
	switch {
	case flag.NArg() > 0 || (o.version == "" && !o.lab):
		flag.Usage()
		return options{}, errors.New("a version is needed, like -version v1.36.3, and nothing after the flags")
	case o.lab && o.from != "":
		return options{}, errors.New("-lab and -from exclude each other: what the nodes of a lab run is always compiled")
	}
	return o, nil
}

// run makes one version of Kubernetes and the pinned version of etcd, or what a lab's nodes run.
func run(ctx context.Context) error {
	o, err := parse()
	if err != nil {
		return err
	}
	cache, err := distribution.CacheDir()
	if err != nil {
		return err
	}
	set, err := filepath.Abs(o.out)
	if err != nil {
		return err
	}
	builder := &distribution.Builder{
		Source: o.source,
		Cache:  cache,
		Console: distribution.Console{
			Writer:   os.Stderr,
			Terminal: term.IsTerminal(int(os.Stderr.Fd())),
			Clock:    clock.RealClock{},
		},
	}
	if o.lab {
		return addLab(ctx, builder, o.version, set)
	}
	if err := addEtcd(ctx, builder, set); err != nil {
		return err
	}
	return addKubernetes(ctx, builder, o.from, o.version, set)
}

// addLab puts what the nodes of a lab run into a set.
func addLab(ctx context.Context, builder *distribution.Builder, version, set string) error {
	if version == "" {
		pinned, err := builder.KubernetesVersions()
		if err != nil {
			return err
		}
		if len(pinned) == 0 {
			return fmt.Errorf("%s pins no version of Kubernetes: name another directory with -source", builder.Source)
		}
		version = pinned[len(pinned)-1]
	}
	return builder.MakeLab(ctx, version, set)
}

// addEtcd puts the pinned etcd into a set.
func addEtcd(ctx context.Context, builder *distribution.Builder, set string) error {
	version, dir, err := builder.BuildEtcd(ctx)
	if err != nil {
		return err
	}
	return distribution.LinkEtcd(set, version, dir)
}

// addKubernetes puts one version of Kubernetes into a set, compiled or else downloaded.
func addKubernetes(ctx context.Context, builder *distribution.Builder, from, version, set string) error {
	var dir string
	var err error
	if from == "" {
		dir, err = builder.BuildKubernetes(ctx, version)
	} else {
		dir, err = builder.DownloadKubernetes(ctx, from, version)
	}
	if err != nil {
		return err
	}
	return distribution.LinkKubernetes(set, version, dir)
}
