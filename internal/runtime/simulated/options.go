package simulated

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// Options of a Runtime.
type Options struct {
	// Cell that the runtime stands for. Its addresses differ from those of other cells.
	Cell string
	// Seed that everything random follows from, together with the guest's id and counters.
	Seed uint64
	// Capacity of each zone. A component that does not fit into what is left of its zone is Blocked.
	Capacity runtime.Capacity
	// Slots are how many guests may start at the same time, 0 for any number. The others' first components
	// are Queued.
	Slots int
	// Starts is how long components take from their start to ready; nil: DefaultStarts. A kind that is not
	// named takes what DefaultStarts says.
	Starts Starts
	// DeathsPerYear of one component, on average; 0: none dies. Deaths come by chance, independent of each
	// other, on Clock.
	DeathsPerYear float64
	// Classes of size that guests fall into; nil: DefaultClasses.
	Classes []Class
	// Clock of everything but the load's day, which SetPace is for; nil: the real one.
	Clock clock.WithTicker
}

// Starts is how long components take from their start to ready, by kind.
type Starts map[controlplane.Kind]Start

// Start is how long one component takes from its start to ready: log-normally distributed.
type Start struct {
	// Median, which half of all starts take at most.
	Median time.Duration
	// P99, which 99 of 100 starts take at most; at least Median.
	P99 time.Duration
}

// DefaultStarts are those of an idle machine of two cores (docs/benchmarks.md, 2026-11-22): etcd and kube-apiserver
// by hand 2.8 s, create to ready 4.4 s. How the time is divided within them is our own choice, and so is that one
// of a hundred takes three times as long: ten guests at once on two cores took up to seven times.
func DefaultStarts() Starts {
	start := func(median time.Duration) Start { return Start{Median: median, P99: 3 * median} }
	return Starts{
		controlplane.Etcd:              start(600 * time.Millisecond),
		controlplane.APIServer:         start(2200 * time.Millisecond),
		controlplane.ControllerManager: start(1600 * time.Millisecond),
		controlplane.Scheduler:         start(1200 * time.Millisecond),
	}
}

// otherStart is of a kind that DefaultStarts does not have.
var otherStart = Start{Median: time.Second, P99: 3 * time.Second}

// check and complete the options.
func (o Options) complete() (Options, error) {
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Classes == nil {
		o.Classes = DefaultClasses()
	}
	starts := DefaultStarts()
	maps.Copy(starts, o.Starts)
	o.Starts = starts
	problems := []error{o.checkCapacity()}
	if o.Slots < 0 {
		problems = append(problems, fmt.Errorf("option Slots is %d: say how many guests may start at once, or 0 for any number", o.Slots))
	}
	if !(o.DeathsPerYear >= 0) || math.IsInf(o.DeathsPerYear, 0) {
		problems = append(problems, fmt.Errorf("option DeathsPerYear is %g: say how often one component dies in a year, or 0 for never", o.DeathsPerYear))
	}
	for _, kind := range slices.Sorted(maps.Keys(o.Starts)) {
		if s := o.Starts[kind]; s.Median <= 0 || s.P99 < s.Median {
			problems = append(problems, fmt.Errorf("option Starts[%s] has median %s and p99 %s: the median must be more than 0, the p99 no less than it", kind, s.Median, s.P99))
		}
	}
	weights := 0.0
	for i := range o.Classes {
		problems = append(problems, o.Classes[i].check())
		weights += o.Classes[i].Weight
	}
	if !(weights > 0) {
		problems = append(problems, errors.New("option Classes have no weight in all: give at least one a Weight above 0, or leave Classes nil for the default ones"))
	}
	if err := errors.Join(problems...); err != nil {
		return o, fmt.Errorf("simulated runtime of cell %q: %w", o.Cell, err)
	}
	return o, nil
}

func (o Options) checkCapacity() error {
	if len(o.Capacity) == 0 {
		return errors.New("option Capacity names no zone: give each zone of the cell its name, CPU and memory")
	}
	known := map[string]bool{}
	for i := range o.Capacity {
		zone := &o.Capacity[i]
		switch {
		case zone.Name == "":
			return fmt.Errorf("option Capacity[%d] has no name: name the zone that it is of", i)
		case known[zone.Name]:
			return fmt.Errorf("option Capacity names zone %q twice: sum both up", zone.Name)
		case zone.CPU.Sign() < 0 || zone.Memory.Sign() < 0:
			return fmt.Errorf("option Capacity of zone %q is below 0: give the CPU and memory that it has, 0 for none", zone.Name)
		}
		known[zone.Name] = true
	}
	return nil
}
