// Command distro puts the upstream programs that Myriad runs into a directory: compiled from the
// Go module proxy, or downloaded. What was made before, by any checkout of this user, is reused.
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

// run makes one version of Kubernetes and the pinned version of etcd.
func run(ctx context.Context) error {
	version := flag.String("version", "", "version of Kubernetes, like v1.36.3")
	from := flag.String("from", "", "download Kubernetes from a server like https://dl.k8s.io instead of compiling it")
	source := flag.String("source", "distro", "directory of the modules that pin upstream")
	out := flag.String("out", "out/distro", "directory to make the programs available in")
	flag.Parse()
	if *version == "" || flag.NArg() > 0 {
		flag.Usage()
		return errors.New("a version is needed, like -version v1.36.3, and nothing after the flags")
	}
	cache, err := distribution.CacheDir()
	if err != nil {
		return err
	}
	set, err := filepath.Abs(*out)
	if err != nil {
		return err
	}
	builder := &distribution.Builder{
		Source: *source,
		Cache:  cache,
		Console: distribution.Console{
			Writer:   os.Stderr,
			Terminal: term.IsTerminal(int(os.Stderr.Fd())),
			Clock:    clock.RealClock{},
		},
	}
	if err := addEtcd(ctx, builder, set); err != nil {
		return err
	}
	return addKubernetes(ctx, builder, *from, *version, set)
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
