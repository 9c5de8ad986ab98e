// Package drills hands the drills that the Cell asks for to the runtime, which holds zones dead or
// hung.
package drills

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// retry is the pause after the runtime refused.
const retry = time.Second

// Hub holds the Cell.
type Hub interface {
	Cell() *v1alpha1.Cell
}

// Runtime holds zones. It remembers the list by itself.
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
		if err := k.hold(ctx); err != nil && ctx.Err() == nil {
			k.Log.Error("the runtime did not take the drills; it is tried again", "error", err)
			select {
			case <-ctx.Done():
			case <-k.Clock.After(retry):
				k.Changed()
			}
		}
	}
}

// hold hands over the Cell's drills, if they are not in force already. A Cell that is missing changes
// nothing.
func (k *Keeper) hold(ctx context.Context) error {
	cell := k.Hub.Cell()
	if cell == nil {
		return nil
	}
	wanted := cell.Spec.Drills
	if inForce, known := k.Drills(); known && slices.Equal(inForce, wanted) {
		return nil
	}
	if err := k.Runtime.Hold(ctx, wanted); err != nil {
		return err
	}
	k.mu.Lock()
	k.known, k.inForce = true, slices.Clone(wanted)
	k.mu.Unlock()
	k.InForce()
	return nil
}
