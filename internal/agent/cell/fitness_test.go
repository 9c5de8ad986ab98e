package cell

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// judging is a runtime that is also a Watcher, a Judge and Zoned.
type judging struct {
	mu      sync.Mutex
	nodes   int64
	zones   []string
	changed chan struct{}
	says    chan error // nil: the condition below
	fitness *metav1.Condition
}

func (j *judging) Capacity(context.Context) (runtime.Capacity, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return runtime.Capacity{{Name: "a", Nodes: new(j.nodes)}}, nil
}

func (j *judging) Changed() <-chan struct{} { return j.changed }

func (j *judging) Fitness(ctx context.Context) (*metav1.Condition, error) {
	select {
	case err := <-j.says:
		return j.fitness, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (j *judging) UseZones(zones []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.zones = slices.Clone(zones)
}

func (j *judging) told() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.zones
}

func (j *judging) set(nodes int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.nodes = nodes
}

func unfit() *metav1.Condition {
	return &metav1.Condition{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNoStorageClass, Message: "install one"}
}

func TestFitness(t *testing.T) {
	earlier := metav1.NewTime(now.Add(-time.Hour))
	hubs := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonLeaseFresh, LastTransitionTime: earlier}
	known := func(status metav1.ConditionStatus, since metav1.Time) metav1.Condition {
		return metav1.Condition{
			Type: v1alpha1.ConditionRuntimeReady, Status: status, Reason: v1alpha1.ReasonNoStorageClass,
			Message: "install one", LastTransitionTime: since,
		}
	}
	cases := map[string]struct {
		reason string
		before []metav1.Condition
		says   *metav1.Condition
		err    error
		want   []metav1.Condition
	}{
		"New":     {"the first verdict", []metav1.Condition{hubs}, unfit(), nil, []metav1.Condition{hubs, known(metav1.ConditionFalse, metav1.NewTime(now))}},
		"Same":    {"since when is kept", []metav1.Condition{known(metav1.ConditionFalse, earlier), hubs}, unfit(), nil, []metav1.Condition{known(metav1.ConditionFalse, earlier), hubs}},
		"Turned":  {"it was fit before", []metav1.Condition{known(metav1.ConditionTrue, earlier)}, unfit(), nil, []metav1.Condition{known(metav1.ConditionFalse, metav1.NewTime(now))}},
		"Silent":  {"a runtime that has nothing to say takes back what another said", []metav1.Condition{hubs, known(metav1.ConditionFalse, earlier)}, nil, nil, []metav1.Condition{hubs}},
		"Unknown": {"what cannot be found out stays", []metav1.Condition{known(metav1.ConditionTrue, earlier)}, unfit(), errors.New("away"), []metav1.Condition{known(metav1.ConditionTrue, earlier)}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := &fake{synced: true, cell: &v1alpha1.Cell{Spec: v1alpha1.CellSpec{Zones: []string{"a"}}}}
			f.cell.Status.Conditions = c.before
			r := f.reporter(clocktesting.NewFakeClock(now))
			j := &judging{says: make(chan error, 1), fitness: c.says}
			j.says <- c.err
			if _, err := r.ask(t.Context(), j); !errors.Is(err, c.err) {
				t.Fatal(err)
			}
			for range 2 {
				if err := r.Report(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(c.want, f.cell.Status.Conditions); diff != "" || f.writes > 1 {
				t.Errorf("%s: wrote %d times; conditions (-want +got):\n%s", c.reason, f.writes, diff)
			}
		})
	}
}

// counted is a hub that tells of each write.
type counted struct {
	*fake
	mu     sync.Mutex
	writes chan v1alpha1.CellStatus
}

func (c *counted) Cell() *v1alpha1.Cell {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cell.DeepCopy()
}

func (c *counted) ApplyCell(_ context.Context, status v1alpha1.CellStatus) error {
	c.mu.Lock()
	c.cell.Status = status
	c.mu.Unlock()
	c.writes <- status
	return nil
}

// TestChangesAreReportedAtOnce: a node that goes away is reported when the next second begins and not
// at the next minute, a verdict likewise, and a judge that hangs holds up nothing.
func TestChangesAreReportedAtOnce(t *testing.T) {
	clk := clocktesting.NewFakeClock(now)
	hub := &counted{
		fake:   &fake{synced: true, cell: &v1alpha1.Cell{Spec: v1alpha1.CellSpec{Zones: []string{"a", "b"}}}},
		writes: make(chan v1alpha1.CellStatus),
	}
	j := &judging{nodes: 3, changed: make(chan struct{}, 1), says: make(chan error), fitness: unfit()}
	r := hub.reporter(clk)
	r.Hub, r.Runtime = hub, j
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Run(ctx)
	}()
	if first := <-hub.writes; *first.Zones[0].Nodes != 3 || len(first.Conditions) != 0 || len(j.told()) != 2 {
		t.Errorf("first report %+v, zones told %v", first, j.told())
	}
	j.set(2)
	j.changed <- struct{}{}
	second := step(t, clk, hub.writes)
	if *second.Zones[0].Nodes != 2 {
		t.Errorf("after a node went away: %+v", second.Zones)
	}
	j.says <- nil
	third := step(t, clk, hub.writes)
	if !meta.IsStatusConditionFalse(third.Conditions, v1alpha1.ConditionRuntimeReady) {
		t.Errorf("after the verdict: %+v", third.Conditions)
	}
	cancel()
	<-done
	if spent := clk.Now().Sub(now); spent > lookAgain/2 {
		t.Errorf("both took %s", spent)
	}
}

// step the clock by seconds until there is a write.
func step(t *testing.T, clk *clocktesting.FakeClock, writes chan v1alpha1.CellStatus) v1alpha1.CellStatus {
	t.Helper()
	var status v1alpha1.CellStatus
	last := clk.Now()
	err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
		select {
		case status = <-writes:
			return true, nil
		default:
		}
		if clk.HasWaiters() && clk.Now().Sub(last) < 10*pause {
			clk.Step(pause)
		}
		return false, nil
	})
	if err != nil {
		t.Fatalf("no report within ten seconds of the fake clock: %v", err)
	}
	return status
}
