// Package drills hands the drills that the Cell asks for to the runtime, which holds zones dead or
// hung.
package drills

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// retry is the pause after the runtime refused.
const retry = time.Second

// Hub holds the Cell.
type Hub interface {
	Cell() *v1alpha1.Cell
}

// Runtime holds zones. It remembers the list by itself. One that cannot do all of it does what it can, and says so
// by a runtime.PartlyHeldError.
type Runtime interface {
	Hold(ctx context.Context, drills []v1alpha1.Drill) error
}

// Options of a Keeper.
type Options struct {
	Hub     Hub
	Runtime Runtime
	// InForce is called when the drills in force have changed.
	InForce func()
	Clock   clock.Clock
	Log     *slog.Logger
}

// Keeper keeps the runtime's drills those of the Cell.
type Keeper struct {
	Options
	changed chan struct{}

	asked     []v1alpha1.Drill // what the runtime answered last
	complaint string           // the error that was logged last

	mu      sync.Mutex
	known   bool
	inForce []v1alpha1.Drill
}

// New makes a Keeper; Run makes it work.
func New(options Options) *Keeper { return &Keeper{Options: options, changed: make(chan struct{}, 1)} }

// Changed says that the Cell has come or changed.
func (k *Keeper) Changed() {
	select {
	case k.changed <- struct{}{}:
	default: // one is waiting already
	}
}

// Drills in force; false while that is not known.
func (k *Keeper) Drills() ([]v1alpha1.Drill, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.inForce), k.known
}

// Run works until the context ends.
func (k *Keeper) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.changed:
		}
		err := k.hold(ctx)
		if ctx.Err() != nil {
			return
		}
		if k.complain(err); err != nil {
			select {
			case <-ctx.Done():
			case <-k.Clock.After(retry):
				k.Changed()
			}
		}
	}
}

// complain logs an error once for as long as it stays the same.
func (k *Keeper) complain(err error) {
	switch {
	case err == nil:
		k.complaint = ""
	case err.Error() != k.complaint:
		k.complaint = err.Error()
		k.Log.Error("the runtime did not take the drills; it is tried again", "error", err)
	}
}

// hold hands over the Cell's drills, if the runtime has not answered to them already. A Cell that is missing changes
// nothing. What a runtime cannot do it cannot do the next time either: that is said once, and what it did is in force.
func (k *Keeper) hold(ctx context.Context) error {
	cell := k.Hub.Cell()
	if cell == nil {
		return nil
	}
	wanted := cell.Spec.Drills
	if _, known := k.Drills(); known && slices.Equal(k.asked, wanted) {
		return nil
	}
	inForce := wanted
	err := k.Runtime.Hold(ctx, wanted)
	var partly *runtime.PartlyHeldError
	switch {
	case errors.As(err, &partly):
		inForce = partly.InForce
		k.Log.Error("the runtime cannot do all of the drills", "error", err)
	case err != nil:
		return err
	}
	k.asked = slices.Clone(wanted)
	k.mu.Lock()
	k.known, k.inForce = true, slices.Clone(inForce)
	k.mu.Unlock()
	k.InForce()
	return nil
}
