package cell

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

const (
	// judgeFit and judgeUnfit are the pauses before the runtime is asked again whether it can run
	// control planes: it costs some requests to the cell, and whoever mends it wants to see it soon.
	judgeFit, judgeUnfit = time.Minute, 10 * time.Second
)

// Watcher is a Runtime that tells of changes of its capacity, by nodes that come and go. What it sends
// may stand for several.
type Watcher interface {
	Changed() <-chan struct{}
}

// Judge is a Runtime that can tell whether control planes can be run in the cell: by the condition
// RuntimeReady, whose transition time it need not know, or nil when it has nothing to say.
type Judge interface {
	Fitness(ctx context.Context) (*metav1.Condition, error)
}

// Zoned is a Runtime that wants to know the zones of its Cell (spec.zones), for they may be others than
// those that it finds.
type Zoned interface {
	UseZones(zones []string)
}

// verdict of a Judge.
type verdict struct {
	condition *metav1.Condition // nil: it has nothing to say
}

// follow has the cell reported on when its capacity changes.
func (r *Reporter) follow(ctx context.Context, capacity <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case _, open := <-capacity:
			if !open {
				return
			}
			r.Changed()
		}
	}
}

func (r *Reporter) tellZones(cell *v1alpha1.Cell) {
	if zoned, ok := r.Runtime.(Zoned); ok {
		zoned.UseZones(cell.Spec.Zones)
	}
}

// judge asks the runtime again and again. It does so beside the reports: a cell's API server that
// hangs holds up no report.
func (r *Reporter) judge(ctx context.Context, judge Judge) {
	complaint := ""
	for {
		again := pause
		if cell := r.Hub.Cell(); cell != nil {
			r.tellZones(cell)
			fit, err := r.ask(ctx, judge)
			if ctx.Err() != nil {
				return
			}
			if err != nil && complaint != err.Error() {
				complaint = err.Error()
				r.Log.Warn("it cannot be told whether the cell can run control planes; what was reported last stays", "error", err)
			}
			again = judgeUnfit
			if fit {
				again = judgeFit
			}
		}
		if !r.wait(ctx, nil, again) {
			return
		}
	}
}

// ask a Judge and keep its verdict. It is fit when it has nothing to complain about.
func (r *Reporter) ask(ctx context.Context, judge Judge) (fit bool, err error) {
	condition, err := judge.Fitness(ctx)
	if err != nil {
		return false, err
	}
	r.mu.Lock()
	r.verdict = &verdict{condition: condition}
	r.mu.Unlock()
	r.Changed()
	return condition == nil || condition.Status == metav1.ConditionTrue, nil
}

// conditions of the cell with what its runtime said last of RuntimeReady. While it has said nothing,
// what was reported stays.
func (r *Reporter) conditions(cell *v1alpha1.Cell) []metav1.Condition {
	conditions := cell.DeepCopy().Status.Conditions
	r.mu.Lock()
	last := r.verdict
	r.mu.Unlock()
	switch {
	case last == nil:
	case last.condition == nil:
		meta.RemoveStatusCondition(&conditions, v1alpha1.ConditionRuntimeReady)
	default:
		said := *last.condition
		said.Type, said.ObservedGeneration = v1alpha1.ConditionRuntimeReady, cell.Generation
		said.LastTransitionTime = metav1.NewTime(r.Clock.Now()).Rfc3339Copy()
		meta.SetStatusCondition(&conditions, said)
	}
	return conditions
}
