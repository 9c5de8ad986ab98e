package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/ledger"
)

// measure a phase: what each part took, and how long it lasted.
func (w *world) measure(ctx context.Context, p phase) error {
	before, err := w.meter.read()
	if err != nil {
		return err
	}
	w.meter.takePeaks()
	w.figures.begin(p.name, before)
	failure := p.run(ctx)
	after, err := w.meter.read()
	if failure = errors.Join(failure, err); failure != nil {
		return failure
	}
	w.figures.end(after, w.meter.takePeaks())
	return nil
}

// progress is told of each reading: it keeps and shows it.
func (w *world) progress(r reading) { w.figures.sample(r, w.witness.Counts()) }

// calmDown waits until the trials of all orders have ended, and until the fleet is hardly written to any more. A fleet
// that does not calm down is measured as it is.
func (w *world) calmDown(ctx context.Context) error {
	if w.idle < shortest {
		return nil // a short run: what it reads of idling says little
	}
	if err := pause(ctx, trialTime+calmWindow-time.Since(w.figures.createdAt)); err != nil {
		return err
	}
	deadline := time.Now().Add(calmPatience)
	for time.Now().Before(deadline) {
		rate, _, err := w.writeRate(ctx, calmWindow)
		if err != nil || rate <= calmWrites {
			return err
		}
	}
	return nil
}

// writeRate is how often the hub is written to, per guest and ten minutes, over a window, and the writes by resource.
func (w *world) writeRate(ctx context.Context, window time.Duration) (rate float64, by map[string]float64, err error) {
	before, err := w.writes(ctx)
	if err != nil {
		return 0, nil, err
	}
	began := time.Now()
	if err := pause(ctx, window); err != nil {
		return 0, nil, err
	}
	after, err := w.writes(ctx)
	if err != nil {
		return 0, nil, err
	}
	by = map[string]float64{}
	sum := 0.0
	for resource, count := range after {
		if more := count - before[resource]; more > 0 {
			by[resource] = more
			sum += more
		}
	}
	return sum / float64(len(w.plan.Clusters)) * (10 * time.Minute).Seconds() / time.Since(began).Seconds(), by, nil
}

// idleNow reads what the fleet takes while nobody does anything.
func (w *world) idleNow(ctx context.Context) error {
	before, err := w.meter.read()
	if err != nil {
		return err
	}
	w.meter.takePeaks()
	w.profile(ctx, "idle")
	rate, by, err := w.writeRate(ctx, w.idle)
	if err != nil {
		return err
	}
	after, err := w.meter.read()
	if err != nil {
		return err
	}
	guests, err := w.guestsOf(ctx, w.alone)
	if err != nil {
		return err
	}
	w.figures.idle(after.cores(before), w.meter.takePeaks(), guests)
	w.figures.writes(rate, by)
	return nil
}

// guestsOf a cell, as its agent reports.
func (w *world) guestsOf(ctx context.Context, name string) (int, error) {
	var cell v1alpha1.Cell
	if err := w.hub.Get(ctx, client.ObjectKey{Name: name}, &cell); err != nil {
		return 0, fmt.Errorf("read Cell %s: %w", name, err)
	}
	return int(cell.Status.Guests), nil
}

// renewed tells whether an agent renewed its cell's Lease after a time.
func (w *world) renewed(ctx context.Context, cell string, since time.Time) bool {
	var lease coordinationv1.Lease
	err := w.hub.Get(ctx, client.ObjectKey{Namespace: v1alpha1.CellNamespace(cell), Name: v1alpha1.AgentLease}, &lease)
	return err == nil && lease.Spec.RenewTime != nil && lease.Spec.RenewTime.After(since)
}

// nothingLeft fails when the hub or a cell still holds something of a guest once all are deleted.
func (w *world) nothingLeft(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	left := ""
	err := await(ctx, time.Second, "nothing of any guest is left", func(ctx context.Context) (bool, error) {
		var err error
		left, err = w.left(ctx)
		return left == "", err
	})
	if err != nil {
		return fmt.Errorf("%w: %s", err, left)
	}
	return nil
}

// left says what the Ledgers and the cells still hold; empty: nothing.
func (w *world) left(ctx context.Context) (string, error) {
	left, err := w.booked(ctx)
	if err != nil {
		return "", err
	}
	for _, host := range w.hosts {
		guests, err := host.started(ctx)
		if err != nil {
			return "", err
		}
		if len(guests) > 0 {
			left = append(left, fmt.Sprintf("%d guests in cells of host %s", len(guests), host.name))
		}
	}
	return strings.Join(left, "; "), nil
}

// booked says what the Ledgers hold.
func (w *world) booked(ctx context.Context) ([]string, error) {
	var ledgers v1alpha1.LedgerList
	if err := w.hub.List(ctx, &ledgers); err != nil {
		return nil, fmt.Errorf("list Ledgers: %w", err)
	}
	byName := map[string]*v1alpha1.Ledger{}
	for i := range ledgers.Items {
		byName[ledgers.Items[i].Name] = &ledgers.Items[i]
	}
	var booked []string
	for name, head := range byName {
		if strings.HasSuffix(name, v1alpha1.BaseLedger("")) {
			continue
		}
		volume := ledger.Volume{Head: head, Base: &v1alpha1.Ledger{}}
		if base := byName[v1alpha1.BaseLedger(name)]; base != nil {
			volume.Base = base
		}
		if count := len(volume.Bookings()); count > 0 {
			booked = append(booked, fmt.Sprintf("%d bookings in Ledger %s", count, name))
		}
	}
	return booked, nil
}
