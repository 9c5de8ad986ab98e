package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/test/bench/figures"
)

// benchLabCreate measures create to ready of one guest in the lab at a time, by turns with the same
// pods by hand.
func benchLabCreate(ctx context.Context, b *bench) ([]figures.Result, error) {
	return b.byTurns(ctx, func(run int) (subject, error) { return b.pods(run) })
}

// benchLabBurst measures many creates at once in the lab against as many by hand at once.
func benchLabBurst(ctx context.Context, b *bench) ([]figures.Result, error) {
	var guests, manuals []inPods
	for i := range b.guests {
		manual, err := b.pods(i)
		if err != nil {
			return nil, err
		}
		manuals, guests = append(manuals, manual), append(guests, b.guest(i))
	}
	hand, handRestarts, err := b.burstInLab(ctx, manuals)
	if err != nil {
		return nil, err
	}
	fleet, restarts, err := b.burstInLab(ctx, guests)
	if err != nil {
		return nil, err
	}
	restarted := figures.Bound(fmt.Sprintf("%d at once, container restarts", b.guests), "", restarts, budgetRestarts)
	restarted.Reference = &handRestarts
	return []figures.Result{
		figures.Compare(fmt.Sprintf("%d at once, until all are ready", b.guests), "s", slices.Max(fleet), slices.Max(hand), budgetBurstAll),
		figures.Beside(fmt.Sprintf("%d at once, p50", b.guests), "s", figures.Median(fleet), figures.Median(hand)),
		restarted,
	}, nil
}

// burstInLab starts control planes at once, returns the seconds until each was ready and how often
// their containers have restarted, and stops them.
func (b *bench) burstInLab(ctx context.Context, subjects []inPods) (seconds []float64, restarts float64, err error) {
	defer func() { err = errors.Join(err, stopAll(subjects)) }()
	if seconds, err = readyAll(ctx, pollMany, subjects); err != nil {
		return nil, 0, err
	}
	var namespaces []string
	for _, s := range subjects {
		namespace, err := s.namespace(ctx)
		if err != nil {
			return nil, 0, err
		}
		namespaces = append(namespaces, namespace)
	}
	restarts, err = b.lab.restarts(ctx, namespaces)
	return seconds, restarts, err
}

// benchLabReadyLag measures how much later than it is true the hub says that a guest is ready.
func benchLabReadyLag(ctx context.Context, b *bench) ([]figures.Result, error) {
	var lags []float64
	for i := range b.runs {
		lag, err := b.readyLag(ctx, b.guest(i))
		if err != nil {
			return nil, err
		}
		lags = append(lags, lag)
	}
	return []figures.Result{
		figures.Bound(fmt.Sprintf("from being ready to Ready=True, slowest of %d", b.runs), "s", slices.Max(lags), budgetReadyLag),
		figures.Report("from being ready to Ready=True, p50", "s", figures.Median(lags)),
	}, nil
}

// readyLag returns the seconds from a guest's being ready until its Cluster says so. It is below zero
// by no more than one look at the guest takes.
func (b *bench) readyLag(ctx context.Context, g *guest) (lag float64, err error) {
	defer func() { err = errors.Join(err, g.stop(context.Background())) }()
	ctx, cancel := context.WithTimeout(ctx, readyDeadline)
	defer cancel()
	watcher, err := b.hub.Watch(ctx, &v1alpha1.ClusterList{}, client.InNamespace(g.cluster.Namespace), client.MatchingFields{"metadata.name": g.cluster.Name})
	if err != nil {
		return 0, fmt.Errorf("watch cluster %s: %w", g.cluster.Name, err)
	}
	defer watcher.Stop()
	said := make(chan time.Time, 1)
	go func() {
		defer close(said)
		for event := range watcher.ResultChan() {
			seen, ok := event.Object.(*v1alpha1.Cluster)
			if ok && meta.IsStatusConditionTrue(seen.Status.Conditions, v1alpha1.ConditionReady) {
				said <- time.Now()
				return
			}
		}
	}()
	if _, err := measure(ctx, g, pollOne); err != nil {
		return 0, err
	}
	isTrue := time.Now()
	visible, ok := <-said
	if !ok {
		return 0, fmt.Errorf("the hub never said that cluster %s is ready: %w", g.cluster.Name, context.Cause(ctx))
	}
	return visible.Sub(isTrue).Seconds(), nil
}
