package drills

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

type fake struct {
	cell *v1alpha1.Cell
	err  error
	held [][]v1alpha1.Drill // what was answered to
}

func (f *fake) Cell() *v1alpha1.Cell { return f.cell }

func (f *fake) Hold(_ context.Context, drills []v1alpha1.Drill) error {
	var partly *runtime.PartlyHeldError
	if f.err == nil || errors.As(f.err, &partly) {
		f.held = append(f.held, drills)
	}
	return f.err
}

func TestHold(t *testing.T) {
	drill := []v1alpha1.Drill{{Zone: "a", Mode: v1alpha1.DrillHang}}
	mixed := []v1alpha1.Drill{drill[0], {Zone: "b", Mode: v1alpha1.DrillKill}}
	partly := &runtime.PartlyHeldError{InForce: mixed[1:], Cause: errors.New("nothing hangs here")}
	f := &fake{}
	told := 0
	var log bytes.Buffer
	k := New(Options{
		Hub: f, Runtime: f, InForce: func() { told++ },
		Clock: clocktesting.NewFakeClock(time.Now()), Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	steps := []struct {
		reason string
		cell   *v1alpha1.Cell
		err    error
		calls  int // of Hold so far
		known  bool
		want   []v1alpha1.Drill
		logs   int // lines so far
	}{
		{"without a Cell nothing is known", nil, nil, 0, false, nil, 0},
		{"the runtime is away", cellWith(drill), errors.New("away"), 0, false, nil, 1},
		{"what is known is not said again", cellWith(drill), errors.New("away"), 0, false, nil, 1},
		{"another reason is", cellWith(drill), errors.New("still away"), 0, false, nil, 2},
		{"it takes the drill", cellWith(drill), nil, 1, true, drill, 2},
		{"a drill in force is not handed over again", cellWith(drill), nil, 1, true, drill, 2},
		{"a Cell that disappears ends no drill", nil, nil, 1, true, drill, 2},
		{"a drill ends when the Cell says so", cellWith(nil), nil, 2, true, nil, 2},
		{"what the runtime can do is in force, beside what it cannot do", cellWith(mixed), partly, 3, true, mixed[1:], 3},
		{"what it cannot do is not tried again", cellWith(mixed), partly, 3, true, mixed[1:], 3},
		{"the drill that is in force is all that is left", cellWith(mixed[1:]), nil, 4, true, mixed[1:], 3},
		{"the runtime is away again", cellWith(nil), errors.New("still away"), 4, true, mixed[1:], 4},
	}
	for _, step := range steps {
		f.cell, f.err = step.cell, step.err
		err := k.hold(t.Context())
		if k.complain(err); err != nil && !errors.Is(err, step.err) {
			t.Errorf("%s: %v", step.reason, err)
		}
		got, known := k.Drills()
		if diff := cmp.Diff(step.want, got); diff != "" || known != step.known || len(f.held) != step.calls || told != step.calls {
			t.Errorf("%s: known %t, handed over %d times, told %d times; (-want +got):\n%s", step.reason, known, len(f.held), told, diff)
		}
		if lines := strings.Count(log.String(), "\n"); lines != step.logs {
			t.Errorf("%s: %d lines are logged, want %d:\n%s", step.reason, lines, step.logs, &log)
		}
	}
}

func cellWith(drills []v1alpha1.Drill) *v1alpha1.Cell {
	return &v1alpha1.Cell{Spec: v1alpha1.CellSpec{Drills: drills}}
}
