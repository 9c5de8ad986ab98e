package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/test/bench/figures"
)

// benchLabDelete measures how long it takes until nothing of a deleted guest is left.
func benchLabDelete(ctx context.Context, b *bench) ([]figures.Result, error) {
	var seconds []float64
	for i := range b.runs {
		g := b.guest(i)
		if _, err := measure(ctx, g, pollMany); err != nil {
			return nil, errors.Join(err, g.stop(context.Background()))
		}
		took, err := b.deletion(ctx, g)
		if err != nil {
			return nil, errors.Join(err, g.stop(context.Background()))
		}
		seconds = append(seconds, took)
	}
	return []figures.Result{
		figures.Bound(fmt.Sprintf("delete until nothing is left, slowest of %d", b.runs), "s", slices.Max(seconds), budgetDelete),
		figures.Report("delete until nothing is left, p50", "s", figures.Median(seconds)),
	}, nil
}

// deletion deletes a guest and returns the seconds until its Cluster, namespace, volumes and their
// directories, and the agent's files of it are gone.
func (b *bench) deletion(ctx context.Context, g *guest) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, readyDeadline)
	defer cancel()
	namespace, err := g.namespace(ctx)
	if err != nil {
		return 0, err
	}
	volumes, err := b.lab.volumes(ctx, namespace)
	if err != nil {
		return 0, err
	}
	var directories []string
	for _, volume := range volumes {
		if volume.Spec.Local != nil {
			directories = append(directories, volume.Spec.Local.Path)
		}
	}
	begun := time.Now()
	if _, err := b.fleet.Run(ctx, "cluster", "delete", g.cluster.Name, "--wait=false"); err != nil {
		return 0, err
	}
	var left []string
	err = wait.PollUntilContextCancel(ctx, pollOne, true, func(ctx context.Context) (done bool, err error) {
		left, err = b.leftOf(ctx, g, namespace, directories)
		return len(left) == 0, err
	})
	if err != nil {
		return 0, fmt.Errorf("delete cluster %s: %s are left: %w", g.cluster.Name, strings.Join(left, ", "), err)
	}
	return time.Since(begun).Seconds(), nil
}

// leftOf lists what is left of a guest. It looks for the rest only when the first of it is gone: looking
// costs the machine that is measured.
func (b *bench) leftOf(ctx context.Context, g *guest, namespace string, directories []string) ([]string, error) {
	err := b.hub.Get(ctx, client.ObjectKeyFromObject(g.cluster), &v1alpha1.Cluster{})
	if err == nil {
		return []string{"cluster " + g.cluster.Name}, nil
	}
	if !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("read cluster %s: %w", g.cluster.Name, err)
	}
	left, err := b.lab.left(ctx, namespace)
	if err != nil || len(left) > 0 {
		return left, err
	}
	for _, directory := range directories {
		if _, err := os.Stat(directory); !errors.Is(err, fs.ErrNotExist) {
			left = append(left, "directory "+directory)
		}
	}
	files, err := filesOf(g.cluster.Status.ID, filepath.Join(b.fleet.Home, "cells", b.lab.cell()))
	return append(left, files...), err
}

// filesOf are the files and directories below a directory that are named after an id.
func filesOf(id, directory string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && strings.Contains(entry.Name(), id) {
			files = append(files, path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it went away meanwhile
		}
		return err
	})
	return files, err
}
