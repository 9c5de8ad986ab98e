package drills

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

type fake struct {
	cell *v1alpha1.Cell
	err  error
	held [][]v1alpha1.Drill
}

func (f *fake) Cell() *v1alpha1.Cell { return f.cell }

func (f *fake) Hold(_ context.Context, drills []v1alpha1.Drill) error {
	if f.err == nil {
		f.held = append(f.held, drills)
	}
	return f.err
}

func TestHold(t *testing.T) {
	drill := []v1alpha1.Drill{{Zone: "a", Mode: v1alpha1.DrillHang}}
	f := &fake{}
	told := 0
	k := New(Options{
		Hub: f, Runtime: f, InForce: func() { told++ },
		Clock: clocktesting.NewFakeClock(time.Now()), Log: slog.New(slog.DiscardHandler),
	})
	steps := []struct {
		reason string
		cell   *v1alpha1.Cell
		err    error
		calls  int // of Hold so far
		known  bool
		want   []v1alpha1.Drill
	}{
		{"without a Cell nothing is known", nil, nil, 0, false, nil},
		{"the runtime is away", cellWith(drill), errors.New("away"), 0, false, nil},
		{"it takes the drill", cellWith(drill), nil, 1, true, drill},
		{"a drill in force is not handed over again", cellWith(drill), nil, 1, true, drill},
		{"a Cell that disappears ends no drill", nil, nil, 1, true, drill},
		{"a drill ends when the Cell says so", cellWith(nil), nil, 2, true, nil},
	}
	for _, step := range steps {
		f.cell, f.err = step.cell, step.err
		if err := k.hold(t.Context()); (err != nil) != (step.err != nil) {
			t.Errorf("%s: %v", step.reason, err)
		}
		got, known := k.Drills()
		if diff := cmp.Diff(step.want, got); diff != "" || known != step.known || len(f.held) != step.calls || told != step.calls {
			t.Errorf("%s: known %t, handed over %d times, told %d times; (-want +got):\n%s", step.reason, known, len(f.held), told, diff)
		}
	}
}

func cellWith(drills []v1alpha1.Drill) *v1alpha1.Cell {
	return &v1alpha1.Cell{Spec: v1alpha1.CellSpec{Drills: drills}}
}
