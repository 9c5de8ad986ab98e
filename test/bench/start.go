package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/myriad-fleet/myriad/test/bench/figures"
)

const (
	// pollOne and pollMany are the times between two looks at a control plane that is awaited, the
	// same for both sides: short beside what is measured, and light beside the work that is waited for.
	pollOne  = 25 * time.Millisecond
	pollMany = 200 * time.Millisecond
)

// benchCreate measures create to ready of one guest at a time, by turns with one by hand.
func benchCreate(ctx context.Context, b *bench) ([]figures.Result, error) {
	return b.byTurns(ctx, func(int) (subject, error) { return b.manual(0, pollOne) })
}

// byTurns measures create to ready of one guest and of one by hand, again and again.
func (b *bench) byTurns(ctx context.Context, byHand func(run int) (subject, error)) ([]figures.Result, error) {
	var fleet, hand []float64
	for i := range b.runs {
		manual, err := byHand(i)
		if err != nil {
			return nil, err
		}
		sides := []struct {
			subject subject
			seconds *[]float64
		}{{manual, &hand}, {b.guest(i), &fleet}}
		if i%2 == 1 {
			slices.Reverse(sides) // whoever comes second finds warmer caches
		}
		for _, side := range sides {
			seconds, err := startAll(ctx, pollOne, side.subject)
			if err != nil {
				return nil, err
			}
			*side.seconds = append(*side.seconds, seconds...)
		}
	}
	return []figures.Result{
		figures.Compare(fmt.Sprintf("create to ready, p50 of %d", b.runs), "s", figures.Median(fleet), figures.Median(hand), budgetCreate),
		figures.Report("create to ready, slowest", "s", slices.Max(fleet)),
		figures.Report("create to ready, slowest by hand", "s", slices.Max(hand)),
	}, nil
}

// benchBurst measures 10 and 20 creates at once against as many by hand at once.
func benchBurst(ctx context.Context, b *bench) ([]figures.Result, error) {
	var results []figures.Result
	for _, count := range []int{10, 20} {
		var guests, manuals []subject
		for i := range count {
			manual, err := b.manual(i, pollMany)
			if err != nil {
				return nil, err
			}
			manuals, guests = append(manuals, manual), append(guests, b.guest(i))
		}
		hand, err := startAll(ctx, pollMany, manuals...)
		if err != nil {
			return nil, err
		}
		fleet, err := startAll(ctx, pollMany, guests...)
		if err != nil {
			return nil, err
		}
		results = append(results,
			figures.Compare(fmt.Sprintf("%d at once, until all are ready", count), "s", slices.Max(fleet), slices.Max(hand), budgetBurstAll),
			figures.Compare(fmt.Sprintf("%d at once, p50", count), "s", figures.Median(fleet), figures.Median(hand), budgetBurstP50),
		)
	}
	return results, nil
}

// startAll starts control planes at once, returns the seconds until each was ready, and stops them.
func startAll(ctx context.Context, poll time.Duration, subjects ...subject) (seconds []float64, err error) {
	defer func() { err = errors.Join(err, stopAll(subjects)) }()
	return readyAll(ctx, poll, subjects)
}

// readyAll starts control planes at once and returns the seconds until each was ready.
func readyAll[S subject](ctx context.Context, poll time.Duration, subjects []S) ([]float64, error) {
	seconds := make([]float64, len(subjects))
	group, ctx := errgroup.WithContext(ctx)
	for i, s := range subjects {
		group.Go(func() (err error) {
			seconds[i], err = measure(ctx, s, poll)
			return err
		})
	}
	return seconds, group.Wait()
}

// stopAll stops control planes even when the benchmark was interrupted.
func stopAll[S subject](subjects []S) error {
	var group errgroup.Group
	for _, s := range subjects {
		group.Go(func() error { return s.stop(context.Background()) })
	}
	return group.Wait()
}
