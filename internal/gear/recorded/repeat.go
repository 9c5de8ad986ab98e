package recorded

import (
	"iter"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/internal/gear"
)

// day that a generated guest lives.
const day = 24 * time.Hour

// repeated is a history, round after round, until a day is full: real recordings are of minutes. Between
// the end of a round and the next one lies the mean time between two samples.
func repeated(history []gear.Sample) iter.Seq[gear.Sample] {
	first, last := history[0].Load.SampledAt.Time, history[len(history)-1].Load.SampledAt.Time
	round := time.Minute // of a single sample
	if gaps := time.Duration(len(history) - 1); gaps > 0 {
		round = last.Sub(first) + max(last.Sub(first)/gaps, time.Second)
	}
	return func(yield func(gear.Sample) bool) {
		for begun := time.Duration(0); begun < day; begun += round {
			for _, sample := range history {
				at := sample.Load.SampledAt.Add(begun)
				if at.Sub(first) >= day {
					return
				}
				sample.Load.SampledAt = metav1.NewTime(at)
				if !yield(sample) {
					return
				}
			}
		}
	}
}
