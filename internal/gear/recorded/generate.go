package recorded

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/gear"
)

// GeneratedPrefix of the ids of generated guests, so that nobody takes them for recorded ones.
const GeneratedPrefix = "generated-"

// Size classes of generated guests: how many of a hundred have how many times the load of the guest
// that they are made from. Most clusters of a fleet are small and few are large; the shares are our
// own choice.
var classes = []struct {
	percent int
	scale   float64
}{{60, 1}, {25, 2}, {10, 5}, {4, 15}, {1, 40}}

const (
	// diurnal is by how much the load of a generated guest rises and falls within a day.
	diurnal = 0.3
	// noise of each sample.
	noise = 0.05
	// spikeEvery is the mean number of samples between two spikes, spikeScale how high one is at most.
	spikeEvery, spikeScale = 200, 4.0
)

// rates are what rises in a spike; nodes and objects do not.
var rates = []v1alpha1.LoadMetricName{
	v1alpha1.LoadGetsPerSecond, v1alpha1.LoadListsPerSecond, v1alpha1.LoadWritesPerSecond,
	v1alpha1.LoadExecutingSeats, v1alpha1.LoadQueuedSeats, v1alpha1.LoadScheduledPodsPerSecond,
}

// Generate the loads of a fleet of so many guests from samples. What comes out is GENERATED, not recorded:
// each guest lives for a day and is one of those in the samples, round after round, in a size class, with
// its day shifted, a rise and fall within the day, noise and spikes. The same seed gives the same fleet. Guests come one after the other,
// each in the order of time.
func Generate(seed uint64, guests int, from []gear.Sample) []gear.Sample {
	return slices.Collect(All(seed, guests, from))
}

// All is Generate without holding the fleet in memory.
func All(seed uint64, guests int, from []gear.Sample) iter.Seq[gear.Sample] {
	histories := byGuest(from)
	return func(yield func(gear.Sample) bool) {
		if len(histories) == 0 {
			return
		}
		for i := range guests {
			random := rand.New(rand.NewPCG(seed, uint64(i)))
			name := fmt.Sprintf("%s%04d", GeneratedPrefix, i)
			for sample := range guest(random, histories[random.IntN(len(histories))]) {
				sample.Guest = name
				if !yield(sample) {
					return
				}
			}
		}
	}
}

// byGuest parts samples into histories, in the order in which guests first occur.
func byGuest(samples []gear.Sample) [][]gear.Sample {
	place := map[string]int{}
	var histories [][]gear.Sample
	for _, sample := range samples {
		i, ok := place[sample.Guest]
		if !ok {
			i = len(histories)
			place[sample.Guest] = i
			histories = append(histories, nil)
		}
		histories[i] = append(histories[i], sample)
	}
	return histories
}

// guest made from a history.
func guest(random *rand.Rand, history []gear.Sample) iter.Seq[gear.Sample] {
	scale := class(random)
	phase := random.Float64() * 24
	return func(yield func(gear.Sample) bool) {
		spike := 1.0
		for sample := range repeated(history) {
			at := sample.Load.SampledAt.Time
			hour := at.Sub(at.Truncate(24 * time.Hour)).Hours()
			drift := 1 + diurnal*math.Sin(2*math.Pi*(hour+phase)/24)
			if random.IntN(spikeEvery) == 0 {
				spike = 1 + random.Float64()*(spikeScale-1)
			}
			if !yield(scaled(random, sample, scale*drift, spike)) {
				return
			}
			spike = 1 + (spike-1)/2 // it ebbs away within a few samples
		}
	}
}

// class of size that a guest falls into.
func class(random *rand.Rand) float64 {
	n := random.IntN(100)
	for _, c := range classes {
		if n < c.percent {
			return c.scale
		}
		n -= c.percent
	}
	return 1
}

// scaled copy of a sample. What it says of single resources, verbs and instances is left out.
func scaled(random *rand.Rand, sample gear.Sample, scale, spike float64) gear.Sample {
	load := v1alpha1.Load{SampledAt: sample.Load.SampledAt, Missing: slices.Clone(sample.Load.Missing)}
	for _, metric := range sample.Load.Metrics {
		value := metric.Value.AsApproximateFloat64() * scale * (1 + noise*(2*random.Float64()-1))
		if slices.Contains(rates, metric.Name) {
			value *= spike
			load.Metrics = append(load.Metrics, v1alpha1.LoadMetric{Name: metric.Name, Value: *resource.NewMilliQuantity(int64(value*1000), resource.DecimalSI)})
			continue
		}
		load.Metrics = append(load.Metrics, v1alpha1.LoadMetric{Name: metric.Name, Value: *resource.NewQuantity(int64(value), resource.DecimalSI)})
	}
	return gear.Sample{Guest: sample.Guest, Availability: sample.Availability, Load: load}
}
